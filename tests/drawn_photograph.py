"""Drawn photographs for tests: a tapped ellipse on a soft ground, with noise."""
from __future__ import annotations

import cv2
import numpy as np

from oace_tf.clicks import Click

HEIGHT, WIDTH = 360, 480


def drawn_photograph(rng: np.random.Generator) -> tuple[np.ndarray, tuple[Click, ...]]:
    """Return a picture, (360, 480, 3) uint8, and one tap on the middle of its ellipse."""
    coarse = rng.integers(40, 216, (6, 8, 3)).astype(np.uint8)
    image = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    x, y = (int(rng.integers(side // 4, 3 * side // 4)) for side in (WIDTH, HEIGHT))
    axes = int(rng.integers(WIDTH // 12, WIDTH // 4)), int(rng.integers(HEIGHT // 12, HEIGHT // 4))
    colour = [int(channel) for channel in rng.integers(0, 256, 3)]
    cv2.ellipse(image, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
    noisy = image + rng.normal(0, 6, image.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), (Click(float(x), float(y)),)
