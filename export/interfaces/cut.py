"""A network of gestures in two: what the photograph alone decides, and the rest.

Both are parts of the finished model, operator by operator; what lies between them are its own
tensors, so together they give the very numbers that the one model gives.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from export.tflite import model as tflite
from export.tflite import splice
from oace_tf.runtime.split_model import FEATURES


def in_two(model: Any, photograph: Mapping[str, int], gesture: Mapping[str, int],
           outputs: Mapping[str, int], as_float: bool = False) -> tuple[bytes, bytes]:
    """Return two files: photograph -> features; gesture, features -> outputs.

    Args:
      model: the whole; it stays as it is.
      photograph, gesture: inputs of the first and of the second file, name -> tensor.
      outputs: of the second file.
      as_float: whether int8 features are float32 between the files; they come back as they were.
    """
    graph = tflite.graph(model)
    constant: set[int] = set()  # made of constants alone, such as half-precision weights
    alone = set(photograph.values())
    first, second = [], []
    for operator in graph.operators:
        needs = set(tflite.activations(model, operator.inputs)) - constant
        results = [int(i) for i in operator.outputs]
        if not needs:
            constant.update(results)
            first.append(operator)
        # What is opened from int8 to float stays behind: int8 is a fourth of it.
        elif alone.issuperset(needs) and tflite.operator_name(model, operator) != "DEQUANTIZE":
            alone.update(results)
            first.append(operator)
            continue
        second.append(operator)
    read = {int(i) for operator in second for i in operator.inputs}
    features = {f"{FEATURES}{count}": index for count, index in enumerate(
        sorted(alone & read - set(photograph.values())))}
    # What opens bytes comes first: behind another operator it would split the delegate in two.
    second.sort(key=lambda op: tflite.operator_name(model, op) != "QUANTIZE" or (
        int(op.inputs[0]) not in gesture.values()))
    return (_part(model, first, photograph, features, as_float, False),
            _part(model, second, {**gesture, **features}, outputs, as_float, True))


def _part(model: Any, operators: Sequence[Any], inputs: Mapping[str, int],
          outputs: Mapping[str, int], as_float: bool, takes: bool) -> bytes:
    """Return the file of some operators, its ends named; `takes`: it is the second of the two."""
    part = copy.copy(model)
    graph = copy.copy(tflite.graph(model))
    part.subgraphs = [graph]
    graph.operators = [copy.copy(operator) for operator in operators]
    graph.tensors = [copy.copy(tensor) for tensor in graph.tensors]
    part.operatorCodes = [copy.copy(code) for code in model.operatorCodes]
    ends = dict(inputs if takes else outputs)
    for name, index in ends.items():
        tensor = graph.tensors[index]
        if as_float and name.startswith(FEATURES) and tflite.type_name(tensor) == "int8":
            ends[name] = splice.copy_of(part, index)
            splice.set_type(graph.tensors[ends[name]], "float32")
            if takes:
                graph.operators.insert(0, splice.operator(part, "QUANTIZE", 1, [ends[name]],
                                                          [index]))
            else:
                graph.operators.append(splice.operator(part, "DEQUANTIZE", 2, [index],
                                                       [ends[name]]))
    inputs, outputs = (ends, outputs) if takes else (inputs, ends)
    graph.inputs = np.array(list(inputs.values()), np.int32)
    graph.outputs = np.array(list(outputs.values()), np.int32)
    splice.prune(part)
    for tensor in graph.tensors:
        if tflite.name_of(tensor) in {*inputs, *outputs, "image", "points", "mask"}:
            tensor.name = ""
    tflite.add_signature(part, dict(zip(inputs, map(int, graph.inputs), strict=True)),
                         dict(zip(outputs, map(int, graph.outputs), strict=True)))
    return tflite.serialise(part)
