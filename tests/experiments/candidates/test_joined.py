"""The gesture joined at 1/8: nothing at first, then the deeper half follows it."""
from __future__ import annotations

import keras
import numpy as np
import pytest

from experiments.candidates.joined import JoinedPredictor, build_joined_networks
from oace_tf.clicks import Click
from oace_tf.config import NetworkConfig
from oace_tf.gestures import pack_rows
from oace_tf.networks.gesture_maps import GestureMaps
from oace_tf.networks.gesture_networks import GestureNetworks, repeated
from oace_tf.networks.weights import get_arrays
from oace_tf.training.gesture_losses import GestureLossSettings
from oace_tf.training.gesture_step import GestureStep

SIZE = 64
TAPS = np.stack([pack_rows(np.array([row], np.float32), 16)
                 for row in ((20, 20, 1), (44, 40, 1))])


@pytest.fixture(scope="module")
def networks():
    keras.utils.set_random_seed(1)
    return build_joined_networks(NetworkConfig(one_trunk=True, frame=384))


def _logits(networks, image):
    previous = keras.ops.zeros((2, SIZE // 4, SIZE // 4, 1))
    return np.asarray(networks.decode(repeated(networks.encode(image), 2), GestureMaps(SIZE)(TAPS),
                                      previous)["logits"])


def test_the_deeper_half_sees_the_gesture_where_it_has_learnt_to(networks):
    rng = np.random.default_rng(2)
    image = rng.uniform(-1, 1, (1, SIZE, SIZE, 3)).astype(np.float32)
    # The same layers, uncut and without the gesture.
    plain = GestureNetworks(networks.config, networks.encoder, networks.prior, networks.msfnet)
    assert np.allclose(_logits(networks, image), _logits(plain, image), atol=1e-5)
    kernel = networks.join.get_layer("join.out").kernel
    kernel.assign(rng.normal(0, 0.1, kernel.shape))
    changed = _logits(networks, image)
    kernel.assign(np.zeros(kernel.shape))
    assert np.abs(changed - _logits(plain, image)).max() > 1e-3


@pytest.mark.slow
def test_a_step_moves_both_halves_and_the_join(networks, eager):
    optimizer = keras.optimizers.AdamW(0.01)
    optimizer.build([v for model in networks.models() for v in model.trainable_variables])
    rng = np.random.default_rng(3)
    cover = np.zeros((1, 2, SIZE // 2, SIZE // 2), np.uint8)
    cover[:, :, 8:20, 4:16] = 255
    batch = {"image": rng.integers(0, 256, (1, SIZE, SIZE, 3), np.uint8), "points": TAPS[None],
             "cover": cover, "ignored": np.zeros((1, SIZE // 2, SIZE // 2), np.uint8),
             "outline": np.ones((1, 2), np.float32), "twin": np.zeros((1, 2), np.float32)}
    before = get_arrays(networks)
    step = GestureStep(networks, optimizer, GestureLossSettings(), 1.0, SIZE, False)
    losses, _ = step(batch, np.zeros((2, SIZE // 4, SIZE // 4, 1), np.float32))
    assert np.isfinite(losses["total"])
    moved = {name for name, array in get_arrays(networks).items()
             if not np.array_equal(array, before[name])}
    for name in ("shared.trunk._blocks.0.", "shared.trunk._blocks.15.", "join.out.", "msfnet."):
        assert [each for each in moved if each.startswith(name)], name


def test_answers_have_the_size_of_the_photograph(networks):
    probability, mask = JoinedPredictor(networks).answer(
        np.zeros((30, 40, 3), np.uint8), [Click(10, 10, True)], None)
    assert probability.shape == (30, 40) and mask.shape == (512, 512)
    assert 0.0 <= mask.min() and mask.max() <= 1.0
