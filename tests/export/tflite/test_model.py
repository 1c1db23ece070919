"""The compact form of a file: smaller, and the same in every tensor and byte of the mask."""
from __future__ import annotations

import numpy as np

from export.tflite import model as tflite
from export.tflite.delegation import delegation
from tests.export.conftest import MAX_POINTS, SIZE, Made, pictures, tensors_of


def test_a_compact_file_means_the_same(made: Made) -> None:
    small = tflite.serialise(tflite.parse(made.int8_bytes), compact=True)
    plain = tflite.serialise(tflite.parse(made.int8_bytes))
    assert len(small) < 0.97 * len(plain)
    assert tflite.serialise(tflite.parse(small)) == plain
    assert tflite.serialise(tflite.parse(small), compact=True) == small
    picture, points = next(pictures(1, SIZE, seed=2))
    assert points.shape == (MAX_POINTS, 3)
    found, wanted = (tensors_of(content, picture, points, (_mask(content),))[0]
                     for content in (small, plain))
    np.testing.assert_array_equal(found, wanted)
    assert wanted.std() > 0
    assert delegation(small) == delegation(plain)


def _mask(content: bytes) -> str:
    model = tflite.parse(content)
    return tflite.name_of(
        tflite.graph(model).tensors[tflite.signature(model)[1]["mask"]])
