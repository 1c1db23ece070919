"""The half-precision twin: the same disks, nearly the same mask, and what does not fit."""
from __future__ import annotations

import numpy as np
import pytest

from export.calibration.observers import InnerTensors
from export.tflite import float16
from export.tflite import model as tflite
from export.tflite.operators import operators
from oace_tf.clicks import STEEP, draw_disks
from oace_tf.errors import UsageError
from tests.export.conftest import SIZE, Made, feeds, tap_sets


def test_half_precision(made: Made) -> None:
    content = float16.half_precision(made.float_bytes)
    assert len(content) < 0.85 * len(made.float_bytes)  # most of a file so small is structure
    kinds = {entry["operator"]: entry["types"] for entry in operators(content)}
    assert kinds["DEQUANTIZE"] == "nothing -> float32"
    exact, rounded = InnerTensors(made.float_bytes), InnerTensors(content)
    differences = []
    for feed in feeds(4, SIZE):
        for file in (exact, rounded):
            file.run(feed)
        ends = [tflite.signature(file.model)[1]["mask"] for file in (exact, rounded)]
        differences.append(np.abs(exact.value(ends[0]) - rounded.value(ends[1])).max())
    assert 0 < max(differences) < 5e-3  # measured: 6e-4


def test_half_precision_draws_the_same_disks(made: Made) -> None:
    inner = InnerTensors(float16.half_precision(made.float_bytes))
    image = np.zeros((1, SIZE, SIZE, 3), np.float32)
    for points in tap_sets(SIZE):
        inner.run({"image": image, "points": points[None]})
        disks = inner.value(tflite.by_name(inner.model, "disks"))
        for channel, label in enumerate((1.0, 0.0)[: disks.shape[-1]]):
            np.testing.assert_array_equal(
                disks[..., channel], draw_disks(points, (SIZE, SIZE), label))
    for tensor, index in ((t, i) for i, t in enumerate(tflite.graph(inner.model).tensors)):
        if tflite.is_constant(inner.model, index) and tflite.type_name(tensor) == "float32":
            assert np.abs(tflite.constant(inner.model, index)).max() <= float16.HALF_MAX


def test_weights_beyond_half_are_refused(made: Made) -> None:
    model = tflite.parse(made.float_bytes)
    operator = next(op for op in tflite.graph(model).operators
                    if tflite.operator_name(model, op) == "CONV_2D")
    index = int(operator.inputs[1])
    tflite.set_constant(model, index, 1e6 * np.ones_like(tflite.constant(model, index)))
    with pytest.raises(UsageError, match="does not fit float16"):
        float16.half_precision(tflite.serialise(model))


def test_an_unknown_constant_of_the_drawing_is_refused(made: Made) -> None:
    """Whoever changes `clicks.STEEP` alone learns it here, and not from masks."""
    model = tflite.parse(made.float_bytes)
    steep = [index for index in range(len(tflite.graph(model).tensors))
             if tflite.is_constant(model, index)
             and np.abs(tflite.constant(model, index)).ravel()[:1] == np.float32(STEEP)]
    assert steep
    for index in steep:
        tflite.set_constant(model, index, 2 * tflite.constant(model, index))
    with pytest.raises(ValueError, match="drawing of the taps multiplies by .*2e.09"):
        float16.half_precision(tflite.serialise(model))
