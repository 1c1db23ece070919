"""Memory, lowest runtime, documented accelerators, cost outside, and the half-precision twin."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from export import accelerators, facts, flatfile, half, memory, needed_runtime
from export.observe import InnerTensors
from oace_tf.clicks import draw_disks
from oace_tf.errors import UsageError
from tests.export.conftest import SIZE, Made, feeds, tap_sets


def test_cost_of_what_is_outside(made: Made) -> None:
    found = facts.delegation(made.int8_bytes)
    rows = facts.cost_outside(made.int8_bytes, found)
    assert [row["operator"] for row in rows] == ["QUANTIZE", "QUANTIZE"]
    assert all(0 < row["ms"] < 50 for row in rows) and rows[-1]["tensor"] == "mask"


def test_lowest_runtime(made: Made) -> None:
    found = needed_runtime.lowest_runtime(made.int8_bytes)
    # Bilinear resizes with half-pixel centres came with 2.2; nothing of ours is younger.
    assert found == {"version": "2.2.0", "because": ["RESIZE_BILINEAR version 3"], "unknown": []}
    model = flatfile.parse(made.int8_bytes)
    code = next(c for c in model.operatorCodes
                if max(c.builtinCode, c.deprecatedBuiltinCode) == 3)  # CONV_2D
    code.version = 6
    assert needed_runtime.lowest_runtime(flatfile.serialise(model))["version"] == "2.9.0"
    code.version = 60
    found = needed_runtime.lowest_runtime(flatfile.serialise(model))
    assert found["version"] is None and found["unknown"] == ["CONV_2D version 60"]


def test_documented_accelerators(made: Made) -> None:
    found = accelerators.documented(made.int8_bytes)
    assert found["source"].startswith("https://")
    assert found["qualcomm_npu"] == {"all": True, "operators": found["gpu"]["operators"],
                                     "missing": {}}
    assert set(found["gpu"]["missing"]) == {"QUANTIZE"}  # int8 is not what a GPU is for
    assert accelerators.documented(half.half_precision(made.float_bytes))["gpu"]["all"]


def test_arena_of_a_chain(made: Made) -> None:
    """At least the two largest neighbours, at most all tensors together."""
    model = flatfile.parse(made.int8_bytes)
    tensors = flatfile.graph(model).tensors
    sizes = [memory._aligned(tensors[int(op.outputs[0])]) / 1e6
             for op in flatfile.graph(model).operators]
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
    content = half.half_precision(made.float_bytes)
    assert len(content) < 0.85 * len(made.float_bytes)  # most of a file so small is structure
    kinds = {entry["operator"]: entry["types"] for entry in facts.operators(content)}
    assert kinds["DEQUANTIZE"] == "nothing -> float32"
    exact, rounded = InnerTensors(made.float_bytes), InnerTensors(content)
    differences = []
    for feed in feeds(4, SIZE):
        for file in (exact, rounded):
            file.run(feed)
        ends = [flatfile.signature(file.model)[1]["mask"] for file in (exact, rounded)]
        differences.append(np.abs(exact.value(ends[0]) - rounded.value(ends[1])).max())
    assert 0 < max(differences) < 5e-3  # measured: 6e-4


def test_half_precision_draws_the_same_disks(made: Made) -> None:
    inner = InnerTensors(half.half_precision(made.float_bytes))
    image = np.zeros((1, SIZE, SIZE, 3), np.float32)
    for points in tap_sets(SIZE):
        inner.run({"image": image, "points": points[None]})
        disks = inner.value(flatfile.by_name(inner.model, "disks"))
        for channel, label in enumerate((1.0, 0.0)[: disks.shape[-1]]):
            np.testing.assert_array_equal(
                disks[..., channel], draw_disks(points, (SIZE, SIZE), label))
    for tensor, index in ((t, i) for i, t in enumerate(flatfile.graph(inner.model).tensors)):
        if flatfile.is_constant(inner.model, index) and flatfile.type_name(tensor) == "float32":
            assert np.abs(flatfile.constant(inner.model, index)).max() <= half.HALF_MAX


def test_weights_beyond_half_are_refused(made: Made) -> None:
    model = flatfile.parse(made.float_bytes)
    operator = next(op for op in flatfile.graph(model).operators
                    if flatfile.operator_name(model, op) == "CONV_2D")
    index = int(operator.inputs[1])
    flatfile.set_constant(model, index, 1e6 * np.ones_like(flatfile.constant(model, index)))
    with pytest.raises(UsageError, match="does not fit float16"):
        half.half_precision(flatfile.serialise(model))
