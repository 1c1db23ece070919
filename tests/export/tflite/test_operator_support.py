"""Memory, lowest runtime, documented accelerators, cost outside, and the half-precision twin."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from export.calibration.observers import InnerTensors
from export.tflite import float16, memory, operator_support
from export.tflite import model as tflite
from export.tflite.delegation import cost_outside, delegation
from export.tflite.operators import operators
from oace_tf.clicks import draw_disks
from oace_tf.errors import UsageError
from tests.export.conftest import SIZE, Made, feeds, tap_sets


def test_cost_of_what_is_outside(made: Made) -> None:
    found = delegation(made.int8_bytes)
    rows = cost_outside(made.int8_bytes, found)
    assert [row["operator"] for row in rows] == ["QUANTIZE", "QUANTIZE"]
    assert all(0 < row["ms"] < 50 for row in rows) and rows[-1]["tensor"] == "mask"


def test_lowest_runtime(made: Made) -> None:
    found = operator_support.lowest_runtime(made.int8_bytes)
    # Bilinear resizes with half-pixel centres came with 2.2; nothing of ours is younger.
    assert found == {"version": "2.2.0", "because": ["RESIZE_BILINEAR version 3"], "unknown": []}
    model = tflite.parse(made.int8_bytes)
    code = next(c for c in model.operatorCodes
                if max(c.builtinCode, c.deprecatedBuiltinCode) == 3)  # CONV_2D
    code.version = 6
    assert operator_support.lowest_runtime(tflite.serialise(model))["version"] == "2.9.0"
    code.version = 60
    found = operator_support.lowest_runtime(tflite.serialise(model))
    assert found["version"] is None and found["unknown"] == ["CONV_2D version 60"]


def test_documented_accelerators(made: Made) -> None:
    found = operator_support.documented(made.int8_bytes)
    assert found["source"].startswith("https://")
    assert found["qualcomm_npu"] == {"all": True, "operators": found["gpu"]["operators"],
                                     "missing": {}}
    assert set(found["gpu"]["missing"]) == {"QUANTIZE"}  # int8 is not what a GPU is for
    assert operator_support.documented(float16.half_precision(made.float_bytes))["gpu"]["all"]


def test_arena_of_a_chain(made: Made) -> None:
    """At least the two largest neighbours, at most all tensors together."""
    model = tflite.parse(made.int8_bytes)
    tensors = tflite.graph(model).tensors
    sizes = [memory._aligned(tensors[int(op.outputs[0])]) / 1e6
             for op in tflite.graph(model).operators]
    assert max(sizes) <= memory.arena_mb(made.int8_bytes) < 0.8 * sum(sizes)


@pytest.mark.slow
def test_memory_in_a_process_of_its_own(made: Made, tmp_path: Path) -> None:
    path = tmp_path / "int8.tflite"
    path.write_bytes(made.int8_bytes)
    found = memory.measure(path)
    figures = {name: value for name, value in found.items() if value is not None}
    assert set(figures) == {"open_ms", "first_ms", "loaded_mb", "peak_mb", "arena_mb"}
    assert figures["open_ms"] > 0 and figures["first_ms"] > 0
    assert 0 < figures["peak_mb"] < 500 and figures["loaded_mb"] <= figures["peak_mb"] + 1


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
