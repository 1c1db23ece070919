"""The prior: its OACE stays within its range."""
from __future__ import annotations

from typing import Any

import keras
import numpy as np

from oace_tf.networks.weights import set_arrays
from tests.oace_tf.networks.conftest import seeded_arrays

SIZE = 64


def scene(channels: int, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """A photograph in [-1, 1) and disk maps, float32, without batch axis."""
    rng = np.random.default_rng(seed)
    image = (rng.integers(0, 256, (SIZE, SIZE, 3)) - 128) / 128
    disks = np.zeros((SIZE, SIZE, channels))
    disks[20:31, 8:19, 0] = 127 / 128
    disks[50:60, 33:44, -1] = 127 / 128
    return image.astype(np.float32), disks.astype(np.float32)


def forward(pair: Any, image: np.ndarray, disks: np.ndarray) -> tuple[Any, np.ndarray]:
    oace, logits = pair.forward(*(keras.ops.convert_to_tensor(a[None]) for a in (image, disks)))
    to_numpy = keras.ops.convert_to_numpy
    return None if oace is None else to_numpy(oace)[0], to_numpy(logits)[0]


def test_the_oace_stays_within_its_range(tiny_pair):
    pair = tiny_pair()
    weights = seeded_arrays(pair)
    try:
        set_arrays(pair, {name: 50 * array if name.startswith("prior.decoder.embed") else array
                          for name, array in weights.items()}, "large")
        oace, _ = forward(pair, *scene(2))
    finally:
        set_arrays(pair, weights, "seeded")
    assert oace.min() >= -1 and oace.max() <= 1 and np.abs(oace).max() > 0.999
