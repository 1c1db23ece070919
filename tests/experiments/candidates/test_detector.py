"""The detector's trunk: every tensor by name, the same features, what is refused."""
from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from experiments.candidates.detector import init_from_detector, name_in_graph
from oace_tf.config import NetworkConfig
from oace_tf.errors import UsageError
from oace_tf.networks.gesture_networks import build_gesture_networks
from oace_tf.networks.weights import named_variables, value_of

CONFIG = dataclasses.replace(NetworkConfig.preset("one_trunk"), trunk="mobilenet_v2",
                             second_pass=False)


@pytest.fixture(scope="module")
def networks():
    return build_gesture_networks(CONFIG, 64, 1)


def _write_graph(path, networks, left_out=""):
    """A graph of constants of the right shapes; returns them by their names in it."""
    rng = np.random.default_rng(9)
    graph, tensors = tf.compat.v1.GraphDef(), {}
    for name, variable in named_variables(networks.encoder):
        if not name.startswith("shared.trunk."):
            continue
        theirs = name_in_graph(name.removeprefix("shared.trunk."))
        if theirs == left_out:
            continue
        tensors[theirs] = rng.uniform(0.5, 1.5, value_of(variable).shape).astype(np.float32)
        node = graph.node.add(name="FeatureExtractor/MobilenetV2/" + theirs, op="Const")
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(tensors[theirs]))
    path.write_bytes(graph.SerializeToString())
    return tensors


@pytest.mark.parametrize(("ours", "theirs"), (
    ("_conv_stem.weight", "Conv/weights"),
    ("_bn0.running_var", "Conv/BatchNorm/moving_variance"),
    ("_blocks.0._depthwise_conv.weight", "expanded_conv/depthwise/depthwise_weights"),
    ("_blocks.0._bn1.weight", "expanded_conv/depthwise/BatchNorm/gamma"),
    ("_blocks.12._expand_conv.weight", "expanded_conv_12/expand/weights"),
    ("_blocks.12._bn0.bias", "expanded_conv_12/expand/BatchNorm/beta"),
    ("_blocks.16._bn2.running_mean", "expanded_conv_16/project/BatchNorm/moving_mean")))
def test_names(ours, theirs):
    assert name_in_graph(ours) == theirs


def test_every_tensor_of_the_trunk_comes_from_the_graph(tmp_path, networks):
    tensors = _write_graph(tmp_path / "graph.pb", networks)
    assert init_from_detector(networks, tmp_path / "graph.pb") == len(tensors) == 255
    for name, variable in named_variables(networks.encoder):
        short = name.removeprefix("shared.trunk.")
        if short == name or short in ("_conv_stem.weight", "_bn0.running_mean"):
            continue
        assert np.array_equal(value_of(variable), tensors[name_in_graph(short)]), name


def test_the_stem_sees_the_photograph_as_the_detector_did(tmp_path, networks):
    tensors = _write_graph(tmp_path / "graph.pb", networks)
    init_from_detector(networks, tmp_path / "graph.pb")
    variables = dict(named_variables(networks.encoder))
    stem, mean = (value_of(variables["shared.trunk." + name])
                  for name in ("_conv_stem.weight", "_bn0.running_mean"))
    photograph = np.random.default_rng(10).integers(0, 256, (1, 3, 3, 3)).astype(np.float32)
    ours = ((photograph[0, ..., None] - 128.0) / 128.0 * stem).sum((0, 1, 2)) - mean
    theirs = ((photograph[0, ..., None] / 127.5 - 1.0) * tensors["Conv/weights"]).sum((0, 1, 2))
    theirs = theirs - tensors["Conv/BatchNorm/moving_mean"]
    assert ours == pytest.approx(theirs, abs=1e-4)


def test_another_file_is_refused(tmp_path, networks):
    _write_graph(tmp_path / "graph.pb", networks, "expanded_conv_3/project/weights")
    with pytest.raises(UsageError, match="no tensor expanded_conv_3/project/weights of shape"):
        init_from_detector(networks, tmp_path / "graph.pb")
    (tmp_path / "text.pb").write_text("no graph")
    with pytest.raises(UsageError, match="text.pb: cannot be read as a TensorFlow graph"):
        init_from_detector(networks, tmp_path / "text.pb")
    with pytest.raises(UsageError, match="missing.pb: cannot be read as a TensorFlow graph"):
        init_from_detector(networks, tmp_path / "missing.pb")
