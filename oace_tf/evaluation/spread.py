"""Spread over taps: random taps on one object, and how much their masks differ."""
from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from oace_tf.clicker import edge_distance
from oace_tf.clicks import Click
from oace_tf.evaluation.metrics import iou
from oace_tf.evaluation.protocol import THRESHOLD, Predictor
from oace_tf.samples.sample import Sample

PLACES = ("anywhere", "centre", "border")
EDGE_PX = 5.0  # a finger does not aim at the outline
CENTRE, BORDER = 2 / 3, 1 / 3  # of the greatest depth


def random_taps(mask: np.ndarray, place: str, count: int,
                rng: np.random.Generator) -> tuple[Click, ...]:
    """Return taps on an object, uniform over the pixels of a place, none twice if it has enough.

    Args:
      mask: (H, W) integer: 1 object; at least one pixel.
      place: by the distance to the object's edge: "anywhere" at least min(5 px, half of the
        greatest), "centre" at least two thirds of the greatest, "border" at most a third of it (or
        the least there is).
      count: taps.
      rng: the source of the draws.
    Raises:
      ValueError: another place.
    """
    depth = edge_distance(mask == 1)
    inside = depth > 0
    greatest = float(depth.max())
    if place == "anywhere":
        allowed = depth >= min(EDGE_PX, greatest / 2)
    elif place == "centre":
        allowed = depth >= CENTRE * greatest
    elif place == "border":
        allowed = depth <= max(BORDER * greatest, float(depth[inside].min()))
    else:
        raise ValueError(f"place {place!r} is none of {PLACES}")
    spots = np.flatnonzero(allowed & inside)
    drawn = rng.choice(spots, count, replace=len(spots) < count)
    rows, columns = np.unravel_index(drawn, mask.shape)
    return tuple(Click(float(x), float(y)) for y, x in zip(rows, columns))


def generator_of(seed: int, sample: Sample, place: str) -> np.random.Generator:
    """Return the generator of one object's taps: the same in whatever order objects are taken."""
    return np.random.default_rng([seed, zlib.crc32(sample.id.encode()), PLACES.index(place)])


def tap_spread(predict: Predictor, sample: Sample,
               taps: Sequence[Click]) -> tuple[tuple[float, ...], float]:
    """Return the IoU after each tap alone, and the mean IoU of all pairs of the masks.

    Two empty masks agree (1). A prediction that is not finite makes both figures NaN.

    Args:
      predict: gives (H, W) in [0, 1].
      sample: the photograph and its object.
      taps: at least two.
    """
    masks, scores = [], []
    for tap in taps:
        probability = predict(sample.image, [tap])
        if not np.isfinite(probability).all():
            return (float("nan"),) * len(taps), float("nan")
        mask = probability >= THRESHOLD
        scores.append(iou(mask, sample.mask))
        masks.append(mask.ravel())
    return tuple(scores), mutual_iou(np.array(masks))


def mutual_iou(masks: np.ndarray) -> float:
    """Return the mean IoU of all pairs of masks, (K, pixels) bool; two empty masks agree (1)."""
    whole = masks.astype(np.float32)  # sums of 0 and 1 are exact up to 2**24 pixels
    shared = (whole @ whole.T).astype(np.float64)
    areas = np.diag(shared)
    union = areas[:, None] + areas[None, :] - shared
    table = np.divide(shared, union, out=np.ones_like(shared), where=union > 0)
    return float(table[np.triu_indices(len(masks), 1)].mean())
