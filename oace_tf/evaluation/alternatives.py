"""Several answers to one gesture: is the best of them good, and do the scores know which it is?

A file of the interface `points-multi` gives three masks and their predicted IoU.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from oace_tf.evaluation.metrics import iou
from oace_tf.gestures import Gesture
from oace_tf.samples.sample import Sample

# photograph, gesture -> masks (K, H, W) float32 in [0, 1], scores (K,)
Alternatives = Callable[[np.ndarray, Gesture], tuple[np.ndarray, np.ndarray]]
BINS = 5  # of the calibration, equally wide over [0, 1]
_THRESHOLD = 0.5


def alternative_trial(ask: Alternatives, sample: Sample, gesture: Gesture) -> list[list[float]]:
    """Return a row (IoU, score) for each answer to a gesture, both in [0, 1]; NaN if not finite."""
    masks, scores = ask(sample.image, gesture)
    return [[iou(mask >= _THRESHOLD, sample.mask) if np.isfinite(mask).all() else float("nan"),
             float(score)] for mask, score in zip(masks, scores)]


def summarise(rows: Sequence[Sequence[Sequence[float]]],
              first: Sequence[float]) -> dict[str, Any] | None:
    """Return the figures of all objects; None where nothing was measured or is not finite.

    Args:
      rows: of `alternative_trial`, one an object.
      first: IoU of the file's one `mask` for the same gesture, in [0, 1].
    Returns:
      {n, mask, best, chosen, best_minus_mask, chosen_is_best, score_error, score_bias,
      score_correlation, calibration}: mean IoU in points of `mask`, of the best answer and of the
      one with the highest score; the share of objects in percent where that one is the best (no
      other has a higher IoU); mean absolute difference and mean difference of score and IoU in
      points; their correlation (None where one of them is constant); and for bins of scores {from,
      to, n, score, iou}.
    """
    table = np.array(rows, np.float64)  # (objects, answers, 2)
    if table.ndim != 3 or not table.size or not np.isfinite(table).all() or (
            not np.isfinite(first).all()):
        return None
    truths, scores = table[..., 0], table[..., 1]
    chosen = np.take_along_axis(truths, scores.argmax(axis=1)[:, None], axis=1)[:, 0]
    best = truths.max(axis=1)
    off = scores - truths
    mask = float(np.mean(first))
    return {
        "n": len(table), "mask": 100 * mask, "best": 100 * float(best.mean()),
        "chosen": 100 * float(chosen.mean()), "best_minus_mask": 100 * float(best.mean() - mask),
        "chosen_is_best": 100 * float(np.mean(chosen >= best)),
        "score_error": 100 * float(np.abs(off).mean()), "score_bias": 100 * float(off.mean()),
        "score_correlation": _correlation(scores.ravel(), truths.ravel()),
        "calibration": _calibration(scores.ravel(), truths.ravel()),
    }


def _correlation(scores: np.ndarray, truths: np.ndarray) -> float | None:
    if np.ptp(scores) == 0 or np.ptp(truths) == 0:
        return None
    return float(np.corrcoef(scores, truths)[0, 1])


def _calibration(scores: np.ndarray, truths: np.ndarray) -> list[dict[str, Any]]:
    places = np.clip((scores * BINS).astype(int), 0, BINS - 1)
    rows = []
    for number in range(BINS):
        here = places == number
        if here.any():
            rows.append({"from": number / BINS, "to": (number + 1) / BINS, "n": int(here.sum()),
                         "score": float(scores[here].mean()), "iou": float(truths[here].mean())})
    return rows
