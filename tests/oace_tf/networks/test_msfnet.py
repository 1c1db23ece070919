"""MSFNet: its head against a plain one, and fresh, its trunk in charge."""
from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest

from oace_tf.config import NetworkConfig
from oace_tf.networks.layers import Scope
from oace_tf.networks.msfnet import FUSION_GAIN, build_msfnet, mask_head
from oace_tf.networks.weights import named_variables
from tests.oace_tf.networks import plain

SIZE = 64

# float32 against float64 through some thirty layers; measured: 3e-6 of the largest value
TOLERANCE = 3e-5


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=TOLERANCE * np.abs(expected).max(), rtol=0)


@pytest.mark.parametrize("stem_stride", (1, 2, 4))
def test_the_head_around_hrnet_equals_a_plain_one(stem_stride):
    config = dataclasses.replace(NetworkConfig.preset("hrnet"), stem_stride=stem_stride)
    cells = 8
    joined = keras.Input((cells, cells, 6))
    model = keras.Model(joined, mask_head(Scope("h"), joined, None, config))
    rng, weights = np.random.default_rng(0), {}
    for name, variable in named_variables(model):
        weights[name] = rng.uniform(0.5 if name.endswith("var") else -0.5, 1, variable.shape)
        variable.assign(weights[name])
    x = rng.uniform(0, 1, (cells, cells, 6)).astype(np.float32)
    expected = plain.block(x, weights, "h.block1")
    if stem_stride > 1:
        expected = plain.up2(expected)
    expected = plain.conv(plain.block(expected, weights, "h.block2"), weights["h.mask.weight"])
    expected = expected + weights["h.mask.bias"]
    expected = plain.enlarge(expected, 2 if stem_stride == 4 else 1)
    assert expected.shape == (cells * stem_stride, cells * stem_stride, 1)
    assert_close(keras.ops.convert_to_numpy(model(x[None]))[0], expected)


def test_a_fresh_msfnet_leaves_its_trunk_in_charge():
    # The click stem joins at a fraction of the trunk's own strength, masks start out small.
    msfnet = build_msfnet(NetworkConfig.preset("tiny"), SIZE)
    gamma = np.asarray(msfnet.get_layer("msfnet.click_fuse_bn").gamma)
    np.testing.assert_allclose(gamma, FUSION_GAIN)
    np.testing.assert_allclose(np.asarray(msfnet.get_layer("msfnet.head.mask").bias), -1)
