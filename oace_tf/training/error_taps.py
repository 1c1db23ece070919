"""Error taps: further ones where the prediction before is wrong, as in RITM's training.

Numpy on the host; the predictions come from the network in training.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from oace_tf.clicker import BACKGROUND, OBJECT, edge_distance
from oace_tf.clicks import NEGATIVE, POSITIVE, Click, draw_disks

Batch = Mapping[str, np.ndarray]
_CORE = 0.5  # of the greatest depth of the error: taps lie deeper than that; RITM


def with_error_taps(batch: Batch, logits: Callable[[Batch], np.ndarray], most: int,
                    rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return a batch with further taps, each in the errors of the prediction before.

    Args:
      batch: `mask` (B, S, S, 1) and `disks` (B, S, S, C) count; it is left as it is.
      logits: gives the (B, S, S, 1) logits of a batch.
      most: 0 to `most` rounds are drawn, for the whole batch; each adds at most one tap a scene.
      rng: every draw comes from it.
    """
    batch = dict(batch)
    for _ in range(int(rng.integers(0, most + 1))):
        predicted = np.asarray(logits(batch))[..., 0] >= 0.0
        disks = batch["disks"].copy()
        for mask, answer, maps in zip(batch["mask"][..., 0], predicted, disks):
            tap = error_tap(mask, answer, rng, background=maps.shape[-1] > 1)
            if tap is not None:
                channel, label = (0, POSITIVE) if tap.positive else (1, NEGATIVE)
                points = np.array([[tap.x, tap.y, label]], np.float32)
                maps[..., channel] |= draw_disks(points, mask.shape, label) > 0
        batch["disks"] = disks
    return batch


def error_tap(mask: np.ndarray, predicted: np.ndarray, rng: np.random.Generator,
              background: bool) -> Click | None:
    """Return a tap inside the deeper of the two kinds of error, or None where nothing is wrong.

    Args:
      mask: (H, W) of 1, 0 and -1 (never wrong).
      predicted: (H, W) bool.
      rng: draws the pixel, uniform where the error is deeper than half of its greatest depth.
      background: whether taps beside the object may be given.
    """
    missed = edge_distance((mask == OBJECT) & ~predicted)
    added = edge_distance((mask == BACKGROUND) & predicted)
    positive = not background or float(missed.max()) >= float(added.max())
    depth = missed if positive else added
    if not depth.any():
        return None
    core = np.flatnonzero(depth > _CORE * depth.max())
    y, x = divmod(int(core[rng.integers(len(core))]), mask.shape[1])
    return Click(float(x), float(y), positive)
