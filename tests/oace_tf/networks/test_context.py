"""The context module: equal to a plain one, silent when fresh, reaching far, not dead."""
from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest

from oace_tf.config import NetworkConfig
from oace_tf.networks.context import add_context
from oace_tf.networks.layers import Scope
from oace_tf.networks.pair import build_pair
from oace_tf.networks.weights import get_arrays, named_variables, set_arrays, value_of
from tests.oace_tf.networks import plain
from tests.oace_tf.networks.conftest import seeded_arrays

SIDE = 64


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(5)


def module(tapped: bool, side: int | None = SIDE) -> keras.Model:
    """Context of width 8 for joined features of 6 channels and maps of 4, 5, 6 and 7 channels."""
    maps = [keras.Input((side and side >> k, side and side >> k, 4 + k), name=f"map{k}")
            for k in range(4)]
    x = keras.Input((side, side, 6), name="x")
    disks = keras.Input((side and 4 * side, side and 4 * side, 2), name="disks")
    out = add_context(Scope("context"), x, maps, disks if tapped else None, 8)
    return keras.Model([x, *maps, *([disks] if tapped else [])], out)


def arrays(tapped: bool, side: int = SIDE) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    found = [6 * rng.random((1, side, side, 6), np.float32)]
    found += [rng.normal(0, 2, (1, side >> k, side >> k, 4 + k)).astype(np.float32)
              for k in range(4)]
    if tapped:
        disks = np.zeros((1, 4 * side, 4 * side, 2), np.float32)
        disks[0, 20:31, 40:51, 0] = disks[0, 70:81, 70:81, 1] = 127 / 128
        found.append(disks)
    return found


def fill(model: keras.Model, seed: int = 1) -> dict[str, np.ndarray]:
    """Give every tensor of a model a value that is not that of a fresh one; return them."""
    rng = np.random.default_rng(seed)
    for name, variable in named_variables(model):
        unit = rng.random(tuple(variable.shape))
        if len(variable.shape) == 4:
            variable.assign((2 * unit - 1) * np.sqrt(6 / np.prod(variable.shape[:3])))
        else:
            variable.assign(0.5 + unit if name.endswith((".weight", "_var")) else unit - 0.5)
    return {name: value_of(variable) for name, variable in named_variables(model)}


@pytest.mark.parametrize("tapped", (False, True))
def test_it_equals_a_plain_one_at_all_levels(tapped):
    model, inputs = module(tapped), arrays(tapped)
    weights = fill(model)
    found = np.asarray(model([*inputs]))[0]
    x, *maps = (array[0].astype(float) for array in inputs)
    disks = maps.pop() if tapped else None
    expected = plain.context(x, maps, disks, weights, "context")
    np.testing.assert_allclose(found, expected, atol=2e-4)
    assert np.abs(found - x).max() > 1
    used = {name for name in weights if ".level3." in name or ".level2." in name}
    assert used  # coarse levels are there, and every tensor counts:
    for name, variable in named_variables(model):
        before = value_of(variable)
        variable.assign(before * 1.5 + 0.1)
        assert np.abs(np.asarray(model([*inputs]))[0] - found).max() > 1e-6, name
        variable.assign(before)


def test_fresh_it_changes_nothing():
    model, inputs = module(True), arrays(True)
    np.testing.assert_array_equal(np.asarray(model([*inputs])), inputs[0])
    pairs = [build_pair(dataclasses.replace(NetworkConfig.preset("tiny"), tap_film=True,
                                            context_width=width), SIDE) for width in (None, 8)]
    old = seeded_arrays(pairs[0])
    set_arrays(pairs[0], old, "seeded")
    added = get_arrays(pairs[1])
    assert {name.rpartition(".context.")[1] for name in set(added) - set(old)} == {".context."}
    set_arrays(pairs[1], {**added, **old}, "seeded and context")
    rng = np.random.default_rng(1)
    image = rng.uniform(-1, 1, (1, SIDE, SIDE, 3)).astype(np.float32)
    disks = np.zeros((1, SIDE, SIDE, 2), np.float32)
    disks[:, 20:31, 20:31, 0] = 127 / 128
    tensors = [keras.ops.convert_to_tensor(array) for array in (image, disks)]
    without, fresh = (np.asarray(pair.forward(*tensors)[1]) for pair in pairs)
    np.testing.assert_allclose(fresh, without, atol=1e-6)


def test_a_change_in_one_corner_reaches_the_middle_of_the_frame():
    # At the shipped frame (96 cells of 4 px), without the tap's factors: by the windows alone.
    model = module(False, side=96)
    fill(model)
    before = arrays(False, side=96)
    after = [array.copy() for array in before]
    after[4][:, :2, :2] += 5.0  # 64 of 384 px
    changed = np.abs(np.asarray(model(before)) - np.asarray(model(after)))[0]
    assert changed[40:56, 40:56].max() > 1e-3


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="takes TensorFlow's gradient")
def test_it_comes_in_by_training():
    import tensorflow as tf

    model, inputs = module(True), arrays(True)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(inputs, training=True)))
    scale = next(v for v in model.trainable_variables if v.path == "context.fuse_bn/gamma")
    assert not np.asarray(scale).any()
    assert np.abs(tape.gradient(loss, scale.value).numpy()).max() > 0
