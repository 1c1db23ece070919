"""A file of gestures in two: encoder (photograph -> features), decoder (gesture -> mask).

Both are parts of the finished int8 file, operator by operator, and what lies between them are its
own int8 tensors: together they give the very bytes that the one file gives. The encoder is all that
the photograph alone decides; a later tap on it costs the decoder.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from export.interfaces.build import parse_points
from export.tflite import model as tflite
from export.tflite import splice
from oace_tf.errors import UsageError
from oace_tf.runtime.split_model import FEATURES
from oace_tf.runtime.tflite_reader import PREVIOUS


def encoder_and_decoder(points_file: bytes) -> tuple[bytes, bytes]:
    """Return the files of encoder and decoder, without metadata.

    Encoder: image (1, S, S, 3) uint8 -> features_0, features_1, ... int8. Decoder: points
    (1, N, 3) float32, previous (1, S, S, 1) uint8 and the features -> mask (1, S, S, 1) uint8.

    Args:
      points_file: the int8 file of a network of gestures.
    Raises:
      UsageError: it is another file, or one whose photograph passes through the network with the
        tap, as that of a pair does.
    """
    model = parse_points(points_file)
    inputs, outputs = tflite.signature(model)
    if PREVIOUS not in inputs:
        raise UsageError("encoder and decoder are made of the file of a network of gestures; in "
                         "that of a pair the tap goes through the trunk with the photograph")
    graph = tflite.graph(model)
    alone = {inputs["image"]}  # what the photograph alone decides, in int8
    first = []
    for operator in graph.operators:
        needs = tflite.activations(model, operator.inputs)
        made = [int(i) for i in operator.outputs]
        if needs and alone.issuperset(needs) and all(
                tflite.type_name(graph.tensors[i]) == "int8" for i in made):
            alone.update(made)
            first.append(operator)
    second = [op for op in graph.operators if all(op is not known for known in first)]
    # What opens the bytes comes first: behind another operator it would split the delegate in two.
    second.sort(key=lambda op: inputs[PREVIOUS] not in list(op.inputs))
    read = {int(i) for operator in second for i in operator.inputs}
    features = {f"{FEATURES}{count}": index
                for count, index in enumerate(sorted(alone & read - {inputs["image"]}))}
    encoder = _part(model, first, {"image": inputs["image"]}, features)
    given = {"points": inputs["points"], PREVIOUS: inputs[PREVIOUS], **features}
    return encoder, _part(model, second, given, {"mask": outputs["mask"]})


def _part(model: Any, operators: list[Any], inputs: Mapping[str, int],
          outputs: Mapping[str, int]) -> bytes:
    """Return the file of some operators, its ends named."""
    part = copy.copy(model)
    graph = copy.copy(tflite.graph(model))
    part.subgraphs = [graph]
    graph.operators = [copy.copy(operator) for operator in operators]
    graph.tensors = [copy.copy(tensor) for tensor in graph.tensors]
    graph.inputs = np.array(list(inputs.values()), np.int32)
    graph.outputs = np.array(list(outputs.values()), np.int32)
    part.operatorCodes = [copy.copy(code) for code in model.operatorCodes]
    splice.prune(part)
    tflite.add_signature(part, dict(zip(inputs, map(int, graph.inputs), strict=True)),
                         dict(zip(outputs, map(int, graph.outputs), strict=True)))
    return tflite.serialise(part)
