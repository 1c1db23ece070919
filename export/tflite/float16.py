"""Half-precision file from the float32 file: weights as float16, for GPUs.

Each kernel and bias lies in the file as float16 with a DEQUANTIZE behind it, the form that the GPU
delegate and XNNPACK fold away. Activations are float32 to the file; a GPU computes in half. The
constants of the drawing are therefore brought into half's range: a tap of another label is pushed
away by 3e4 instead of 1e12, and the steep factor 1e9 becomes two of 3e4, with the same disks in
float32 to the pixel. A drawing of gestures pushes away by 1e4 times a square of labels, which is
cut at 3e4, and divides by a sum plus 1e-6, of which 1e-4 is made: in half the one would be
infinite, the other zero, and the mask without a box, or without a background tap, not a number.
"""
from __future__ import annotations

import copy
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from export.tflite import model as tflite
from export.tflite import splice
from oace_tf.clicks import FAR, STEEP
from oace_tf.errors import UsageError
from oace_tf.gestures import FAR as GESTURE_FAR

HALF_MAX = float(np.finfo(np.float16).max)
_HALF_FAR = 3.0e4  # squared pixels: beyond the 25 of a disk, within half's range
# twice: 3e4 times 3e4 times the smallest float32 step beyond 25 (1.9e-6) is above 1
_HALF_STEEP = 3.0e4
_IN_HALF = {np.float32(FAR): _HALF_FAR, np.float32(STEEP): _HALF_STEEP}
_LEAST_SUM = 1e-4  # beside sums of weights, which are about one where they are not zero
_SMALLEST = 64  # constants of fewer numbers stay float32: shapes of the drawing, scalars


def half_precision(float_bytes: bytes) -> bytes:
    """Return the half-precision twin of a float32 file.

    Raises:
      UsageError: a weight beyond the range of float16.
    """
    model = tflite.parse(float_bytes)
    graph = tflite.graph(model)
    _tame_drawing(model)
    halves: dict[int, int] = {}
    for index, tensor in enumerate(list(graph.tensors)):
        if (tflite.type_name(tensor) != "float32" or not tflite.is_constant(model, index)
                or int(np.prod(tensor.shape)) < _SMALLEST or _drawn(model, index)):
            continue
        value = tflite.constant(model, index)
        if not np.abs(value).max(initial=0.0) <= HALF_MAX:  # also true for NaN
            raise UsageError(f"a weight of {tflite.name_of(tensor).split(';')[0]} does not fit "
                             "float16")
        halves[index] = _as_half(model, index, value)
    for operator in graph.operators:
        operator.inputs = np.array([halves.get(int(i), int(i)) for i in operator.inputs], np.int32)
    code = _dequantize_code(model)
    ahead = []
    for source, index in halves.items():
        operator = schema.OperatorT()
        operator.opcodeIndex = code
        operator.inputs, operator.outputs = np.array([source]), np.array([index])
        ahead.append(operator)
    graph.operators = ahead + list(graph.operators)
    return tflite.serialise(model)


def _as_half(model: Any, index: int, value: np.ndarray) -> int:
    """Turn constant `index` into float16; return a new float32 tensor for its dequantized form."""
    graph = tflite.graph(model)
    tensor = graph.tensors[index]
    wide = schema.TensorT()
    wide.shape, wide.type, wide.buffer = tensor.shape, tensor.type, 0
    wide.name = ""
    wide.quantization = schema.QuantizationParametersT()
    tflite.set_constant(model, index, value)  # a buffer of its own
    tensor.type = schema.TensorType.FLOAT16
    model.buffers[tensor.buffer].data = np.frombuffer(value.astype("<f2").tobytes(), np.uint8)
    graph.tensors.append(wide)
    return len(graph.tensors) - 1


def _dequantize_code(model: Any) -> int:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    code.version = 3
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _drawn(model: Any, index: int) -> bool:
    """Return whether a constant belongs to the drawing: it is read by nothing else."""
    tensors = tflite.graph(model).tensors
    readers = tflite.consumers(model, index)
    return bool(readers) and all(
        tflite.name_of(tensors[int(op.outputs[0])]).startswith(("disks", "gestures/"))
        for op in readers)


