"""Strokes of a finger or a brush as taps: a scribble is a row of taps along the object."""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from oace_tf.clicks import Click
from oace_tf.errors import UsageError, quoted

_FARTHEST = 1e9  # px; lengths beyond overflow
STEP = 0.02  # of the photograph's diagonal, between two taps; as in training and evaluation


def strokes_of(scribble: Any) -> list[np.ndarray]:
    """Return the strokes of a scribble, each (n, 2) float64: x, y in pixels of the photograph.

    Args:
      scribble: one stroke, which is a list of (x, y) or an (n, 2) array, or a list of strokes.
    Raises:
      UsageError: it is neither, a stroke is empty, or a number is not finite.
    """
    if isinstance(scribble, (str, bytes)) or not hasattr(scribble, "__iter__"):
        raise _no_scribble(scribble)
    parts = list(scribble)
    if not parts:
        return []
    try:
        nested = np.ndim(parts[0][0]) > 0
    except (TypeError, IndexError, KeyError, ValueError):
        raise _no_scribble(scribble) from None
    strokes = []
    for stroke in parts if nested else [parts]:
        try:
            points = np.array(stroke, np.float64)
        except (TypeError, ValueError, OverflowError):
            raise _no_scribble(scribble) from None
        if points.ndim != 2 or points.shape[1] != 2 or not len(points):
            raise _no_scribble(scribble)
        if not np.isfinite(points).all() or np.abs(points).max() > _FARTHEST:
            raise UsageError("a scribble holds a number that is not finite, or too large for a "
                             "place in a photograph")
        strokes.append(points)
    return strokes


def taps_along(strokes: Sequence[np.ndarray], size_hw: tuple[int, int], most: int,
               positive: bool = True) -> list[Click]:
    """Return taps along strokes: evenly, both ends included; a short stroke gives its middle.

    Args:
      strokes: each (n, 2) x, y, in pixels of the photograph.
      size_hw: of the photograph. Taps are 2 % of its diagonal apart, or as far apart as `most`
        makes it.
      most: taps in all; every stroke gets one at least.
      positive: whether the strokes are on the object.
    Raises:
      UsageError: more strokes than `most`.
    """
    if len(strokes) > most:
        raise UsageError(f"{len(strokes)} strokes, and the file has room for {most} taps; "
                         "draw fewer")
    along = [np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(stroke, axis=0).T))])
             for stroke in strokes]
    lengths = [float(places[-1]) for places in along]
    step = STEP * math.hypot(*size_hw)
    while sum(counts := [1 + int(length / step) for length in lengths]) > most:
        step *= 1.02
    taps = []
    for stroke, places, count in zip(strokes, along, counts):
        wanted = (np.linspace(0.0, places[-1], count) if count > 1
                  else np.array([places[-1] / 2]))
        taps += [Click(float(np.interp(place, places, stroke[:, 0])),
                       float(np.interp(place, places, stroke[:, 1])), positive)
                 for place in wanted]
    return taps


def _no_scribble(scribble: Any) -> UsageError:
    return UsageError("a scribble is a list of (x, y), such as [(200, 120), (240, 130)], or a list "
                      f"of such strokes, got {quoted(str(scribble))}")
