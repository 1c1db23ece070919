"""Splice of two TFLite files into one, without what no output needs.

The interfaces beside `points` are the shipped int8 file behind another entrance: the network's
operators, weights and scales are taken over as they are, so nothing is calibrated or quantized
anew, and equal taps give equal bytes. Works on `ModelT` objects with one subgraph.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from export.tflite import model as tflite


def join(first: Any, second: Any, links: Mapping[int, int]) -> tuple[Any, dict[int, int]]:
    """Return one model that runs `first` and then `second`, and where second's tensors went.

    Args:
      first, second: models; both stay as they are.
      links: tensor of `first` -> the tensor of `second` whose place it takes, of equal type and
        shape. What computed the latter is left out with `prune`.
    Returns:
      The model, whose inputs are those of `first` and the unlinked ones of `second`, and whose
      outputs are those of `second`; and second's tensor -> its index in the model. It has no
      signature, no metadata.
    Raises:
      ValueError: linked tensors differ in type, scale or shape.
    """
    model, added = copy.deepcopy(first), copy.deepcopy(second)
    graph, other = tflite.graph(model), tflite.graph(added)
    index_of: dict[int, int] = {}
    for mine, theirs in links.items():
        _check_link(graph.tensors[mine], other.tensors[theirs])
        index_of[theirs] = mine
    buffers, codes = len(model.buffers), len(model.operatorCodes)
    model.buffers += added.buffers
    model.operatorCodes += added.operatorCodes
    for index, tensor in enumerate(other.tensors):
        if index in index_of:
            continue
        tensor.buffer += buffers
        index_of[index] = len(graph.tensors)
        graph.tensors.append(tensor)
    taken = set(links.values())
    for operator in other.operators:
        operator.opcodeIndex += codes
        operator.inputs = _moved(operator.inputs, index_of)
        outputs = [int(i) for i in operator.outputs]
        if taken.isdisjoint(outputs):  # else it drew what now comes from `first`
            operator.outputs = _moved(outputs, index_of)
            graph.operators.append(operator)
    graph.inputs = np.array([*graph.inputs, *(index_of[int(i)] for i in other.inputs
                                              if int(i) not in taken)], np.int32)
    graph.outputs = _moved(other.outputs, index_of)
    model.signatureDefs, model.metadata, model.metadataBuffer = [], [], None
    return model, index_of


def prune(model: Any) -> None:
    """Remove, in place, every operator, input, tensor, buffer and code that no output needs.

    The signature and the metadata go too; the order of what stays is kept.
    """
    graph = tflite.graph(model)
    needed = {int(i) for i in graph.outputs}
    operators = []
    for operator in reversed(graph.operators):
        if needed.intersection(int(i) for i in operator.outputs):
            needed.update(int(i) for i in operator.inputs if i >= 0)
            needed.update(int(i) for i in operator.outputs)
            operators.append(operator)
    graph.operators = operators[::-1]
    graph.inputs = np.array([i for i in graph.inputs if int(i) in needed], np.int32)
    index_of = _renumbered(needed)
    graph.tensors = [graph.tensors[old] for old in index_of]
    for operator in graph.operators:
        operator.inputs = _moved(operator.inputs, index_of)
        operator.outputs = _moved(operator.outputs, index_of)
    graph.inputs, graph.outputs = _moved(graph.inputs, index_of), _moved(graph.outputs, index_of)
    buffers = _renumbered({0, *(tensor.buffer for tensor in graph.tensors)})
    model.buffers = [model.buffers[old] for old in buffers]
    for tensor in graph.tensors:
        tensor.buffer = buffers[tensor.buffer]
    codes = _renumbered({operator.opcodeIndex for operator in graph.operators})
    model.operatorCodes = [model.operatorCodes[old] for old in codes]
    for operator in graph.operators:
        operator.opcodeIndex = codes[operator.opcodeIndex]
    model.signatureDefs, model.metadata, model.metadataBuffer = [], [], None


def producer(model: Any, index: int) -> Any:
    """Return the operator that writes tensor `index`.

    Raises:
      ValueError: none does.
    """
    for operator in tflite.graph(model).operators:
        if index in list(operator.outputs):
            return operator
    raise ValueError(f"no operator writes tensor {index}")


def operator(model: Any, name: str, version: int, inputs: Iterable[int],
             outputs: Iterable[int]) -> Any:
    """Return a new operator without options; the caller puts it in its place.

    Args:
      name: as in the schema, such as `DEQUANTIZE`.
      version: of the operator: the first that knows the types.
    """
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, name)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.version = version
    model.operatorCodes.append(code)
    new = schema.OperatorT()
    new.opcodeIndex = len(model.operatorCodes) - 1
    new.inputs = np.array(list(inputs), np.int32)
    new.outputs = np.array(list(outputs), np.int32)
    return new


def set_type(tensor: Any, kind: str, scale: float = 0.0, zero_point: int = 0) -> None:
    """Give a tensor a type, in lower case, and its scale; without one it is not quantized."""
    tensor.type = getattr(schema.TensorType, kind.upper())
    tensor.quantization = None
    if scale:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = np.array([scale], np.float32)
        tensor.quantization.zeroPoint = np.array([zero_point], np.int64)


def copy_of(model: Any, index: int) -> int:
    """Return a new tensor of the same shape and type, without content or name."""
    graph = tflite.graph(model)
    old = graph.tensors[index]
    tensor = type(old)()
    tensor.shape, tensor.type, tensor.buffer, tensor.name = old.shape, old.type, 0, ""
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def set_zeros(model: Any, index: int) -> None:
    """Make a tensor a constant that stands for 0 everywhere.

    Raises:
      ValueError: its numbers are no float32 and no int8.
    """
    tensor = tflite.graph(model).tensors[index]
    kind = tflite.type_name(tensor)
    if kind not in ("float32", "int8"):
        raise ValueError(f"a tensor of {kind} cannot be made a constant of zeros")
    _, zero = tflite.scale_and_zero(tensor) or (0.0, 0)
    shape = [int(n) for n in tensor.shape]
    value = np.full(shape, zero, np.int8) if kind == "int8" else np.zeros(shape, np.float32)
    model.buffers.append(schema.BufferT())
    model.buffers[-1].data = np.frombuffer(value.tobytes(), np.uint8)
    tensor.buffer = len(model.buffers) - 1


def _check_link(mine: Any, theirs: Any) -> None:
    ends = [(tflite.type_name(t), tflite.scale_and_zero(t), [int(n) for n in t.shape])
            for t in (mine, theirs)]
    if ends[0] != ends[1]:
        raise ValueError(f"tensor {tflite.name_of(theirs)!r} is {ends[1]}, what is to take its "
                         f"place is {ends[0]}")


def _moved(indices: Iterable[int], index_of: Mapping[int, int]) -> np.ndarray:
    return np.array([index_of[int(i)] if i >= 0 else -1 for i in indices], np.int32)


def _renumbered(indices: set[int]) -> dict[int, int]:
    return {old: new for new, old in enumerate(sorted(indices))}
