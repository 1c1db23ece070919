"""Gestures as a careful person makes them, from an object's mask.

    tap       the protocol's first click: the object pixel farthest from the object's edge
    box       the bounding box, each side moved by up to 3 % of the box's length that way
    box_tap   such a box and the protocol's first click (IOG)
    extreme   four points of the outline: leftmost, top, rightmost, bottom, off by up to 3 px of 512
    drag      from the protocol's first click to the nearest edge, up to 20 % too short or too long
    scribble  along the skeleton's longest path, smoothed; a tap every 2 % of the diagonal

Training makes its gestures more carelessly (`training.gesture_simulation`).
"""
from __future__ import annotations

import math
import zlib

import cv2
import numpy as np

from oace_tf.clicker import bounding_box, edge_distance, first_click
from oace_tf.clicks import Click
from oace_tf.evaluation.skeleton import longest_path
from oace_tf.evaluation.spread import EDGE_PX
from oace_tf.geometry import NETWORK_SIZE
from oace_tf.gestures import XY, Gesture
from oace_tf.samples.sample import Sample

GESTURES = ("tap", "box", "box_tap", "extreme", "drag", "scribble")
BOX_SHIFT = 0.03  # of the box's width or height
EXTREME_SHIFT = 3.0 / NETWORK_SIZE  # of the photograph's width or height
DRAG_FACTOR = (0.8, 1.2)
STROKE_STEP = 0.02  # of the photograph's diagonal
_SMOOTH = 0.1  # of the path's length, the window of the mean along it
_ROWS = {"tap": 1, "box": 2, "box_tap": 3, "extreme": 4, "drag": 2, "scribble": 1}


def least_rows(kind: str) -> int:
    """Return how many rows of `points` a gesture fills at least."""
    return _ROWS[kind]


def simulate(kind: str, mask: np.ndarray, rng: np.random.Generator, most_taps: int) -> Gesture:
    """Return one gesture on an object, in pixels of its photograph.

    Args:
      kind: one of `GESTURES`.
      mask: (H, W) integer: 1 object, at least one pixel.
      rng: the source of the draws.
      most_taps: the taps of a scribble at most, at least 1.
    Raises:
      ValueError: another kind.
      UsageError: the mask has no object pixel.
    """
    first = first_click(mask)  # refuses an empty mask
    region = mask == 1
    if kind == "tap":
        return Gesture(taps=(first,))
    if kind == "box":
        return Gesture(box=loose_box(region, rng))
    if kind == "box_tap":
        return Gesture(box=loose_box(region, rng), taps=(first,))
    if kind == "extreme":
        return Gesture(extreme=extreme_points(region, rng))
    if kind == "drag":
        return Gesture(drag=drag_to_edge(region, first, rng))
    if kind == "scribble":
        return Gesture(taps=stroke(region, first, most_taps))
    raise ValueError(f"gesture {kind!r} is none of {GESTURES}")


def gesture_generator(seed: int, sample: Sample, kind: str) -> np.random.Generator:
    """Return the generator of one object's gesture: the same in whatever order objects come."""
    return np.random.default_rng([seed, zlib.crc32(sample.id.encode()), GESTURES.index(kind)])


def loose_box(region: np.ndarray, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Return left, top, right, bottom of a region, (H, W) bool, each moved and kept in the image.

    A tight box goes through the centres of the outermost pixels; each side is moved by up to 3 %
    of the box's width (left, right) or height (top, bottom), to either side.
    """
    box = bounding_box(region)
    assert box is not None
    rows, columns = box
    wide, high = columns.stop - columns.start, rows.stop - rows.start
    shift = rng.uniform(-BOX_SHIFT, BOX_SHIFT, 4) * (wide, high, wide, high)
    left, top = _inside(columns.start + shift[0], rows.start + shift[1], region.shape)
    right, bottom = _inside(columns.stop - 1 + shift[2], rows.stop - 1 + shift[3], region.shape)
    return left, top, right, bottom


def extreme_points(region: np.ndarray, rng: np.random.Generator) -> tuple[XY, ...]:
    """Return the leftmost, top, rightmost and bottom point of a region, (H, W) bool.

    Of several outermost pixels one is drawn, then moved by up to 3 px of 512 along x and y.
    """
    ys, xs = np.nonzero(region)
    height, width = region.shape
    points = []
    for outermost in (xs == xs.min(), ys == ys.min(), xs == xs.max(), ys == ys.max()):
        places = np.flatnonzero(outermost)
        index = places[rng.integers(len(places))]
        shift = rng.uniform(-EXTREME_SHIFT, EXTREME_SHIFT, 2) * (width, height)
        points.append(_inside(xs[index] + shift[0], ys[index] + shift[1], region.shape))
    return tuple(points)


def drag_to_edge(region: np.ndarray, first: Click, rng: np.random.Generator) -> tuple[XY, XY]:
    """Return the two ends of a drag from the deepest pixel towards the nearest edge.

    Args:
      region: (H, W) bool.
      first: the region's deepest pixel.
      rng: draws how much too short or too long the drag is.
    """
    outside = np.pad(~region, 1, constant_values=True)  # beyond the image's border all is outside
    ys, xs = np.nonzero(outside)
    squares = (xs - 1 - first.x) ** 2 + (ys - 1 - first.y) ** 2
    nearest = int(squares.argmin())
    factor = rng.uniform(*DRAG_FACTOR)
    end = (first.x + factor * (xs[nearest] - 1 - first.x),
           first.y + factor * (ys[nearest] - 1 - first.y))
    return (first.x, first.y), _inside(*end, region.shape)


def stroke(region: np.ndarray, first: Click, most_taps: int) -> tuple[Click, ...]:
    """Return the taps of a scribble along a region, (H, W) bool.

    The longest path through the skeleton of the piece under `first`, smoothed, without what comes
    nearer to the edge than min(5 px, half of the greatest depth): a tap every 2 % of the image's
    diagonal, fewer where `most_taps` is less. An object too small for two gets `first`.
    """
    _, labels = cv2.connectedComponents(region.astype(np.uint8), connectivity=8)
    piece = labels == labels[round(first.y), round(first.x)]
    depth = edge_distance(piece)
    path = _smooth(longest_path(piece))
    columns, rows = np.rint(path).astype(int).T
    path = path[depth[rows, columns] >= min(EDGE_PX, float(depth.max()) / 2)]
    if len(path) < 2:
        return (first,)
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
    count = 1 + int(along[-1] / (STROKE_STEP * math.hypot(*region.shape)))
    if count < 2 or most_taps < 2:
        return (first,)
    places = np.linspace(0.0, along[-1], min(count, most_taps))
    return tuple(Click(float(np.interp(position, along, path[:, 0])),
                       float(np.interp(position, along, path[:, 1]))) for position in places)


def _smooth(path: np.ndarray) -> np.ndarray:
    """Return the path, (n, 2), as means over a window that narrows towards its ends."""
    half = int(len(path) * _SMOOTH / 2)
    sums = np.concatenate([np.zeros((1, 2)), np.cumsum(path, axis=0)])
    places = np.arange(len(path))
    reach = np.minimum(half, np.minimum(places, len(path) - 1 - places))
    return (sums[places + reach + 1] - sums[places - reach]) / (2 * reach + 1)[:, None]


def _inside(x: float, y: float, shape: tuple[int, ...]) -> XY:
    height, width = shape
    return float(np.clip(x, -0.5, width - 0.5)), float(np.clip(y, -0.5, height - 0.5))
