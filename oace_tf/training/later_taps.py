"""Later rounds of a batch: a tap on the error of each answer, and the answer as previous mask.

As in RITM's iterative training, but the answers come from the step before on the same photographs,
so that no further pass of the networks is needed.
"""
from __future__ import annotations

import numpy as np

from oace_tf.gestures import Label
from oace_tf.training.error_taps import error_tap
from oace_tf.training.gesture_scenes import GestureSceneSettings, new_gesture

Batch = dict[str, np.ndarray]


def empty_previous(batch: Batch) -> np.ndarray:
    """Return the previous masks of first gestures: zeros (B K, S/4, S/4, 1) float32."""
    photographs, count, side = batch["cover"].shape[:3]
    return np.zeros((photographs * count, side // 2, side // 2, 1), np.float32)


def next_round(batch: Batch, probability: np.ndarray, renewed: float, again: float,
               settings: GestureSceneSettings,
               rng: np.random.Generator) -> tuple[Batch, np.ndarray]:
    """Return the batch of the next round and its previous masks.

    No gesture has a twin then: the two have got different taps.

    Args:
      batch: as `GestureBatches.batch` gives it; left as it is.
      probability: (B K, S/2, S/2), the answers to it.
      renewed: share of gestures that start anew on the same object, without a previous mask.
      again: share of the others that get no tap: the network looks at its own answer once more.
      settings: of the scenes.
      rng: every draw comes from it.
    """
    cover, points = batch["cover"], batch["points"].copy()
    photographs, count, side = cover.shape[:3]
    halves = probability.reshape(photographs * count, side // 2, 2, side // 2, 2)
    previous = halves.mean(axis=(2, 4))[..., None].astype(np.float32)
    for index in range(photographs * count):
        at = divmod(index, count)
        anew = rng.random() < renewed
        if not anew and rng.random() < again:
            continue
        mask = np.where(batch["ignored"][at[0]] > 0, -1, 0).astype(np.int8)
        mask[cover[at] >= 128] = 1
        rows = points[at]
        free = np.flatnonzero(rows[:, 2] == Label.UNUSED)
        tap = None
        if len(free) and not anew:
            tap = error_tap(mask, probability[index] >= 0.5, rng, background=True)
        if tap is not None:
            # The centre of a cell of two pixels, in pixels of the frame.
            shift = rng.uniform(-0.5, 0.5, 2)
            label = Label.OBJECT if tap.positive else Label.BACKGROUND
            rows[free[0]] = (2 * tap.x + 0.5 + shift[0], 2 * tap.y + 0.5 + shift[1], label)
        elif (mask == 1).any():
            fresh = new_gesture(mask == 1, settings, rng)
            used = fresh[:, 2] != Label.UNUSED
            fresh[used, :2] = 2 * fresh[used, :2] + 0.5
            points[at] = fresh
            previous[index] = 0.0
    return {**batch, "points": points, "twin": np.zeros_like(batch["twin"])}, previous
