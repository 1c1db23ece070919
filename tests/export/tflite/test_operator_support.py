"""Memory, lowest runtime, documented accelerators and the cost outside the delegate."""
from __future__ import annotations

from export.tflite import float16, operator_support
from export.tflite import model as tflite
from tests.export.conftest import Made


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
