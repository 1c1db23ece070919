"""Several objects of one photograph in one picture of labels (as in Magic Paint)."""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from oace_tf.clicks import Click
from oace_tf.errors import UsageError, quoted
from oace_tf.pieces import tidy
from oace_tf.strokes import strokes_of, taps_along

BACKGROUND = "background"  # label 0; strokes of that name are on no object
_MOST_LABELS = 65535  # of uint16


def taps_by_label(strokes: Mapping[str, Any], size_hw: tuple[int, int],
                  most: int) -> dict[str, list[Click]]:
    """Return for each label but the background what the file is asked: taps.

    The label's own strokes are on the object, all others on its background. Its own get half of
    the rows, and the others what is left; where that is too few for all others, those nearest to
    its own.

    Args:
      strokes: label -> a stroke or several; see `strokes.strokes_of`.
      size_hw: of the photograph.
      most: rows that the file takes, at least 2.
    Raises:
      UsageError: no label, a label without a stroke, something that is no stroke, or more strokes
        of one label than the file has room for.
    """
    if not isinstance(strokes, Mapping):
        raise UsageError("regions are strokes by label, such as {'person': [(200, 120), (210, "
                         f"180)]}}, got {quoted(str(strokes))}")
    lines = {name: strokes_of(scribble) for name, scribble in strokes.items()}
    empty = [name for name, parts in lines.items() if not parts]
    if empty:
        raise UsageError(f"the label {quoted(str(empty[0]))} has no stroke; draw one or leave the "
                         "label out")
    names = [name for name in lines if name != BACKGROUND]
    if not names:
        raise UsageError("no label beside the background; draw a stroke on an object")
    if len(names) > _MOST_LABELS:
        raise UsageError(f"{len(names)} labels; at most {_MOST_LABELS} are taken")
    taps = {}
    for name in names:
        others = [stroke for other, parts in lines.items() if other != name for stroke in parts]
        own = taps_along(lines[name], size_hw, most // 2 if others else most)
        taps[name] = own + _around(own, others, size_hw, most - len(own))
    return taps


def label_map(probabilities: Iterable[np.ndarray], taps: Sequence[Sequence[Click]],
              threshold: float, tidied: bool) -> np.ndarray:
    """Return the most probable label of each pixel: 1, 2, ... in order, 0 where none is probable.

    Args:
      probabilities: of each label, (H, W) float32, taken one by one.
      taps: of each label, on it and beside it.
      threshold: from which on a label counts.
      tidied: whether each label loses pieces without a tap and gains its small holes, where no
        other label is; see `pieces.tidy`.
    Returns:
      (H, W) uint8; uint16 where there are more than 255 labels.
    Raises:
      ValueError: no label.
    """
    labels: np.ndarray | None = None
    for number, probability in enumerate(probabilities, 1):
        if labels is None:
            labels = np.zeros(probability.shape, np.uint8 if len(taps) < 256 else np.uint16)
            best = np.full(probability.shape, threshold, np.float32)
        wins = probability >= best if number == 1 else (probability > best) | (
            (labels == 0) & (probability >= best))
        labels[wins], best[wins] = number, probability[wins]
    if labels is None:
        raise ValueError("no label")
    if tidied:
        whole = labels.copy()
        for number, own in enumerate(taps, 1):
            mask = whole == number
            tidy_mask = tidy(mask, own)
            labels[mask & ~tidy_mask] = 0
            labels[tidy_mask & (labels == 0) & ~mask] = number
    return labels


def _around(own: Sequence[Click], others: Sequence[np.ndarray], size_hw: tuple[int, int],
            most: int) -> list[Click]:
    if len(others) <= most:
        return taps_along(others, size_hw, most, positive=False)
    middles = taps_along(others, size_hw, len(others), positive=False)
    return sorted(middles, key=lambda tap: min((tap.x - mine.x) ** 2 + (tap.y - mine.y) ** 2
                                               for mine in own))[:most]