def _tame_drawing(model: Any) -> None:
    graph = tflite.graph(model)
    operators = []
    for operator in graph.operators:
        operators.append(operator)
        constants = [int(i) for i in operator.inputs if tflite.is_constant(model, int(i))]
        output = int(operator.outputs[0])
        name = tflite.name_of(graph.tensors[output])
        if name.startswith("gestures/") and len(constants) == 1:
            operators += _tamed_gesture(model, operator, constants[0])
            continue
        drawn = name.startswith("disks/")
        if not drawn or tflite.operator_name(model, operator) != "MUL" or len(constants) != 1:
            continue
        value = tflite.constant(model, constants[0])
        if value.size != 1 or abs(float(value.ravel()[0])) <= HALF_MAX:
            continue
        magnitude = np.abs(value.ravel()[0])
        if magnitude not in _IN_HALF:
            raise ValueError(f"the drawing of the taps multiplies by {magnitude:g}, which is none "
                             "of the constants in oace_tf/clicks.py")
        steep = magnitude == np.float32(STEEP)
        small = np.full_like(value, np.sign(value.ravel()[0]) * _IN_HALF[magnitude])
        tflite.set_constant(model, constants[0], small)
        if steep:
            operators.append(_once_more(model, operator, constants[0]))
    graph.operators = operators


def _tamed_gesture(model: Any, operator: Any, constant: int) -> list[Any]:
    """Bring an operator of a gesture's drawing into half's range; return what must follow it."""
    tensor = tflite.graph(model).tensors[constant]
    if tflite.type_name(tensor) != "float32" or int(np.prod(tensor.shape)) != 1:
        return []
    value = float(tflite.constant(model, constant).ravel()[0])
    kind = tflite.operator_name(model, operator)
    if kind == "ADD" and 0 < value < _LEAST_SUM:
        small = np.full_like(tflite.constant(model, constant), _LEAST_SUM)
        operator.inputs = np.array([_new_constant(model, small) if int(i) == constant else int(i)
                                    for i in operator.inputs], np.int32)
    if kind == "MUL" and value == GESTURE_FAR:
        return [_cut(model, operator)]
    return []


def _cut(model: Any, operator: Any) -> Any:
    """Return a MINIMUM behind `operator`, which keeps it within half's range; it takes its name."""
    graph = tflite.graph(model)
    output = int(operator.outputs[0])
    between = copy.copy(graph.tensors[output])
    between.name = f"{tflite.name_of(graph.tensors[output])}/uncut"
    graph.tensors.append(between)
    index = len(graph.tensors) - 1
    operator.outputs = np.array([index], np.int32)
    limit = _new_constant(model, np.array(_HALF_FAR, np.float32))
    return splice.operator(model, "MINIMUM", 1, [index, limit], [output])


def _new_constant(model: Any, value: np.ndarray) -> int:
    """Return a new float32 tensor with a content of its own."""
    tensor = schema.TensorT()
    tensor.shape, tensor.type = np.array(value.shape, np.int32), schema.TensorType.FLOAT32
    tensor.name = ""
    model.buffers.append(schema.BufferT())
    model.buffers[-1].data = np.frombuffer(value.astype("<f4").tobytes(), np.uint8)
    tensor.buffer = len(model.buffers) - 1
    tflite.graph(model).tensors.append(tensor)
    return len(tflite.graph(model).tensors) - 1


def _once_more(model: Any, operator: Any, constant: int) -> Any:
    """Return a MUL behind `operator` by the magnitude of the same constant; it takes its name."""
    graph = tflite.graph(model)
    output = int(operator.outputs[0])
    between = copy.copy(graph.tensors[output])
    between.name = f"{tflite.name_of(graph.tensors[output])}/steep"
    graph.tensors.append(between)
    factor = copy.copy(graph.tensors[constant])
    factor.buffer = len(model.buffers)
    model.buffers.append(schema.BufferT())
    graph.tensors.append(factor)
    value = np.abs(tflite.constant(model, constant))
    model.buffers[factor.buffer].data = np.frombuffer(value.tobytes(), np.uint8)
    factor.name = f"{between.name}/factor"
    second = copy.copy(operator)
    operator.outputs = np.array([len(graph.tensors) - 2], np.int32)
    second.inputs = np.array([len(graph.tensors) - 2, len(graph.tensors) - 1], np.int32)
    second.outputs = np.array([output], np.int32)
    return second
