"""Tap-conditioned modulation: neutral when fresh, across the whole frame when not."""
from __future__ import annotations

import dataclasses

import keras
import numpy as np

from oace_tf.networks.layers import Scope
from oace_tf.networks.pair import build_pair
from oace_tf.networks.tap_film import tap_film
from oace_tf.networks.weights import set_arrays
from tests.oace_tf.networks.conftest import seeded_arrays


def test_fresh_film_leaves_the_features_alone():
    features = keras.Input((16, 16, 6))
    disks = keras.Input((64, 64, 2))
    model = keras.Model([features, disks], tap_film(Scope("film"), features, disks))
    rng = np.random.default_rng(0)
    x = 6 * rng.random((2, 16, 16, 6), np.float32)
    found = keras.ops.convert_to_numpy(model([x, rng.random((2, 64, 64, 2), np.float32)]))
    np.testing.assert_allclose(found, x, atol=1e-6)


def test_film_carries_the_tap_across_the_whole_frame(tiny_pair):
    # One object tap moved in a corner: without film the far corner of a wide frame cannot change.
    image = np.random.default_rng(2).normal(0, 0.5, (1, 512, 512, 3)).astype(np.float32)
    changes = {}
    for film in (False, True):
        config = tiny_pair(tap_film=film).config
        config = dataclasses.replace(config, click_input="disk", msf=False)
        pair = build_pair(config, None)
        set_arrays(pair, seeded_arrays(pair), "seeded")
        logits = []
        for at in (16, 32):
            disks = np.zeros((1, 512, 512, 2), np.float32)
            disks[0, at:at + 11, 8:19, 0] = 127 / 128
            logits.append(pair.forward(image, disks)[1])
        changes[film] = np.abs(np.asarray(logits[0] - logits[1])[0, 448:, 448:]).max()
    assert changes[False] == 0.0 and changes[True] > 1e-3
