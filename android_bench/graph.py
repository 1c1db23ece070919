"""Operators of a .tflite file: name, version, multiplications, bytes; read with LiteRT's schema.

`check_versions` says before a phone is touched whether the default `benchmark_model` knows them.
"""
from __future__ import annotations

import math
import struct
from collections import Counter
from dataclasses import dataclass

from ai_edge_litert import schema_py_generated as schema

from android_bench.faults import UsageError

_NAMES = {number: name for name, number in vars(schema.BuiltinOperator).items()
          if isinstance(number, int)}
_WIDTHS = {0: 4, 1: 2, 2: 4, 3: 1, 4: 8, 6: 1, 7: 2, 9: 1, 10: 8}  # TensorType -> bytes
# Highest version of each operator that TensorFlow's own list of kernels (register.cc, commit
# 0314b97f) takes; 1 for those not named. The default program is built from a later source, which
# takes at least these, so a file that fits this list loads there.
KNOWN_VERSIONS = {
    "ABS": 5, "RELU": 3, "RELU6": 3, "TANH": 3, "LOGISTIC": 3, "AVERAGE_POOL_2D": 3,
    "MAX_POOL_2D": 3, "CONV_2D": 7, "DEPTHWISE_CONV_2D": 7, "SVDF": 4, "RNN": 3,
    "FULLY_CONNECTED": 10, "SOFTMAX": 3, "CONCATENATION": 4, "ADD": 5, "SPACE_TO_BATCH_ND": 4,
    "BATCH_TO_SPACE_ND": 4, "MUL": 7, "L2_NORMALIZATION": 2, "LSTM": 4, "PAD": 4, "PADV2": 4,
    "RESIZE_BILINEAR": 4, "RESIZE_NEAREST_NEIGHBOR": 4, "SPACE_TO_DEPTH": 2, "DEPTH_TO_SPACE": 2,
    "GATHER": 6, "TRANSPOSE": 6, "MEAN": 3, "DIV": 2, "SUB": 5, "SPLIT": 4, "SPLIT_V": 2,
    "SQUEEZE": 2, "STRIDED_SLICE": 8, "EXP": 2, "TOPK_V2": 3, "LOG": 2, "LOG_SOFTMAX": 2,
    "CAST": 5, "DEQUANTIZE": 5, "MAXIMUM": 4, "MINIMUM": 4, "ARG_MAX": 3, "ARG_MIN": 3,
    "GREATER": 2, "GREATER_EQUAL": 3, "LESS": 3, "LESS_EQUAL": 2, "SELECT": 4, "SELECT_V2": 2,
    "SLICE": 6, "TRANSPOSE_CONV": 4, "TILE": 3, "SUM": 2, "REDUCE_PROD": 2, "REDUCE_MAX": 3,
    "REDUCE_MIN": 3, "EQUAL": 4, "NOT_EQUAL": 3, "RSQRT": 2, "FAKE_QUANT": 2, "PACK": 4,
    "UNPACK": 4, "FLOOR_DIV": 3, "FLOOR_MOD": 2, "RANGE": 2, "LEAKY_RELU": 2,
    "SQUARED_DIFFERENCE": 2, "FILL": 4, "MIRROR_PAD": 3, "REVERSE_V2": 3, "GATHER_ND": 4,
    "WHERE": 2, "QUANTIZE": 3, "BATCH_MATMUL": 4, "BROADCAST_TO": 3}


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator: multiplications (of convolutions and matrix products), bytes in and out."""

    name: str
    version: int
    macs: int
    bytes_moved: int


@dataclass(frozen=True, slots=True)
class Graph:
    """The operators of the first subgraph, and whether convolutions have int8 weights."""

    operators: tuple[Operator, ...]
    int8: bool

    @property
    def macs(self) -> int:
        """Multiplications of one inference."""
        return sum(operator.macs for operator in self.operators)

    @property
    def bytes_moved(self) -> int:
        """Bytes that all operators read and write, weights left out."""
        return sum(operator.bytes_moved for operator in self.operators)

    def counts(self) -> Counter[str]:
        """Return how many operators there are of each name."""
        return Counter(operator.name for operator in self.operators)


def read_graph(data: bytes, name: str) -> Graph:
    """Return the operators of a .tflite file.

    Raises:
      UsageError: it is none, or is damaged.
    """
    if data[4:8] != b"TFL3":
        raise UsageError(f"{name} is not a .tflite file (no TFL3 at byte 4)")
    try:
        return _read(schema.Model.GetRootAsModel(data, 0))
    except (struct.error, IndexError, TypeError, ValueError, AttributeError,
            OverflowError) as error:
        raise UsageError(f"{name} is truncated or damaged ({error}); fetch it or build it "
                         "again") from error


def check_versions(graph: Graph, name: str) -> None:
    """Raise if the default `benchmark_model` may not know an operator of the file.

    Raises:
      UsageError: names the operators, their versions, and those that are known.
    """
    unknown = {}
    for operator in graph.operators:
        known = KNOWN_VERSIONS.get(operator.name, 1)
        if operator.name.startswith(("CUSTOM", "UNKNOWN")):
            unknown[operator.name] = "no builtin operator"
        elif operator.version > known:
            unknown[operator.name] = f"version {operator.version}, known up to {known}"
    if unknown:
        words = "; ".join(f"{key} ({why})" for key, why in sorted(unknown.items()))
        raise UsageError(f"{name}: the default benchmark_model cannot be relied on to load it: "
                         f"{words}; give a newer build with --benchmark-binary")


def _read(model: schema.Model) -> Graph:
    codes = [model.OperatorCodes(k) for k in range(model.OperatorCodesLength())]
    subgraph = model.Subgraphs(0)
    found = []
    int8 = False
    for k in range(subgraph.OperatorsLength()):
        operator = subgraph.Operators(k)
        code = codes[operator.OpcodeIndex()]
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        name = _NAMES.get(number, f"UNKNOWN {number}")
        if name == "CUSTOM":
            name = f"CUSTOM {(code.CustomCode() or b'').decode('utf-8', 'replace')}"
        inputs = [subgraph.Tensors(int(operator.Inputs(i))) for i in range(operator.InputsLength())
                  if int(operator.Inputs(i)) >= 0]
        outputs = [subgraph.Tensors(int(operator.Outputs(i)))
                   for i in range(operator.OutputsLength())]
        macs = _macs(name, inputs, outputs)
        int8 = int8 or (macs > 0 and len(inputs) > 1 and inputs[1].Type() == 9)
        variable = [tensor for tensor in inputs if not _constant(model, tensor)]
        found.append(Operator(name, code.Version(), macs, sum(map(_size, variable + outputs))))
    if not found:
        raise ValueError("it holds no operator")
    return Graph(tuple(found), int8)


def _macs(name: str, inputs: list[schema.Tensor], outputs: list[schema.Tensor]) -> int:
    """Return the multiplications of an operator; weights are (out, kh, kw, in)."""
    if name == "CONV_2D":
        return _count(outputs[0]) * math.prod(_shape(inputs[1])[1:])
    if name == "DEPTHWISE_CONV_2D":
        return _count(outputs[0]) * math.prod(_shape(inputs[1])[1:3])
    if name == "TRANSPOSE_CONV":
        return _count(inputs[2]) * math.prod(_shape(inputs[1])[:3])
    if name == "FULLY_CONNECTED":
        return _count(outputs[0]) * _shape(inputs[1])[-1]
    if name == "BATCH_MATMUL":
        return _count(outputs[0]) * _shape(inputs[0])[-1]
    return 0


def _shape(tensor: schema.Tensor) -> list[int]:
    return [max(1, int(tensor.Shape(k))) for k in range(tensor.ShapeLength())]


def _count(tensor: schema.Tensor) -> int:
    return math.prod(_shape(tensor))


def _size(tensor: schema.Tensor) -> int:
    return _count(tensor) * _WIDTHS.get(tensor.Type(), 4)


def _constant(model: schema.Model, tensor: schema.Tensor) -> bool:
    buffer = model.Buffers(tensor.Buffer())
    return buffer.DataLength() > 0 or buffer.Offset() > 1
