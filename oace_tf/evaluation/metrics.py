"""The figures of the evaluation: IoU, agreement of masks, AUC, and bootstrap intervals."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

IGNORED = -1
Values = Sequence[float] | np.ndarray


def iou(prediction: np.ndarray, mask: np.ndarray) -> float:
    """Return the intersection over union of a prediction and an object, without ignored pixels.

    Args:
      prediction: (H, W) bool.
      mask: (H, W) integer: 1 object, 0 background, -1 ignored.
    Returns:
      In [0, 1]; 1 where both are empty.
    """
    valid = mask != IGNORED
    return mask_agreement(prediction & valid, mask == 1)


def mask_agreement(a: np.ndarray, b: np.ndarray) -> float:
    """Return the intersection over union of two masks; two empty masks agree (1).

    Args:
      a, b: (H, W) bool.
    """
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 1.0


def auc(positive_scores: Values, negative_scores: Values) -> float:
    """Return the share of (positive, negative) pairs in which the positive scores higher.

    Exact, by ranks; a tie counts one half. Any shapes, flattened.

    Raises:
      ValueError: one side is empty or a score is not a number.
    """
    positive, negative = np.ravel(positive_scores), np.ravel(negative_scores)
    scores = np.concatenate([positive, negative])
    if not positive.size or not negative.size or np.isnan(scores).any():
        raise ValueError("an AUC needs scores on both sides, and no NaN")
    _, level, count = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(count) - (count - 1) / 2  # from 1; equal scores share their mean rank
    rank_sum = ranks[level[: positive.size]].sum()
    pairs_won = rank_sum - positive.size * (positive.size + 1) / 2
    return float(pairs_won / (positive.size * negative.size))


def bootstrap_mean_ci(values: Values, rng: np.random.Generator, n: int = 2000,
                      level: float = 0.95) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the mean.

    Args:
      values: one figure per object.
      rng: the source of the resamples.
      n: resamples.
      level: the interval's coverage, in (0, 1).
    Returns:
      Lower and upper end, in the unit of the values.
    Raises:
      ValueError: no value, or one that is not finite.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise ValueError("an interval needs at least one value, all of them finite")
    means = [values[rng.integers(0, values.size, values.size)].mean() for _ in range(n)]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_bootstrap_ci(a: Values, b: Values, rng: np.random.Generator, n: int = 2000,
                        level: float = 0.95) -> tuple[float, float]:
    """Return the bootstrap interval of mean(a) - mean(b), objects resampled in pairs.

    Args:
      a, b: one figure per object, of the same objects in the same order.
      rng, n, level: as in `bootstrap_mean_ci`.
    Raises:
      ValueError: different lengths, no value, or one that is not finite.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape:
        raise ValueError(f"pairs need equal lengths, got {a.shape} and {b.shape}")
    return bootstrap_mean_ci(a - b, rng, n, level)
