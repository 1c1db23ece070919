"""The parts of RITM that differ from PyTorch's in form, against their definitions."""
from __future__ import annotations

import keras
import numpy as np
import pytest

from oace_tf.clicks import draw_disks
from oace_tf.geometry import IMAGENET_DEVIATION, IMAGENET_MEAN
from oace_tf.networks.cost import add_up, cost_table
from oace_tf.networks.ported import ritm
from tests.golden.port.weights import seeded

RNG = np.random.default_rng(8)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def test_a_leaky_convolution_is_a_convolution_and_a_leak():
    layer = ritm.LeakyConv(5)
    x = normal(1, 4, 6, 3)
    layer.build(x.shape)
    layer.kernel.assign(normal(1, 1, 3, 5))
    layer.bias.assign(normal(5))
    plain = x @ np.asarray(layer.kernel)[0, 0] + np.asarray(layer.bias)
    np.testing.assert_allclose(np.asarray(layer(x)), np.where(plain > 0, plain, 0.2 * plain),
                               atol=1e-6)


def test_the_scale_counts_by_its_size():
    layer = ritm.Scale()
    layer.build((1, 2, 2, 3))
    layer.scale.assign([-0.5])
    x = normal(1, 2, 2, 3)
    np.testing.assert_allclose(np.asarray(layer(x)), 0.5 * x, atol=1e-7)


def test_photographs_are_standardised_as_imagenet():
    image = RNG.integers(0, 256, (1, 3, 3, 3))
    found = np.asarray(ritm.Standardise()(((image - 128.0) / 128).astype(np.float32)))
    expected = (image / 255 - np.array(IMAGENET_MEAN)) / np.array(IMAGENET_DEVIATION)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_gathering_is_a_mean_weighted_by_a_softmax_over_places():
    logits, features = normal(2, 3, 4, 1), normal(2, 3, 4, 5)
    weights = np.exp(logits.reshape(2, 12, 1))
    expected = (weights * features.reshape(2, 12, 5)).sum(1) / weights.sum(1)
    found = np.asarray(ritm.Gather()([logits, features]))
    np.testing.assert_allclose(found[:, 0, 0], expected, atol=1e-6)
    spread = np.asarray(ritm.Spread()([found, features]))
    assert spread.shape == (2, 3, 4, 5)
    np.testing.assert_allclose(spread, np.broadcast_to(found, spread.shape), atol=1e-6)


def test_attention_to_one_region_is_one():
    found = np.asarray(ritm.Attention()([50 * normal(1, 3, 4, 5), normal(1, 1, 1, 5)]))
    np.testing.assert_array_equal(found, np.ones((1, 3, 4, 1), np.float32))


def test_its_disks_are_ours_but_one():
    points = np.array([[[10, 12, 1], [25.5, 3.25, 0], [0, 0, -1]]], np.float32)
    found = np.asarray(ritm.UnitDisks(32, 2)(points))[0]
    for channel, label in enumerate((1.0, 0.0)):
        np.testing.assert_array_equal(found[..., channel],
                                      draw_disks(points[0], (32, 32), label) > 0)


@pytest.mark.slow
def test_what_has_no_effect_is_left_out_of_what_is_deployed():
    whole = ritm.build_ritm("w18_small_v2", 64, 1)
    lean = ritm.build_ritm("w18_small_v2", 64, 1, whole=False)
    names = {variable.path for variable in lean.variables}
    assert all(("f_pixel" in v.path or "f_object" in v.path) for v in whole.variables
               if v.path not in names)
    by_path = {variable.path: variable for variable in whole.variables}
    for variable in lean.variables:
        kind = "running_var" if "variance" in variable.path else "bias"
        variable.assign(seeded(f"{variable.path}.{kind}", tuple(variable.shape)))
        by_path[variable.path].assign(variable)
    inputs = [normal(1, 64, 64, 3), np.abs(normal(1, 64, 64, 1)), np.abs(normal(1, 64, 64, 2))]
    logits = np.asarray(whole(inputs)[0])
    assert np.isfinite(logits).all() and logits.std() > 0
    np.testing.assert_array_equal(logits, np.asarray(lean(inputs)[0]))
    np.testing.assert_array_equal(np.asarray(whole(inputs)[2]), 1)
    assert add_up(cost_table(lean)).params < add_up(cost_table(whole)).params
    assert isinstance(whole, keras.Model)
