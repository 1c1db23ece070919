"""What joins the trunk from zero: silent at first, not dead."""
from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest

from oace_tf.config import NetworkConfig
from oace_tf.networks.pair import build_pair
from oace_tf.networks.weights import get_arrays
from oace_tf.networks.zero_start import zero_start

SIDE = 64


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(5)


def fresh(**fields):
    return build_pair(dataclasses.replace(NetworkConfig.preset("tiny"), **fields), SIDE)


def inputs(pair):
    rng = np.random.default_rng(1)
    image = rng.uniform(-1, 1, (1, SIDE, SIDE, 3)).astype(np.float32)
    oace = rng.uniform(-1, 1, (1, SIDE, SIDE, 3)).astype(np.float32)
    disks = np.zeros((1, SIDE, SIDE, pair.config.click_channels), np.float32)
    disks[:, 20:31, 20:31, 0] = 127 / 128
    return [keras.ops.convert_to_tensor(array) for array in (image, oace, disks)]


def logits(pair, image, oace, disks):
    return np.asarray(pair.segment(pair.seen(image), oace, disks))


@pytest.mark.parametrize("shared", (False, True))
def test_the_oace_is_silent_beside_the_disk_and_the_disk_is_not(shared):
    pair = fresh(click_input="oace+disk", shared_trunk=shared,
                 **({"prior_fusion": "late", "prior_stem_stride": None} if shared else {}))
    image, oace, disks = inputs(pair)
    loud = logits(pair, image, oace, disks) - logits(pair, image, -oace, disks)
    assert np.abs(loud).max() > 1e-4  # the test could not fail otherwise
    zero_start(pair)
    np.testing.assert_array_equal(logits(pair, image, oace, disks),
                                  logits(pair, image, -oace, disks))
    assert np.abs(logits(pair, image, oace, disks) - logits(pair, image, oace, 0 * disks)).max() > 0


@pytest.mark.parametrize(("fields", "changed"), (
    ({"click_input": "oace+disk"}, ["msfnet.click_stem.conv.weight", "msfnet.msf_fuse_bn.weight"]),
    ({"click_input": "oace"}, ["msfnet.msf_fuse_bn.weight"]),
    ({"click_input": "disk"}, ["msfnet.msf_fuse_bn.weight"]),
    ({"click_input": "disk", "msf": False}, [])))
def test_what_is_changed_is_named_and_nothing_else_is(fields, changed):
    pair = fresh(**fields)
    before = get_arrays(pair)
    assert zero_start(pair) == changed
    after = get_arrays(pair)
    assert [name for name in before if not np.array_equal(before[name], after[name])] == changed
    for name in changed:
        assert (after[name] == 0).any()
    if "msfnet.click_stem.conv.weight" in changed:
        kernel = after["msfnet.click_stem.conv.weight"]
        assert not kernel[:, :, :3].any()
        np.testing.assert_array_equal(kernel[:, :, 3:],
                                      before["msfnet.click_stem.conv.weight"][:, :, 3:])


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="takes TensorFlow's gradient")
def test_both_come_in_by_training():
    import tensorflow as tf

    pair = fresh(click_input="oace+disk")
    changed = zero_start(pair)
    image, oace, disks = inputs(pair)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(pair.segment(pair.seen(image), oace, disks, True)))
    paths = ("msfnet.click_stem.conv/kernel", "msfnet.msf_fuse_bn/gamma")
    variables = [v for v in pair.msfnet.trainable_variables if v.path in paths]
    stem, scale = tape.gradient(loss, [v.value for v in variables])
    assert len(changed) == len(variables) == 2
    assert np.abs(stem.numpy()[:, :, :3]).max() > 0 and np.abs(scale.numpy()).max() > 0
