"""Taps as people make them, drawn from a mask or, without one, anywhere: for calibration images."""

from __future__ import annotations

import numpy as np

from oace_tf.clicker import first_click
from oace_tf.clicks import Click

# Turns taken by consecutive images, so that a set holds all kinds whatever its size.
KINDS = ("centre", "anywhere", "several", "with_background")
_MORE = (1, 3)  # further taps of one kind: at least, at most


def draw_taps(mask: np.ndarray, kind: str, rng: np.random.Generator) -> tuple[Click, ...]:
    """Return taps on an object.

    Args:
      mask: (H, W) integer: 1 object, 0 background, -1 neither; at least one object pixel.
      kind: one of `KINDS`: the deepest pixel; any object pixel; several of these; the deepest
        pixel and background taps (none where the object fills the image).
      rng: where the draws come from.
    Returns:
      Clicks on pixel centres of the mask, the first one positive.
    Raises:
      ValueError: an unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r} is none of {KINDS}")
    first = first_click(mask) if kind in ("centre", "with_background") else _any(mask, 1, rng)[0]
    taps = [first]
    if kind == "several":
        taps += _any(mask, 1, rng, int(rng.integers(_MORE[0], _MORE[1] + 1)))
    if kind == "with_background":
        taps += _any(mask, 0, rng, int(rng.integers(_MORE[0], _MORE[1] + 1)))
    return tuple(taps)


def random_taps(height: int, width: int, kind: str, rng: np.random.Generator) -> tuple[Click, ...]:
    """Return taps of a kind on a photograph of which no object is known; the first is positive."""
    mask = np.zeros((height, width), np.int8)
    # A rectangle of a quarter of the photograph, anywhere in it, stands in for the object.
    high, wide = max(1, height // 2), max(1, width // 2)
    top = int(rng.integers(0, height - high + 1))
    left = int(rng.integers(0, width - wide + 1))
    mask[top : top + high, left : left + wide] = 1
    return draw_taps(mask, "anywhere" if kind == "centre" else kind, rng)


def _any(mask: np.ndarray, value: int, rng: np.random.Generator, count: int = 1) -> list[Click]:
    places = np.flatnonzero(mask == value)
    if places.size == 0:
        return []
    rows, columns = np.unravel_index(rng.choice(places, count), mask.shape)
    return [Click(float(x), float(y), value == 1) for y, x in zip(rows, columns)]
