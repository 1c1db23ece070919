"""Keras -> float32 file: the same numbers, the names of the contract, the disks exact."""
from __future__ import annotations

import keras
import numpy as np
import pytest

from export.convert import keras_pair
from export.tflite import model as tflite
from export.tflite.delegation import delegation
from oace_tf.clicks import draw_disks
from oace_tf.errors import UsageError
from oace_tf.geometry import normalise
from oace_tf.networks.fused import build_fused
from oace_tf.runtime.model import open_model
from tests.export.conftest import (
    MAX_POINTS,
    SIZE,
    Made,
    pictures,
    plain_pair,
    tap_sets,
    tensors_of,
)

TOLERANCE = 1e-4  # of a probability; measured: 4e-7


def test_equals_keras(made: Made, tmp_path) -> None:
    path = tmp_path / "float.tflite"
    path.write_bytes(made.float_bytes)
    model = open_model(path)
    spread = []
    for picture, points in pictures(4, SIZE, seed=1):
        wanted = np.asarray(made.fused([normalise(picture)[None], points[None]]))[0, :, :, 0]
        found = model.run(picture, points)
        assert np.abs(found - wanted).max() < TOLERANCE
        spread.append(wanted.std())
    assert min(spread) > 0.01  # a constant mask would prove nothing


def test_a_swapped_channel_shows(made: Made, tmp_path) -> None:
    path = tmp_path / "float.tflite"
    path.write_bytes(made.float_bytes)
    model = open_model(path)
    picture, points = next(pictures(1, SIZE))
    swapped = model.run(np.ascontiguousarray(picture[..., ::-1]), points)
    assert np.abs(swapped - model.run(picture, points)).max() > 10 * TOLERANCE


def test_signature_and_order(made: Made) -> None:
    model = tflite.parse(made.float_bytes)
    inputs, outputs = tflite.signature(model)
    assert list(inputs) == ["image", "points"] and list(outputs) == ["mask"]
    graph = tflite.graph(model)
    assert list(graph.inputs) == list(inputs.values())
    shapes = {n: list(graph.tensors[i].shape) for n, i in {**inputs, **outputs}.items()}
    assert shapes == {"image": [1, SIZE, SIZE, 3], "points": [1, MAX_POINTS, 3],
                      "mask": [1, SIZE, SIZE, 1]}
    for name in ("disks", "image_disks"):
        tflite.by_name(model, name)


def test_one_delegate_takes_all(made: Made) -> None:
    found = delegation(made.float_bytes)
    assert len(found.partitions) == 1 and found.outside == ()


def test_same_model_same_bytes() -> None:
    fused = build_fused(plain_pair(SIZE, 2), 2, SIZE)
    assert keras_pair.float_tflite(fused) == keras_pair.float_tflite(fused)


def test_disks_are_exact(made: Made) -> None:
    picture, _ = next(pictures(1, SIZE))
    for points in tap_sets(SIZE):
        disks, joined = tensors_of(made.float_bytes, picture, points, ("disks", "image_disks"))
        for channel, label in enumerate((1.0, 0.0)[: disks.shape[-1]]):
            wanted = draw_disks(points, (SIZE, SIZE), label)
            np.testing.assert_array_equal(disks[..., channel], wanted)
        np.testing.assert_array_equal(joined, np.concatenate([normalise(picture), disks], -1))


def test_disks_are_exact_at_the_shipped_size(plain_files: tuple[bytes, bytes]) -> None:
    picture, _ = next(pictures(1, 512))
    for points in tap_sets(512):
        disks, = tensors_of(plain_files[0], picture, points, ("disks",))
        wanted = np.stack([draw_disks(points, (512, 512), label) for label in (1.0, 0.0)], -1)
        np.testing.assert_array_equal(disks, wanted)


def test_no_prior_converts() -> None:
    content = keras_pair.float_tflite(build_fused(plain_pair(SIZE, 1), 2, SIZE))
    assert delegation(content).as_contracted


def test_another_backend_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(UsageError, match="KERAS_BACKEND=tensorflow"):
        keras_pair.float_tflite(None)
