"""Pieces and holes of masks: what they are, and a mask without the small ones.

Pieces are 8-connected parts of a mask, holes 4-connected parts of what is not the mask that do not
touch the image's border. Numpy and OpenCV only.
"""
from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from oace_tf.clicks import DISK_RADIUS, Click
from oace_tf.geometry import NETWORK_SIZE

# Chosen on val/ with a tap: masks with crumbs fall from 28 to 0 % on ecssd, from 35 to 0.6 % on
# coco_mval, mIoU@1 goes from 79.4 to 79.2 (whose masks of several objects lose some) and from 59.1
# to 60.2; without fillings 79.0 and 60.1, without taps 79.2 and 59.4.
LEAST_HOLE = 0.05  # of the mask's own area: smaller holes are filled
LEAST_PIECE = 0.3  # of the largest piece: without a tap inside any piece, smaller ones go
FINGER = DISK_RADIUS / NETWORK_SIZE  # of the longer side: a tap beside a piece still holds it


def tidy(mask: np.ndarray, taps: Sequence[Click], least_hole_share: float = LEAST_HOLE,
         least_piece_share: float = LEAST_PIECE) -> np.ndarray:
    """Return the mask as people expect it: in one piece under their tap, without small holes.

    A piece stays where an object tap lies in it. Where none lies in any piece (a box, extreme
    points, or taps that the mask missed), those within a finger's width of a tap stay, else the
    largest one and those of a fair share of it. Then holes below a size are filled, except where a
    background tap lies in them.

    Args:
      mask: (H, W) bool.
      taps: on the object and on the background, in pixels of the mask; may be empty.
      least_hole_share: of the mask's area; holes of at least that size stay. 0 fills none.
      least_piece_share: of the largest piece, in [0, 1]; see above.
    Returns:
      (H, W) bool, a new array.
    """
    count, labels, areas = _components(mask, 8)
    if count < 2:
        return mask.copy()
    objects = [tap for tap in taps if tap.positive]
    numbers = _held(labels, objects, 0.0) or _held(labels, objects, FINGER * max(mask.shape))
    if not numbers:
        numbers = set(np.flatnonzero(areas >= least_piece_share * areas.max()).tolist()) - {0}
    whole = np.isin(labels, sorted(numbers)) if len(numbers) < count - 1 else mask.copy()
    return _filled(whole, [tap for tap in taps if not tap.positive], least_hole_share)


def missed(mask: np.ndarray, taps: Sequence[Click]) -> str:
    """Return in one sentence where a mask does not follow its taps; empty where it does.

    Args:
      mask: (H, W) bool.
      taps: on the object and on the background, in pixels of the mask; may be empty.
    """
    if not mask.any():
        return "the mask is empty: no object was found there"
    objects = [tap for tap in taps if tap.positive]
    outside = [tap for tap in objects if not _under(mask, tap)]
    inside = [tap for tap in taps if not tap.positive and _under(mask, tap)]
    remarks = []
    if outside:
        place = f"{outside[0].x:g},{outside[0].y:g}"
        remarks.append(f"the tap {place} lies outside its own mask" if len(objects) == 1 else
                       f"{len(outside)} of {len(objects)} taps on the object lie outside the "
                       f"mask, the first at {place}")
    if inside:
        remarks.append(f"the background tap {inside[0].x:g},{inside[0].y:g} still lies in the mask")
    return "; ".join(remarks)


def _under(mask: np.ndarray, tap: Click) -> bool:
    """Return what the mask holds at the pixel of a tap."""
    row = min(max(round(tap.y), 0), mask.shape[0] - 1)
    return bool(mask[row, min(max(round(tap.x), 0), mask.shape[1] - 1)])


def pieces(mask: np.ndarray, least_px: float = 1) -> list[np.ndarray]:
    """Return the pieces of a mask of at least a size, the largest first, each (H, W) bool."""
    count, labels, areas = _components(mask, 8)
    return _parts(labels, {number: int(areas[number]) for number in range(1, count)}, least_px)


def holes(mask: np.ndarray, least_px: float = 1) -> list[np.ndarray]:
    """Return the holes of a mask of at least a size, the largest first, each (H, W) bool."""
    return _parts(*_holes(mask), least_px)


def _parts(labels: np.ndarray, areas: dict[int, int], least_px: float) -> list[np.ndarray]:
    large = [number for number, area in areas.items() if area >= least_px]
    return [labels == number for number in sorted(large, key=lambda n: (-areas[n], n))]


def _held(labels: np.ndarray, taps: Sequence[Click], radius: float) -> set[int]:
    """Return the labels within `radius` px of a tap, 0 left out; with 0, those under a tap."""
    height, width = labels.shape
    numbers: set[int] = set()
    for tap in taps:
        row = min(max(round(tap.y), 0), height - 1)
        column = min(max(round(tap.x), 0), width - 1)
        reach = math.floor(radius)
        top, left = max(0, row - reach), max(0, column - reach)
        part = labels[top:row + reach + 1, left:column + reach + 1]
        rows, columns = np.ogrid[top:top + part.shape[0], left:left + part.shape[1]]
        near = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
        numbers |= set(np.unique(part[near]).tolist())
    return numbers - {0}


def _holes(mask: np.ndarray) -> tuple[np.ndarray, dict[int, int]]:
    """Return the labels of what is not the mask, and the area of each that is a hole."""
    count, labels, areas = _components(~mask, 4)
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    outside = set(np.unique(edge).tolist()) | {0}
    return labels, {number: int(areas[number]) for number in range(count) if number not in outside}


def _components(region: np.ndarray, connectivity: int) -> tuple[int, np.ndarray, np.ndarray]:
    """Return the number of labels, the labels, and the area of each; that of label 0 is 0."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8),
                                                               connectivity=connectivity)
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    return count, labels, areas


def _filled(mask: np.ndarray, background: Sequence[Click], least_share: float) -> np.ndarray:
    labels, areas = _holes(mask)
    least = least_share * np.count_nonzero(mask)
    tapped = _held(labels, background, 0.0)
    small = [number for number, area in areas.items() if area < least and number not in tapped]
    return mask | np.isin(labels, small) if small else mask
