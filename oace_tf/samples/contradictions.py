"""Labels that contradict themselves: a mask against its own area and bbox, where the file has them.

A mask that fits its image's size may still be another one: run lengths that begin with the object,
coordinates as shares of the picture, run lengths given as a polygon, rows and columns exchanged.
What tools write of one and the same mask differs by some pixels, and some take the area of the
bbox, or of an object that goes on outside the picture, for that of the mask: none of that is a
contradiction.
"""
from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np

_SLACK = 2.0  # px that a bbox may be off on each side, whatever its size
_LEAST_IOU = 0.65  # of the mask's own bounds and the bbox
_FACTOR = 2.0  # that an area may be off, beside a pixel along the border
_SHARES_FROM = 4  # px: in a smaller picture 0..1 may be pixels

_PERCENT = 100.0
_SIDE_BEYOND = 200  # px: where all pictures are larger, no file labels only their corners
_FEWEST = 3  # polygons that can tell

_log = logging.getLogger(__name__)

Box = tuple[float, float, float, float]  # left, top, right, bottom


def polygon_fault(polygons: list[list[float]], height: int, width: int) -> str:
    """Return what polygons are in truth, in words; empty where they may be polygons in pixels."""
    if max(height, width) >= _SHARES_FROM and all(
            0 <= min(polygon) and max(polygon) <= 1 for polygon in polygons):
        return ("all its coordinates lie in 0..1; expected pixels, not shares of the picture: "
                "multiply them by its width and height")
    if len(polygons) == 1 and all(float(value).is_integer() for value in polygons[0]) and (
            min(polygons[0]) >= 0 and sum(polygons[0]) == height * width):
        return ("its numbers sum to the pixels of the picture: run lengths, not a polygon; write "
                "them as {\"size\": [height, width], \"counts\": [...]}")
    return ""


class PercentWatch:
    """Looks at all polygons of a file: they may be in percent, as Label Studio keeps them.

    One polygon in 0..100 lies in a picture's corner; that all do, in large pictures, is told.
    """

    def __init__(self) -> None:
        self._polygons, self._largest, self._side = 0, -math.inf, math.inf

    def picture(self, size_hw: tuple[int, int]) -> None:
        """Take note of a picture."""
        self._side = min(self._side, *size_hw)

    def label(self, segmentation: Any) -> None:
        """Take note of a label; whatever is no polygon is read over."""
        if self._largest > _PERCENT or not isinstance(segmentation, list):
            return
        for polygon in segmentation:
            if isinstance(polygon, list) and polygon and all(type(v) in (int, float)
                                                             for v in polygon):
                self._polygons += 1
                self._largest = max(self._largest, *polygon)

    def tell(self, path: Path) -> None:
        """Warn where all polygons of the file may be in percent."""
        if self._polygons >= _FEWEST and self._largest <= _PERCENT and self._side > _SIDE_BEYOND:
            _log.warning("%s: all %d polygons lie in 0..100 of pictures that are larger than %d "
                         "px; if they are percent of the picture, as Label Studio has them, turn "
                         "them into pixels", path, self._polygons, _SIDE_BEYOND)


def contradiction(polygons: Any, counts: np.ndarray | None, size_hw: tuple[int, int],
                  area: Any, bbox: Any) -> str:
    """Return how a mask and what its record says of it contradict each other, or nothing.

    Args:
      polygons: lists of x, y, px; used where there are no run lengths.
      counts: run lengths, background first, by columns; None for polygons.
      size_hw: of the picture.
      area: of the record, px, or None; zero and below count as None.
      bbox: of the record, [left, top, width, height], px; anything else counts as none.
    """
    said = _said(bbox, size_hw)
    area = area if area is not None and area > 0 else None
    if said is None and area is None:
        return ""
    if counts is None:
        bounds, pixels = _of_polygons(polygons, size_hw)
    else:
        bounds, pixels = _of_runs(counts, size_hw[0])
    if said is not None and not _alike(bounds, said):
        words = (f"its mask covers {_words(bounds)} (left, top, right, bottom), its bbox "
                 f"{_words(said)}")
        if counts is not None and _alike(_of_runs(_inverted(counts), size_hw[0])[0], said):
            return f"{words}: the run lengths begin with the object, expected the background first"
        return f"{words}: the label contradicts itself"
    if area is not None and not _area_fits(pixels, area, bounds, said, bbox):
        return (f"its mask has {pixels:.0f} px, its area says {area:g}: the label contradicts "
                "itself")
    return ""


def _said(bbox: Any, size_hw: tuple[int, int]) -> Box | None:
    """Return a record's bbox, cut to the picture; None where it has none."""
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(
            type(v) in (int, float) and abs(v) < 1e9 for v in bbox) or min(bbox[2:]) <= 0:
        return None
    left, top, wide, high = bbox
    return (min(max(left, 0), size_hw[1]), min(max(top, 0), size_hw[0]),
            max(min(left + wide, size_hw[1]), 0), max(min(top + high, size_hw[0]), 0))


def _of_polygons(polygons: list[list[float]], size_hw: tuple[int, int]) -> tuple[Box, float]:
    """Return the bounds within the picture and the sum of the polygons' areas."""
    points = [np.array(polygon, np.float64).reshape(-1, 2) for polygon in polygons]
    area = sum(abs(float(np.dot(p[:, 0], np.roll(p[:, 1], -1))
                         - np.dot(p[:, 1], np.roll(p[:, 0], -1)))) / 2 for p in points)
    every = np.concatenate(points).clip(0, (size_hw[1], size_hw[0]))
    low, high = every.min(axis=0), every.max(axis=0)
    return (float(low[0]), float(low[1]), float(high[0]), float(high[1])), area


def _of_runs(counts: np.ndarray, height: int) -> tuple[Box, float]:
    """Return the bounds and the pixels of a mask of run lengths."""
    ends = np.cumsum(counts)
    lengths = counts[1::2]
    starts, lasts = ends[0::2][:lengths.size][lengths > 0], ends[1::2][lengths > 0] - 1
    if not starts.size:
        return (0.0, 0.0, 0.0, 0.0), 0.0
    whole = (starts // height != lasts // height).any()  # a run over a column's end
    top = 0 if whole else (starts % height).min()
    bottom = height - 1 if whole else (lasts % height).max()
    return ((float(starts[0] // height), float(top), float(lasts[-1] // height + 1),
             float(bottom + 1)), float(lengths.sum()))


def _inverted(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], counts])


def _alike(one: Box, other: Box) -> bool:
    """Return whether two boxes are the same but for some pixels."""
    if all(abs(a - b) <= _SLACK for a, b in zip(one, other)):
        return True
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    both = max(wide, 0.0) * max(high, 0.0)
    return both >= _LEAST_IOU * (_area(one) + _area(other) - both)


def _area(box: Box) -> float:
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)


def _area_fits(pixels: float, area: float, bounds: Box, said: Box | None, bbox: Any) -> bool:
    border = 2 * (bounds[2] - bounds[0] + bounds[3] - bounds[1]) + 4
    if pixels > _FACTOR * area + border:
        return False
    if pixels >= area / _FACTOR - border:
        return True
    if said is None:
        return area <= _area(bounds) + border
    # the area of the bbox in place of the mask's; or of what goes on outside the picture
    return area <= 1.05 * bbox[2] * bbox[3] + border


def _words(box: Box) -> str:
    return "[" + ", ".join(f"{value:.0f}" for value in box) + "]"
