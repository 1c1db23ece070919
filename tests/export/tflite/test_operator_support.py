"""Memory, lowest runtime, documented accelerators and the cost outside the delegate."""
from __future__ import annotations

from pathlib import Path

import pytest

from export.tflite import float16, memory, operator_support
from export.tflite import model as tflite
from export.tflite.delegation import cost_outside, delegation
from tests.export.conftest import Made


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
