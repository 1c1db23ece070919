"""Answers of a file: the one mask of the interface `points`, or all of `points-multi`.

A network of gestures is converted and quantized with all its answers. What leaves the mask alone
is a part of that file, operator by operator, so both give the same mask.
"""

from __future__ import annotations

import numpy as np

from export.tflite import model as tflite
from export.tflite import splice

MULTI = "points-multi"  # the interface
MULTI_NAME = "oace_multi_int8.tflite"


def one_answer(content: bytes) -> bytes:
    """Return the file with `mask` as its one output; a file with one output as it is.

    Args:
      content: a float or int8 file, without metadata (it would be dropped).
    """
    model = tflite.parse(content)
    inputs, outputs = tflite.signature(model)
    if set(outputs) == {"mask"}:
        return content
    graph = tflite.graph(model)
    graph.inputs = np.array(list(inputs.values()), np.int32)
    graph.outputs = np.array([outputs["mask"]], np.int32)
    splice.prune(model)
    tflite.add_signature(model, dict(zip(inputs, map(int, graph.inputs), strict=True)),
                         {"mask": int(graph.outputs[0])})
    return tflite.serialise(model)
