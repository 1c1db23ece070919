"""Does a tap do what it says? Second taps at random places, after the first answer.

    background  taps inside the mask and outside the object: is the place outside afterwards?
    missed      taps on the object and outside the mask: is the place inside afterwards?
    again       pairs of taps on the object: does the second lose what the first had found?
"""
from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from oace_tf.clicker import first_click
from oace_tf.clicks import Click
from oace_tf.evaluation.metrics import bootstrap_ratios, iou
from oace_tf.evaluation.protocol import THRESHOLD, Predictor
from oace_tf.evaluation.spread import random_taps
from oace_tf.samples.sample import Sample

PLACES = 10  # an object and kind; pairs are made of as many taps
LOST = 0.1  # of the object pixels found before
KINDS = ("background", "missed", "again")
_SEEDS = 1000  # keeps the generators apart from those of `spread`


def correction_trials(predict: Predictor, sample: Sample,
                      seed: int) -> dict[str, list[list[float]]]:
    """Return what second taps did on one object: by kind, a row (obeyed, change of IoU) a tap.

    `obeyed` is 1 where the tap's place is on the right side afterwards; of `again`, where no more
    than a tenth of the object found by the first tap is lost (1 as well where it had found
    nothing). The change of IoU is in [-1, 1]. A kind without places has no rows. A prediction that
    is not finite gives a row of NaN.

    Args:
      predict: sees the photograph and all taps.
      sample: a photograph and its object.
      seed: of the places, which do not depend on the order of the samples.
    """
    first = first_click(sample.mask)
    before = _mask(predict, sample, [first])
    trials: dict[str, list[list[float]]] = {kind: [] for kind in KINDS}
    if before is not None:
        score = iou(before, sample.mask)
        for kind, region in (("background", (sample.mask == 0) & before),
                             ("missed", (sample.mask == 1) & ~before)):
            rng = _generator(seed, sample, kind)
            for tap in _places(region, rng, kind == "missed"):
                after = _mask(predict, sample, [first, tap])
                trials[kind].append([float("nan")] * 2 if after is None else [
                    float(after[round(tap.y), round(tap.x)] == tap.positive),
                    iou(after, sample.mask) - score])
    taps = random_taps(sample.mask, "anywhere", PLACES, _generator(seed, sample, "again"))
    for one, two in zip(taps[::2], taps[1::2]):
        trials["again"].append(_again(predict, sample, one, two))
    return trials


def summarise(rows: Sequence[Mapping[str, Sequence[Sequence[float]]]], groups: Sequence[str],
              seed: int) -> dict[str, Any]:
    """Return the figures of all objects: by kind, n taps, objects, and means with intervals.

    Args:
      rows: of `correction_trials`, one an object.
      groups: the photograph of each object; whole photographs are resampled.
      seed: of the bootstrap.
    Returns:
      By kind {taps, objects, obeyed, iou_change, ci95}: `obeyed` in percent of all taps,
      `iou_change` in points, both None where there was no tap or a prediction was not finite.
    """
    return {kind: _kind([row[kind] for row in rows], groups, seed) for kind in KINDS}


def _kind(rows: Sequence[Sequence[Sequence[float]]], groups: Sequence[str],
          seed: int) -> dict[str, Any]:
    counts = np.array([len(row) for row in rows], np.float64)
    sums = np.array([100 * np.sum(np.array(row, np.float64).reshape(-1, 2), axis=0)
                     for row in rows])
    whole = counts.sum() > 0 and bool(np.isfinite(sums).all())
    names = ("obeyed", "iou_change")
    figures: dict[str, float | None] = dict.fromkeys(names)
    ci95: dict[str, list[float] | None] = dict.fromkeys(names)
    if whole:
        ends = bootstrap_ratios(sums, counts, groups, np.random.default_rng(seed))
        for name, total, pair in zip(names, sums.sum(axis=0) / counts.sum(), ends):
            figures[name], ci95[name] = float(total), [float(end) for end in pair]
    return {"taps": int(counts.sum()), "objects": int(np.count_nonzero(counts)), **figures,
            "ci95": ci95}


def _again(predict: Predictor, sample: Sample, one: Click, two: Click) -> list[float]:
    alone, both = (_mask(predict, sample, taps) for taps in ([one], [one, two]))
    if alone is None or both is None:
        return [float("nan")] * 2
    had = alone & (sample.mask == 1)
    lost = np.count_nonzero(had & ~both)
    return [float(lost <= LOST * np.count_nonzero(had)),
            iou(both, sample.mask) - iou(alone, sample.mask)]


def _mask(predict: Predictor, sample: Sample, taps: Sequence[Click]) -> np.ndarray | None:
    probability = predict(sample.image, taps)
    return probability >= THRESHOLD if np.isfinite(probability).all() else None


def _places(region: np.ndarray, rng: np.random.Generator, positive: bool) -> list[Click]:
    spots = np.flatnonzero(region)
    drawn = rng.choice(spots, min(PLACES, len(spots)), replace=False)
    rows, columns = np.unravel_index(drawn, region.shape)
    return [Click(float(x), float(y), positive) for y, x in zip(rows, columns)]


def _generator(seed: int, sample: Sample, kind: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(sample.id.encode()),
                                  _SEEDS + KINDS.index(kind)])
