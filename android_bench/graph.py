"""Operators of a .tflite file: name, version, multiplications, bytes; read with LiteRT's schema.

`check_versions` says before a phone is touched whether the default `benchmark_model` knows them.
"""
from __future__ import annotations

import math
import struct
from collections import Counter
from dataclasses import dataclass

from ai_edge_litert import schema_py_generated as schema

from oace_tf.errors import UsageError

_NAMES = {number: name for name, number in vars(schema.BuiltinOperator).items()
          if isinstance(number, int)}
_WIDTHS = {0: 4, 1: 2, 2: 4, 3: 1, 4: 8, 6: 1, 7: 2, 9: 1, 10: 8}  # TensorType -> bytes
# Highest version of every operator that the default program registers a kernel for, read out of its
# machine code (tests/android_bench/registered_kernels.py); the lowest is 1, of BROADCAST_TO 2
_REGISTERED = {
    1: "ADD_N ASSIGN_VARIABLE ATAN2 BITCAST BITWISE_XOR BROADCAST_ARGS BUCKETIZE CALL_ONCE "
       "CEIL COMPLEX_ABS CONV_3D CONV_3D_TRANSPOSE COS CUMSUM DENSIFY DILATE ELU "
       "EMBEDDING_LOOKUP_SPARSE EXPAND_DIMS FLOOR HARD_SWISH HASHTABLE HASHTABLE_FIND "
       "HASHTABLE_IMPORT HASHTABLE_LOOKUP HASHTABLE_SIZE IF IMAG L2_POOL_2D "
       "LOCAL_RESPONSE_NORMALIZATION LOGICAL_AND LOGICAL_NOT LOGICAL_OR LSH_PROJECTION "
       "MATRIX_DIAG MATRIX_SET_DIAG MULTINOMIAL NEG NON_MAX_SUPPRESSION_V4 "
       "NON_MAX_SUPPRESSION_V5 ONE_HOT POW PRELU RANDOM_STANDARD_NORMAL RANDOM_UNIFORM "
       "RANK READ_VARIABLE REAL REDUCE_ALL REDUCE_ANY REDUCE_WINDOW RELU_0_TO_1 "
       "RELU_N1_TO_1 RESHAPE REVERSE_SEQUENCE RFFT2D RIGHT_SHIFT ROUND SCATTER_ND "
       "SEGMENT_SUM SHAPE SIN SKIP_GRAM SQRT SQUARE STABLEHLO_ADD STABLEHLO_AND "
       "STABLEHLO_CASE STABLEHLO_COMPOSITE STABLEHLO_GATHER STABLEHLO_MAXIMUM "
       "STABLEHLO_MINIMUM STABLEHLO_MULTIPLY STABLEHLO_PAD STABLEHLO_REDUCE_WINDOW "
       "STABLEHLO_RNG_BIT_GENERATOR STABLEHLO_SCATTER STABLEHLO_SHIFT_LEFT UNIQUE "
       "UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_MIN UNSORTED_SEGMENT_PROD "
       "UNSORTED_SEGMENT_SUM VAR_HANDLE WHILE ZEROS_LIKE",
    2: "DEPTH_TO_SPACE DIV EXP FAKE_QUANT FLOOR_MOD GELU GREATER L2_NORMALIZATION "
       "LEAKY_RELU LESS_EQUAL LOG LOG_SOFTMAX RANGE REDUCE_PROD SELECT_V2 SIGN "
       "SPACE_TO_DEPTH SPLIT_V SQUARED_DIFFERENCE SQUEEZE SUM WHERE",
    3: "ARG_MAX ARG_MIN AVERAGE_POOL_2D BIDIRECTIONAL_SEQUENCE_LSTM "
       "BIDIRECTIONAL_SEQUENCE_RNN BROADCAST_TO DYNAMIC_UPDATE_SLICE FLOOR_DIV "
       "GREATER_EQUAL LESS LOGISTIC MAX_POOL_2D MEAN MIRROR_PAD NOT_EQUAL QUANTIZE "
       "REDUCE_MAX REDUCE_MIN RELU RELU6 REVERSE_V2 RNN RSQRT SOFTMAX SPARSE_TO_DENSE TANH "
       "TILE TOPK_V2 UNIDIRECTIONAL_SEQUENCE_RNN",
    4: "BATCH_MATMUL BATCH_TO_SPACE_ND CONCATENATION EMBEDDING_LOOKUP EQUAL FILL LSTM "
       "MAXIMUM MINIMUM PACK PAD PADV2 RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR SELECT "
       "SPACE_TO_BATCH_ND SPLIT SVDF UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK",
    5: "ABS ADD GATHER_ND SUB TRANSPOSE_CONV",
    6: "DEQUANTIZE SLICE TRANSPOSE",
    7: "CAST DEPTHWISE_CONV_2D GATHER MUL",
    8: "CONV_2D STRIDED_SLICE",
    13: "FULLY_CONNECTED"}
KNOWN_VERSIONS = {name: version for version, names in _REGISTERED.items()
                  for name in names.split()}


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
    """Raise if the default `benchmark_model` does not know an operator of the file.

    Raises:
      UsageError: names the operators, their versions, and those that are known.
    """
    unknown = {}
    for operator in graph.operators:
        known = KNOWN_VERSIONS.get(operator.name, 0)
        if not known:
            unknown[operator.name] = "not known"
        elif operator.version > known:
            unknown[operator.name] = f"version {operator.version}, known up to {known}"
    if unknown:
        words = "; ".join(f"{key} ({why})" for key, why in sorted(unknown.items()))
        raise UsageError(f"{name}: the default benchmark_model cannot load it: {words}; give a "
                         "newer build with --benchmark-binary")


def _read(model: schema.Model) -> Graph:
    codes = [model.OperatorCodes(k) for k in range(model.OperatorCodesLength())]
    subgraph = model.Subgraphs(0)
    operators = []
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
        operators.append(Operator(name, code.Version(), macs, sum(map(_size, variable + outputs))))
    if not operators:
        raise ValueError("it holds no operator")
    return Graph(tuple(operators), int8)


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
