"""Support of a file's operators: the lowest runtime that has them, and what accelerators take.

What counts for the runtime is the version of an operator: a file states one, but writers state too
low ones, so the version that the operator's types and options ask for is taken where that is
higher. Source of the table: tensorflow/lite/tools/versioning/{op_version,runtime_version}.cc.

For the GPU and Qualcomm's NPU, each operator is held against what their makers document. A
documented operator may still be refused for its shape or type; no phone has been asked. The table
is that of LiteRT's page on inference (columns "GPU Accelerator" and "Qualcomm NPU"), read in
November 2026, for the operators that our files have or could have.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from export.tflite import model as tflite

# operator -> runtime of version 1, 2, 3, ...
_RUNTIMES: dict[str, tuple[str, ...]] = {
    "ADD": ("1.5.0", "1.14.0", "2.4.0", "2.6.0"),
    "CONCATENATION": ("1.5.0", "1.14.0", "2.3.0"),
    "CONV_2D": ("1.5.0", "1.14.0", "1.14.0", "2.3.0", "2.4.0", "2.9.0"),
    "DEPTHWISE_CONV_2D": ("1.5.0", "1.12.0", "1.14.0", "2.2.0", "2.3.0", "2.3.0"),
    "DEQUANTIZE": ("1.13.1", "1.14.0", "1.15.0", "2.2.0", "2.7.0"),
    "DIV": ("1.6.0", "2.3.0"),
    "FULLY_CONNECTED": ("1.5.0", "1.10.0", "1.14.0", "1.14.0", "2.0.0", "2.1.0", "2.3.0"),
    "LOGISTIC": ("1.14.0", "1.14.0", "2.3.0"),
    "MAXIMUM": ("1.14.0", "1.14.0", "2.3.0", "2.3.0"),
    "MAX_POOL_2D": ("1.5.0", "1.14.0", "2.3.0"),
    "MEAN": ("1.6.0", "1.14.0", "2.4.0"),
    "MUL": ("1.5.0", "1.14.0", "1.15.0", "2.3.0", "2.6.0"),
    "NEG": ("1.9.0",),
    "PAD": ("1.5.0", "1.14.0", "2.4.0", "2.6.0"),
    "QUANTIZE": ("1.14.0", "1.15.0", "2.7.0"),
    "REDUCE_MAX": ("1.11.0", "1.14.0", "2.5.0"),
    "REDUCE_MIN": ("1.11.0", "1.14.0", "2.5.0"),
    "RELU": ("1.5.0", "2.1.0", "2.5.0"),
    "RESHAPE": ("1.5.0",),
    "RESIZE_BILINEAR": ("1.7.0", "1.14.0", "2.2.0", "2.5.0"),
    "SPACE_TO_DEPTH": ("1.5.0", "1.14.0"),
    "SPLIT": ("1.5.0", "1.14.0", "1.14.0", "2.3.0"),
    "SQUARED_DIFFERENCE": ("1.13.1", "2.5.0"),
    "STRIDED_SLICE": ("1.6.0", "1.14.0", "2.1.0", "2.2.0", "2.5.0", "2.6.0"),
    "SUB": ("1.6.0", "1.14.0", "2.3.0", "2.4.0", "2.5.0"),
    "SUM": ("1.10.0", "1.15.0"),
    "TANH": ("1.14.0", "1.14.0", "2.3.0"),
    "TRANSPOSE": ("1.6.0", "1.14.0", "1.15.0", "2.3.0", "2.4.0"),
}
_INT8_VERSION = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "RESHAPE": 1,
                 "QUANTIZE": 1}  # others: 2
_INT16_VERSION = {"ADD": 3, "CONV_2D": 4, "DEPTHWISE_CONV_2D": 5, "MUL": 4, "SUB": 5, "MEAN": 3,
                  "PAD": 3, "RESIZE_BILINEAR": 4, "QUANTIZE": 2, "DEQUANTIZE": 5, "RESHAPE": 1}
SOURCE = "https://ai.google.dev/edge/litert/inference#supported_operators"
# In the older GPU delegate's own list (https://www.tensorflow.org/lite/performance/gpu) MEAN,
# REDUCE_MIN, TANH, DEQUANTIZE and QUANTIZE are missing; its source takes the first four.
GPU, QUALCOMM = "gpu", "qualcomm_npu"
_BOTH = frozenset({
    "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE",
    "DEQUANTIZE", "DIV", "FULLY_CONNECTED", "LOGISTIC", "MAXIMUM", "MAX_POOL_2D", "MEAN", "MINIMUM",
    "MUL", "PAD", "REDUCE_MAX", "REDUCE_MIN", "RELU", "RELU6", "RESHAPE", "RESIZE_BILINEAR",
    "SLICE", "SPACE_TO_DEPTH", "SPLIT", "SQUARED_DIFFERENCE", "STRIDED_SLICE", "SUB", "SUM", "TANH",
    "TRANSPOSE", "TRANSPOSE_CONV",
})
DOCUMENTED: Mapping[str, frozenset[str]] = {GPU: _BOTH, QUALCOMM: _BOTH | {"QUANTIZE"}}


def lowest_runtime(content: bytes) -> dict[str, Any]:
    """Return the lowest runtime of a file.

    Returns:
      {version, because, unknown}: "2.2.0"; the operators (with version) that ask for it; operators
      or versions that the table does not know (version is then None).
    """
    model = tflite.parse(content)
    graph = tflite.graph(model)
    needed: dict[str, str] = {}
    unknown = set()
    for operator in graph.operators:
        name = tflite.operator_name(model, operator)
        types = {tflite.type_name(graph.tensors[i])
                 for i in (*tflite.activations(model, operator.inputs),
                           *map(int, operator.outputs))}
        stated = int(model.operatorCodes[operator.opcodeIndex].version)
        version = max(stated, _asked(name, types, operator, graph))
        key = f"{name} version {version}"
        if not 1 <= version <= len(_RUNTIMES.get(name, ())):
            unknown.add(key)
        else:
            needed[key] = _RUNTIMES[name][version - 1]
    highest = max(needed.values(), key=_order, default=None)
    return {"version": None if unknown else highest,
            "because": sorted(key for key, runtime in needed.items() if runtime == highest),
            "unknown": sorted(unknown)}


def documented(content: bytes) -> dict[str, Any]:
    """Return which operators of a file the accelerators' documentation does not name.

    Returns:
      {source, gpu, qualcomm_npu}, each accelerator {all, operators, missing}: whether every
      operator is documented, how many there are, and those that are not with their count.
    """
    model = tflite.parse(content)
    names = [tflite.operator_name(model, op) for op in tflite.graph(model).operators]
    support: dict[str, Any] = {"source": SOURCE}
    for accelerator, known in DOCUMENTED.items():
        missing = {name: names.count(name) for name in sorted(set(names) - known)}
        support[accelerator] = {"all": not missing, "operators": len(names), "missing": missing}
    return support


def _asked(name: str, types: set[str], operator: Any, graph: Any) -> int:
    """Return the version that types and options of an operator ask for."""
    version = 1
    if "int16" in types:
        version = _INT16_VERSION.get(name, 3)
    elif "int8" in types:
        version = _INT8_VERSION.get(name, 2)
    source = tflite.type_name(graph.tensors[int(operator.inputs[0])])
    if name == "QUANTIZE" and source != "float32":
        version = max(version, 2)  # from one scale to another
    if name == "DEQUANTIZE" and any(tflite.type_name(graph.tensors[int(i)]) == "float16"
                                    for i in operator.inputs):
        version = max(version, 3)
    if name == "RESIZE_BILINEAR" and operator.builtinOptions.halfPixelCenters:
        version = max(version, 3)
    return version


def _order(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
