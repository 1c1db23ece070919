"""Crumbs: pieces and holes of a mask that its object does not have."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from oace_tf.evaluation.metrics import IGNORED
from oace_tf.pieces import holes, pieces

LEAST_SHARE = 0.0005  # of the frame: what is smaller nobody sees


@dataclass(frozen=True, slots=True)
class Crumbs:
    """How many pieces beside the largest, and how many holes, the object does not have."""

    pieces: int
    holes: int

    @property
    def any(self) -> bool:
        """Whether there is at least one."""
        return self.pieces + self.holes > 0


def count_crumbs(prediction: np.ndarray, mask: np.ndarray | None = None,
                 least_share: float = LEAST_SHARE) -> Crumbs:
    """Return the crumbs of a predicted mask.

    A piece beside the largest is the object's own where it lies at least half on a piece of the
    object that no larger predicted piece has taken: an object behind a pole has two, and may. A
    hole is the object's own where at least half of it is no object. Ignored pixels are in nobody's
    favour: they count as what the prediction says.

    Args:
      prediction: (H, W) bool.
      mask: (H, W) integer: 1 object, 0 background, -1 ignored; None for an object that is known to
        be in one piece without holes.
      least_share: of the frame; smaller pieces and holes do not count.
    """
    least = least_share * prediction.size
    predicted, gaps = pieces(prediction, least), holes(prediction, least)
    if mask is None:
        return Crumbs(max(0, len(predicted) - 1), len(gaps))
    free = mask != 1
    own_holes = sum(bool(np.count_nonzero(hole & free) * 2 >= np.count_nonzero(hole))
                    for hole in gaps)
    return Crumbs(_foreign(predicted, mask), len(gaps) - own_holes)


def _foreign(predicted: Sequence[np.ndarray], mask: np.ndarray) -> int:
    """Return how many predicted pieces, the largest apart, are none of the object's."""
    _, labels = cv2.connectedComponents((mask == 1).astype(np.uint8), connectivity=8)
    taken: set[int] = set()
    foreign = 0
    for order, piece in enumerate(predicted):
        shares = np.bincount(labels[piece])
        shares[0] = 0  # not the object
        best = int(shares.argmax())
        ignored = np.count_nonzero(mask[piece] == IGNORED)
        own = (shares[best] + ignored) * 2 >= np.count_nonzero(piece) and best not in taken
        if shares[best]:
            taken.add(best)
        foreign += order > 0 and not own
    return foreign
