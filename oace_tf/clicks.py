"""Clicks, their text form, their place in the file's `points` input, and the reference disks.

A click is (x, y), x to the right and y down, in pixels; pixel centres are whole numbers, so the
upper left corner of the upper left pixel is (-0.5, -0.5). A click that comes from a finger is
called a tap. (RITM keeps (row, column); SAM takes (x, y) and adds one half.)
"""
from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from oace_tf.errors import UsageError

DISK_RADIUS = 5.0  # px of the network frame; paper, as in RITM
DISK_ON = 127 / 128  # the largest value of the int8 image scale 1/128
# Two constants of the drawing, here and in every file (networks/fused.py, export's float16.py).
FAR = 1e12  # squared px: takes points of another label, and unused ones, out of every frame
STEEP = 1e9  # the smallest float32 step above 25 (1.9e-6) times this is well above 1
POSITIVE, NEGATIVE, UNUSED = 1.0, 0.0, -1.0  # labels in `points`, as in SAM-type exports

_NUMBER = r"\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))\s*"
_TAP = re.compile(f"{_NUMBER},{_NUMBER}")


@dataclass(frozen=True, slots=True)
class Click:
    """A click in pixels (of the photograph unless said otherwise); pixel centres are whole numbers.

    Raises:
      UsageError: a coordinate is not finite.
    """

    x: float
    y: float
    positive: bool = True

    def __post_init__(self) -> None:
        if not (math.isfinite(self.x) and math.isfinite(self.y)):
            raise UsageError(f"a click must have finite coordinates, got ({self.x}, {self.y})")


def parse_tap(text: str, positive: bool = True) -> Click:
    """Return the click that a text such as `240,310` names.

    Args:
      text: `X,Y`, decimal numbers, pixels of the upright photograph.
      positive: whether the tap is on the object.
    Raises:
      UsageError: the text is anything else.
    """
    match = _TAP.fullmatch(text)
    if match is None:
        raise UsageError(f"a tap is written X,Y in pixels, for example 240,310; got {text!r}")
    return Click(float(match[1]), float(match[2]), positive)


def pack_points(clicks: Sequence[Click], max_points: int) -> np.ndarray:
    """Return the clicks as the file's `points` input, without the batch axis.

    Args:
      clicks: clicks in the network frame; at least one is positive.
      max_points: N, the number of rows of the file's input.
    Returns:
      (N, 3) float32: x, y, label (1 object, 0 background); unused rows are (0, 0, -1).
    Raises:
      UsageError: more than `max_points` clicks, or none that is positive.
    """
    if len(clicks) > max_points:
        raise UsageError(f"{len(clicks)} taps, but the model takes at most {max_points}; "
                         "leave some out or export with a larger --max-points")
    if not any(click.positive for click in clicks):
        raise UsageError("at least one tap must be on the object")
    points = np.zeros((max_points, 3), np.float32)
    points[:, 2] = UNUSED
    for row, click in zip(points, clicks):
        row[:] = click.x, click.y, POSITIVE if click.positive else NEGATIVE
    return points


def draw_disks(points: np.ndarray, size_hw: tuple[int, int], label: float) -> np.ndarray:
    """Return the map of the disks around all points of one label: the reference for the files.

    A pixel is on when its centre is at most 5 px from a point of that label. Computed in float32
    and in the order of the graph, so that both agree on every pixel, also at distance exactly 5.

    Args:
      points: (N, 3) float32: x, y, label; N may be 0.
      size_hw: height and width of the map, pixels.
      label: 1 for object taps, 0 for background taps.
    Returns:
      (H, W) float32, 0 or 127/128.
    """
    points = np.asarray(points, np.float32)
    height, width = size_hw
    columns = np.arange(width, dtype=np.float32)[None, :]  # (1, W)
    rows = np.arange(height, dtype=np.float32)[:, None]  # (H, 1)
    far, steep = np.float32(FAR), np.float32(STEEP)
    nearest = np.full(size_hw, far, np.float32)  # squared px
    for x, y, point_label in points:
        dx2 = np.square(columns - x)
        dy2 = np.square(rows - y) + np.square(point_label - np.float32(label)) * far
        nearest = np.minimum(nearest, dx2 + dy2)  # (H, W)
    outside = np.maximum(nearest - np.float32(DISK_RADIUS**2), np.float32(0))
    return np.maximum(np.float32(1) - steep * outside, np.float32(0)) * np.float32(DISK_ON)


def disk_maps(points: np.ndarray, size_hw: tuple[int, int], channels: int) -> np.ndarray:
    """Return the disk maps of object taps and, with two channels, of background taps.

    Args:
      points: (N, 3) float32: x, y, label.
      size_hw: height and width of the maps, pixels.
      channels: 1 or 2.
    Returns:
      (H, W, channels) float32, 0 or 127/128.
    """
    labels = (POSITIVE, NEGATIVE)[:channels]
    return np.stack([draw_disks(points, size_hw, label) for label in labels], axis=-1)
