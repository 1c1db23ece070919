"""Metrics: IoU, agreement of masks, AUC, NoC, and bootstrap intervals."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oace_tf.clicker import IGNORED, OBJECT

_CHUNK = 200  # resamples at a time
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
    return mask_agreement(prediction & valid, mask == OBJECT)


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


def clicks_needed(ious: Values, threshold: float, most: int) -> tuple[int, bool]:
    """Return the number of clicks (NoC) until an IoU reaches a threshold, and whether one did.

    Args:
      ious: the IoU after each click, the first one first; in [0, 1]. A run that ended early because
        nothing was left to click holds its last IoU.
      threshold: in [0, 1]; reached by an equal IoU.
      most: the clicks at most; further ones do not count.
    Returns:
      Clicks, in 1..most, and True; or `most` and False where the threshold is never reached.
    Source: RITM, `compute_noc_metric`, whose count of failures also takes a success at `most`.
    """
    for number, value in enumerate(ious[:most], 1):
        if value >= threshold:
            return number, True
    return most, False


def held(values: Values, length: int) -> np.ndarray:
    """Return the values of a run, (length,) float64, its last one repeated where it ended early.

    Raises:
      ValueError: there is no value.
    """
    values = np.asarray(values, np.float64)[:length]
    if not values.size:
        raise ValueError("a run has at least one click")
    return np.concatenate([values, np.full(length - values.size, values[-1])])


def bootstrap_table(values: np.ndarray, groups: Sequence[str], rng: np.random.Generator,
                    n: int = 2000, level: float = 0.95) -> np.ndarray:
    """Return the percentile bootstrap interval of each column's mean; whole groups are resampled.

    Objects of one image are not independent: the image is what is drawn.

    Args:
      values: (objects, columns), finite.
      groups: the image of each object.
      rng: the source of the resamples.
      n: resamples.
      level: the intervals' coverage, in (0, 1).
    Returns:
      (columns, 2) float64: lower and upper ends, in the unit of the values.
    Raises:
      ValueError: no value, one that is not finite, or another number of groups.
    """
    sums, sizes = _group_sums(values, groups)
    means = []
    for start in range(0, n, _CHUNK):  # bounds the memory of large sets
        rows = min(_CHUNK, n - start)
        drawn = rng.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), rows)
        means.append((drawn @ sums) / (drawn @ sizes)[:, None])
    ends = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return ends.T


def sign_flip_p(differences: Values, groups: Sequence[str], rng: np.random.Generator,
                n: int = 10000) -> float:
    """Return the two-sided p-value of "the mean difference is zero": signs flipped at random.

    Args:
      differences: one figure per object.
      groups: the image of each object; the signs of one image flip together.
      rng: the source of the flips.
      n: flips.
    Returns:
      In (0, 1]; never 0, since the observed signs count as one of the draws.
    Raises:
      ValueError: as `bootstrap_table`.
    """
    sums = _group_sums(np.asarray(differences, np.float64)[:, None], groups)[0][:, 0]
    observed = abs(sums.sum()) * (1 - 1e-12)  # sums in another order are not "smaller"
    hits = 0
    for start in range(0, n, _CHUNK):
        signs = rng.choice([-1.0, 1.0], (min(_CHUNK, n - start), sums.size))
        hits += int(np.count_nonzero(np.abs(signs @ sums) >= observed))
    return (1 + hits) / (1 + n)


def _group_sums(values: np.ndarray, groups: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums of the rows of each group, (groups, columns), and the groups' sizes."""
    values = np.asarray(values, np.float64)
    if not values.size or not np.isfinite(values).all() or len(groups) != len(values):
        raise ValueError("an interval needs a finite value and a group for each object")
    _, index, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    sums = np.zeros((len(sizes), values.shape[1]))
    np.add.at(sums, index, values)
    return sums, sizes


def bootstrap_ratios(sums: np.ndarray, counts: Values, groups: Sequence[str],
                     rng: np.random.Generator, n: int = 2000, level: float = 0.95) -> np.ndarray:
    """Return the percentile bootstrap interval of sum / count of each column, by whole groups.

    For means over trials of which objects have different numbers.

    Args:
      sums: (objects, columns), finite: the sum over the trials of each object.
      counts: the trials of each object, 0 or more, at least one in all.
      groups: the image of each object.
      rng, n, level: as in `bootstrap_table`.
    Returns:
      (columns, 2) float64: lower and upper ends; resamples without a trial are left out.
    Raises:
      ValueError: no trial, a value that is not finite, or another number of groups.
    """
    table = np.column_stack([sums, np.asarray(counts, np.float64)])
    totals, _ = _group_sums(table, groups)
    if totals[:, -1].sum() <= 0:
        raise ValueError("a ratio needs at least one trial")
    drawn = rng.multinomial(len(totals), np.full(len(totals), 1 / len(totals)), n) @ totals
    drawn = drawn[drawn[:, -1] > 0]
    ends = np.quantile(drawn[:, :-1] / drawn[:, -1:], [(1 - level) / 2, (1 + level) / 2], axis=0)
    return ends.T
