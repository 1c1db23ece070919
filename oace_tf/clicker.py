"""Clicker, the simulated user: the first click and every next one, by the field's protocol.

The first click is the object pixel farthest from the object's edge; the image's border counts as
edge. The next one is the same over the false negatives and over the false positives (
the rule of RITM's evaluation).
"""
from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from oace_tf.clicks import Click
from oace_tf.errors import UsageError

OBJECT, BACKGROUND, IGNORED = 1, 0, -1  # pixels of a mask


def first_click(mask: np.ndarray) -> Click:
    """Return the click on the object pixel that is farthest from the object's edge.

    Args:
      mask: (H, W) integer: 1 object, 0 background, -1 ignored (counts as outside the object).
    Returns:
      A positive click on a pixel centre; of equal ones the first in row order.
    Raises:
      UsageError: the mask has no object pixel.
    """
    depth = _squared_distance(mask == OBJECT)
    if not depth.any():
        raise UsageError("a mask without an object pixel cannot be clicked; leave it out")
    return _deepest(depth, positive=True)


def next_click(mask: np.ndarray, prediction: np.ndarray,
               clicked: Sequence[Click]) -> Click | None:
    """Return the click in the middle of the largest error, or None where there is nothing to click.

    Args:
      mask: (H, W) integer: 1 object, 0 background, -1 ignored (never an error).
      prediction: (H, W) bool, the mask predicted from the clicks so far.
      clicked: the clicks so far; their pixels are not clicked again.
    Returns:
      A positive click where the false negatives are strictly deeper than the false positives, else
      a negative one; of equal pixels the first in row order. None when every wrong pixel has been
      clicked (RITM then clicks the corner).
    """
    missed = _squared_distance((mask == OBJECT) & ~prediction)
    added = _squared_distance((mask == BACKGROUND) & prediction)
    for click in clicked:
        row, column = round(click.y), round(click.x)
        missed[row, column] = added[row, column] = 0
    positive = bool(missed.max() > added.max())
    depth = missed if positive else added
    return _deepest(depth, positive) if depth.any() else None


def edge_distance(region: np.ndarray) -> np.ndarray:
    """Return how far each pixel of a region is from the nearest pixel centre outside it.

    Args:
      region: (H, W) bool; beyond the image's border everything is outside.
    Returns:
      (H, W) float64, pixels, exact; 0 outside the region, at least 1 inside.
    """
    return np.sqrt(_squared_distance(region))


def _squared_distance(region: np.ndarray) -> np.ndarray:
    """Return the square of `edge_distance`: whole numbers.

    OpenCV's float32 figures for one and the same distance differ in the last bit from place to
    place, which would break ties at random. Squared distances are whole numbers: rounding them
    makes ties ties again (up to about 1700 px).
    """
    squared = np.zeros(region.shape, np.float64)
    box = bounding_box(region)
    if box is not None:
        padded = np.pad(region[box].view(np.uint8), 1)  # beyond the box everything is outside
        distance = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
        np.square(distance, dtype=np.float64, out=squared[box])
        np.rint(squared[box], out=squared[box])
    return squared


def bounding_box(region: np.ndarray) -> tuple[slice, slice] | None:
    """Return the rows and columns that hold a region, (H, W) bool; None where it is empty."""
    left, top, width, height = cv2.boundingRect(region.view(np.uint8))
    return (slice(top, top + height), slice(left, left + width)) if width else None


def _deepest(depth: np.ndarray, positive: bool) -> Click:
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)  # argmax takes the first
    return Click(float(column), float(row), positive)
