"""The longest path through a region's skeleton: the line that a pen would draw along it."""
from __future__ import annotations

import cv2
import numpy as np

from oace_tf.clicker import bounding_box

SIDE = 128  # px, the longer side of the box that is thinned; larger regions are made smaller
_STEPS = ((-1, 0), (0, 1), (1, 0), (0, -1), (-1, 1), (1, 1), (1, -1), (-1, -1))
_RING = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))  # clockwise from N


def longest_path(region: np.ndarray) -> np.ndarray:
    """Return the longest shortest path through the skeleton of a region.

    Args:
      region: (H, W) bool, 8-connected, not empty.
    Returns:
      (n, 2) float64: x, y in pixels of the region, from end to end; one point for a dot.
    """
    box = bounding_box(region)
    assert box is not None
    part = region[box]
    scale = max(1.0, max(part.shape) / SIDE)
    size = tuple(max(1, round(side / scale)) for side in part.shape)
    small = cv2.resize(part.astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA) >= 0.5
    if not small.any():  # nothing but thin parts
        small[:] = cv2.resize(part.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST)
    if not small.any():
        ys, xs = np.nonzero(part)
        return np.array([[xs[0] + box[1].start, ys[0] + box[0].start]], np.float64)
    pixels = _longest(_largest(thinned(small)))
    stretch = np.array(part.shape, np.float64) / size
    rows, columns = ((np.array(pixels) + 0.5) * stretch - 0.5).T
    path = np.stack([columns + box[1].start, rows + box[0].start], axis=1)
    return np.clip(path, 0, (region.shape[1] - 1, region.shape[0] - 1))


def thinned(region: np.ndarray) -> np.ndarray:
    """Return the skeleton of a region, (H, W) bool, one pixel wide.

    Source: Zhang and Suen, "A fast parallel algorithm for thinning digital patterns", CACM 1984.
    """
    padded = np.pad(region, 1)
    while True:
        before = np.count_nonzero(padded)
        for order in (0, 1):
            ring = np.stack([np.roll(padded, (-dy, -dx), (0, 1)) for dy, dx in _RING])
            neighbours = ring.sum(axis=0)
            turns = (~ring & np.roll(ring, -1, 0)).sum(axis=0)  # from outside to inside, around
            north, east, south, west = ring[0], ring[2], ring[4], ring[6]
            if order == 0:
                free = ~(north & east & south) & ~(east & south & west)
            else:
                free = ~(north & east & west) & ~(north & south & west)
            padded = padded & ~((neighbours >= 2) & (neighbours <= 6) & (turns == 1) & free)
        if np.count_nonzero(padded) == before:
            return padded[1:-1, 1:-1]


def _largest(skeleton: np.ndarray) -> np.ndarray:
    """Return the largest piece: making a region smaller may have cut it."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(skeleton.astype(np.uint8),
                                                           connectivity=8)
    return labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())


def _longest(skeleton: np.ndarray) -> list[tuple[int, int]]:
    """Return the path between the two ends that are farthest apart (exact where nothing loops)."""
    pixels = {(int(row), int(column)) for row, column in zip(*np.nonzero(skeleton))}
    end, _ = _farthest(pixels, min(pixels))
    end, before = _farthest(pixels, end)
    path = [end]
    while (previous := before[path[-1]]) is not None:
        path.append(previous)
    return path


def _farthest(pixels: set[tuple[int, int]], start: tuple[int, int],
              ) -> tuple[tuple[int, int], dict[tuple[int, int], tuple[int, int] | None]]:
    """Return the pixel farthest from one, in steps, and the way back from every pixel."""
    before: dict[tuple[int, int], tuple[int, int] | None] = {start: None}
    front = [start]
    last = start
    while front:
        last = front[0]
        beyond = []
        for row, column in front:
            for down, right in _STEPS:
                pixel = (row + down, column + right)
                if pixel in pixels and pixel not in before:
                    before[pixel] = (row, column)
                    beyond.append(pixel)
        front = beyond
    return last, before
