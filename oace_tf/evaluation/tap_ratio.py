"""Tap ratio: how much the OACE and the plain disk follow the finger, or the object.

For one object, the input is made from K random taps on it and K taps beside it. Its ratio is the
mean difference of two inputs from taps on the object, over the mean difference of an input from a
tap on it and one from a tap beside it. The plain disk knows where the finger is and nothing else:
its ratio is about 1. An input that knows the object only gives 0. One that ignores the tap gives
about 1 as well, however steady it looks (paper, 5.2).
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oace_tf.clicks import POSITIVE, Click, draw_disks
from oace_tf.evaluation.metrics import bootstrap_table, sign_flip_p
from oace_tf.evaluation.spread import generator_of, random_taps
from oace_tf.geometry import NETWORK_SIZE, Frame
from oace_tf.samples.sample import Sample

ClickInput = Callable[[np.ndarray, Sequence[Click]], np.ndarray]  # photograph, clicks -> any array


@dataclass(frozen=True, slots=True)
class TapRatio:
    """The ratios of one object, 0 or more; below 1 the input follows the object."""

    id: str
    group: str
    oace: float
    disk: float


def disk_input(image: np.ndarray, clicks: Sequence[Click]) -> np.ndarray:
    """Return the plain disk map of the clicks in the network's frame, (S, S) float32."""
    frame = Frame(image.shape[0], image.shape[1])
    points = frame.points(clicks, len(clicks))
    return draw_disks(points, (NETWORK_SIZE, NETWORK_SIZE), POSITIVE)


def tap_ratio(make: ClickInput, image: np.ndarray, on: Sequence[Click],
              beside: Sequence[Click]) -> float:
    """Return the ratio of one click input.

    Args:
      make: gives the input of one photograph and one click.
      image: (H, W, 3) uint8 RGB.
      on: taps on the object, at least two.
      beside: taps beside it, at least one.
    Returns:
      0 or more; 1 where no tap changes anything.
    """
    inner = [make(image, [click]).astype(np.float32).ravel() for click in on]
    outer = [make(image, [click]).astype(np.float32).ravel() for click in beside]
    within = np.mean([np.abs(a - b).mean() for k, a in enumerate(inner) for b in inner[:k]])
    between = np.mean([np.abs(a - b).mean() for a in inner for b in outer])
    return float(within / between) if between > 0 else 1.0


def tap_ratios(embed: ClickInput, samples: Iterable[Sample], taps: int,
               seed: int) -> list[TapRatio]:
    """Return the ratios of OACE and disk on each object that does not fill its photograph.

    Args:
      embed: gives the OACE.
      samples: read one after the other.
      taps: on the object, and beside it; at least 2.
      seed: of the taps, which do not depend on the order of the samples.
    """
    ratios = []
    for sample in samples:
        if not (sample.mask == 0).any():
            continue
        rng = generator_of(seed, sample, "anywhere")
        on = random_taps(sample.mask, "anywhere", taps, rng)
        free = np.flatnonzero(sample.mask == 0)
        rows, columns = np.unravel_index(rng.choice(free, taps), sample.mask.shape)
        beside = [Click(float(x), float(y)) for y, x in zip(rows, columns)]
        ratios.append(TapRatio(sample.id, sample.group or sample.id,
                               tap_ratio(embed, sample.image, on, beside),
                               tap_ratio(disk_input, sample.image, on, beside)))
    return ratios


def summarise(ratios: Sequence[TapRatio], seed: int) -> dict[str, Any] | None:
    """Return n, both mean ratios, their difference, its p-value, and the 95 % intervals.

    None where there are no ratios, or one is not finite.
    """
    if not ratios or not np.isfinite([ratio.oace for ratio in ratios]).all():
        return None
    table = np.array([[r.oace, r.disk, r.oace - r.disk] for r in ratios]).reshape(-1, 3)
    groups = [ratio.group for ratio in ratios]
    ends = bootstrap_table(table, groups, np.random.default_rng(seed))
    names = ("oace", "disk", "difference")
    return {"n": len(ratios), **dict(zip(names, table.mean(axis=0).tolist())),
            "p": sign_flip_p(table[:, 2], groups, np.random.default_rng(seed)),
            "ci95": dict(zip(names, ends.tolist()))}
