"""Extraction of parts of a TFLite file, and the layers that its operators come from.

A part holds some of the operators; what they read and nobody among them makes are its inputs, what
others read its outputs. Parts are for measuring: they carry no signature and no metadata.
"""
from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any

from export.tflite import model as tflite
from oace_tf.errors import UsageError

_LAYER = re.compile(r"\b(?:prior|msfnet|refiner|shared)\.[\w.]+")
_SUFFIX = re.compile(r"_\d+$")  # of the copy that a fused model makes of a layer
_ADDED = ("QUANTIZE", "DEQUANTIZE")  # what the int8 file has and its float twin has not
DRAWING, ELSEWHERE = "drawing of the taps", "elsewhere"


def part(model: Any, indices: Sequence[int]) -> bytes:
    """Return the file of some operators of a model.

    Args:
      model: as `tflite.parse` gives it; it stays as it is.
      indices: places of the operators in the model's list, in rising order; at least one.
    """
    graph = tflite.graph(model)
    operators = [graph.operators[index] for index in indices]
    results = [int(i) for operator in operators for i in operator.outputs]
    read = [int(i) for operator in operators for i in operator.inputs if i >= 0]
    inside = set(results)
    constants = {i for i in read if tflite.is_constant(model, i)}
    inputs = list(dict.fromkeys(i for i in read if i not in inside | constants))
    own = set(map(int, indices))
    outside = {int(i) for index, operator in enumerate(graph.operators) if index not in own
               for i in operator.inputs} | {int(i) for i in graph.outputs}
    outputs = [i for i in results if i in outside] or results[-1:]
    used = list(dict.fromkeys(read + results))
    index_of = {tensor: index for index, tensor in enumerate(used)}

    result = copy.copy(model)
    result.signatureDefs = result.metadata = result.metadataBuffer = None
    result.buffers = [model.buffers[0]]
    new = copy.copy(graph)
    new.tensors = []
    for index in used:
        tensor = copy.copy(graph.tensors[index])
        tensor.buffer = 0
        if index in constants:
            result.buffers.append(model.buffers[graph.tensors[index].buffer])
            tensor.buffer = len(result.buffers) - 1
        new.tensors.append(tensor)
    new.operators = []
    for operator in operators:
        moved = copy.copy(operator)
        moved.inputs = [index_of[int(i)] if i >= 0 else -1 for i in operator.inputs]
        moved.outputs = [index_of[int(i)] for i in operator.outputs]
        new.operators.append(moved)
    new.inputs = [index_of[i] for i in inputs]
    new.outputs = [index_of[i] for i in outputs]
    result.subgraphs = [new]
    return tflite.serialise(result)


def layer_of(name: str) -> str:
    """Return the layer in a float file's tensor name: `prior.trunk.conv1`, or `elsewhere`."""
    if name == "disks" or name.startswith(tflite.FLOAT_PREFIXES):
        return DRAWING
    match = _LAYER.search(name)
    return _SUFFIX.sub("", match.group()) if match else ELSEWHERE


def stage_of(layer: str) -> str:
    """Return the stage of a layer: two parts of its name, three within a trunk."""
    parts = layer.split(".")
    return ".".join(parts[:3 if "trunk" in parts[:2] else 2])


def layers_of(model: Any, named: Any | None = None) -> list[str]:
    """Return the layer of each operator of a file.

    Args:
      model: the file that is asked about; an int8 file has no names left.
      named: its float twin, which has them; None where `model` has names itself.
    Raises:
      UsageError: the two files are not twins.
    """
    names = [layer_of(tflite.name_of(tflite.graph(named or model).tensors[int(op.outputs[0])]))
             for op in tflite.graph(named or model).operators]
    if named is None:
        return names
    ours = [tflite.operator_name(model, op) for op in tflite.graph(model).operators]
    theirs = [tflite.operator_name(named, op) for op in tflite.graph(named).operators]
    if [name for name in ours if name not in _ADDED] != [
            name for name in theirs if name not in _ADDED]:
        raise UsageError("the float file is not the twin of this int8 file: their operators "
                         "differ; give the two that one build made")
    rest = iter([layer for layer, name in zip(names, theirs) if name not in _ADDED])
    layers: list[str] = []
    for name in ours:  # what was added belongs to the operator before it
        layers.append((layers[-1] if layers else ELSEWHERE) if name in _ADDED else next(rest))
    return layers
