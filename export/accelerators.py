"""Would the GPU and Qualcomm's NPU take a file? Each operator against what their makers document.

A documented operator may still be refused for its shape or type; no phone has been asked. The
table is that of LiteRT's page on inference (columns "GPU Accelerator" and "Qualcomm NPU"), read in
November 2026, for the operators that our files have or could have.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from export import flatfile

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


def documented(content: bytes) -> dict[str, Any]:
    """Return which operators of a file the accelerators' documentation does not name.

    Returns:
      {source, gpu, qualcomm_npu}, each accelerator {all, operators, missing}: whether every
      operator is documented, how many there are, and those that are not with their count.
    """
    model = flatfile.parse(content)
    names = [flatfile.operator_name(model, op) for op in flatfile.graph(model).operators]
    found: dict[str, Any] = {"source": SOURCE}
    for accelerator, known in DOCUMENTED.items():
        missing = {name: names.count(name) for name in sorted(set(names) - known)}
        found[accelerator] = {"all": not missing, "operators": len(names), "missing": missing}
    return found
