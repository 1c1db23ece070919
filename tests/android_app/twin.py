"""The arithmetic of TapTensors.kt and Masks.kt in numpy: what it must equal without Kotlin.

Function by function and in the same order of operations, so that a difference from OpenCV can be
looked at here. float32 where Kotlin has Float, Python's float where it has Double.
"""
from __future__ import annotations

import math

import numpy as np

F = np.float32


def linear_table(source: int, target: int,
                 stop_at_edge: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return first and second source place of each target place and the second's weight."""
    scale = 1.0 / (target / source)
    place = ((np.arange(target) + 0.5) * scale - 0.5).astype(F)
    before = np.floor(place).astype(int)
    weight = place - before.astype(F)
    if stop_at_edge:
        weight = np.where((before < 0) | (before >= source - 1), F(0), weight)
    return before.clip(0, source - 1), (before + 1).clip(0, source - 1), weight


def area_table(source: int, target: int) -> list[list[tuple[int, np.float32]]]:
    """Return for each target cell the source places in it with their shares."""
    scale = 1.0 / (target / source)
    table = []
    for i in range(target):
        begin = i * scale
        end = begin + scale
        width = min(scale, source - begin)
        last = min(math.floor(end), source - 1)
        first = min(math.ceil(begin), last)
        cell = [(first - 1, F((first - begin) / width))] if first - begin > 1e-3 else []
        cell += [(place, F(1.0 / width)) for place in range(first, last)]
        if end - last > 1e-3:
            cell.append((last, F(min(end - last, 1.0, width) / width)))
        table.append(cell)
    return table


def image(pixels: np.ndarray, size: int) -> np.ndarray:
    """Return (size, size, 3) uint8, the tensor `image`, of (H, W, 3) uint8."""
    height, width = pixels.shape[:2]
    if (height, width) == (size, size):
        return pixels
    if size >= min(height, width):
        return _linear(pixels, size)
    if height % size == 0 and width % size == 0:
        return _blocks(pixels, size)
    return _area(pixels, size)


def _linear(pixels: np.ndarray, size: int) -> np.ndarray:
    def fixed(weight: np.ndarray) -> np.ndarray:
        return np.rint(weight * F(2048)).astype(int)

    left, right, x_weight = linear_table(pixels.shape[1], size, True)
    above, below, y_weight = linear_table(pixels.shape[0], size, False)
    numbers = pixels.astype(int)
    lines = (numbers[:, left] * fixed(F(1) - x_weight)[:, None]
             + numbers[:, right] * fixed(x_weight)[:, None])  # (H, size, 3)
    upper = fixed(F(1) - y_weight)[:, None, None] * (lines[above] >> 4) >> 16
    lower = fixed(y_weight)[:, None, None] * (lines[below] >> 4) >> 16
    return (upper + lower + 2 >> 2).astype(np.uint8)


def _blocks(pixels: np.ndarray, size: int) -> np.ndarray:
    down, across = pixels.shape[0] // size, pixels.shape[1] // size
    sums = pixels.astype(int).reshape(size, down, size, across, 3).sum((1, 3))
    if down == across == 2:
        return (sums + 2 >> 2).astype(np.uint8)
    return np.rint(sums.astype(F) * (F(1) / F(down * across))).astype(np.uint8)


def _area(pixels: np.ndarray, size: int) -> np.ndarray:
    columns = area_table(pixels.shape[1], size)
    deepest = max(map(len, columns))
    # (size, deepest) places and shares; a share of 0 adds nothing
    padded = [cell + [(0, F(0))] * (deepest - len(cell)) for cell in columns]
    places = np.array([[place for place, _ in cell] for cell in padded])
    shares = np.array([[share for _, share in cell] for cell in padded], F)
    out = np.zeros((size, size, 3), F)
    for y, cell in enumerate(area_table(pixels.shape[0], size)):
        for row, share in cell:
            line = np.zeros((size, 3), F)
            for k in range(deepest):
                line = line + pixels[row, places[:, k]].astype(F) * shares[:, k, None]
            out[y] = out[y] + share * line
    return np.rint(out).clip(0, 255).astype(np.uint8)


def points(taps: list[tuple[float, float, bool]], width: int, height: int, size: int,
           max_points: int) -> np.ndarray:
    """Return (max_points, 3) float32, the tensor `points`."""
    rows = [((x + 0.5) * size / width - 0.5, (y + 0.5) * size / height - 0.5, float(on_object))
            for x, y, on_object in taps]
    return np.array(rows + [(0, 0, -1)] * (max_points - len(rows)), F)


def window(bounds: list[tuple[float, float]], width: int, height: int,
           margin: float = 0.3) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of the part that is shown around places."""
    low, high = ([f(place[k] for place in bounds) for k in (0, 1)] for f in (min, max))
    room = margin * max(high[0] - low[0], high[1] - low[1])
    left, top = (int(max(0.0, math.floor(value - room))) for value in low)
    right, bottom = (int(min(float(side), math.ceil(value + room) + 1))
                     for value, side in zip(high, (width, height)))
    return left, top, right, bottom


def small_window(places: list[tuple[float, float]], width: int,
                 height: int) -> tuple[int, int, int, int]:
    """Return the part that a second look sees: around a small object's corners, taps and drag."""
    x, y = ((min(place[k] for place in places) + max(place[k] for place in places)) / 2
            for k in (0, 1))
    half = 0.08 * max(width, height) / 2
    return window([*places, (x - half, y - half), (x + half, y + half)], width, height, 0.25)


def gesture_points(rows: list[tuple[float, float, int]], width: int, height: int, size: int,
                   max_points: int) -> np.ndarray:
    """Return (max_points, 3) float32, the tensor `points` of rows in pixels of what is shown."""
    scaled = [((x + 0.5) * size / width - 0.5, (y + 0.5) * size / height - 0.5, label)
              for x, y, label in rows]
    return np.array(scaled + [(0, 0, -1)] * (max_points - len(rows)), F)


def probability(mask: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return (height, width) float32 of the file's mask, (size, size) uint8."""
    size = len(mask)
    left, right, x_weight = linear_table(size, width, True)
    above, below, y_weight = linear_table(size, height, False)
    numbers = mask.astype(F) / F(256)
    lines = numbers[:, left] * (F(1) - x_weight) + numbers[:, right] * x_weight
    return lines[above] * (F(1) - y_weight)[:, None] + lines[below] * y_weight[:, None]


def upright(stored: np.ndarray, orientation: int) -> np.ndarray:
    """Return stored pixels as EXIF orientation 1 to 8 means them; EXIF 2.32, 4.6.4, tag 274."""
    turned = stored.swapaxes(0, 1) if orientation >= 5 else stored
    return {1: turned, 2: turned[:, ::-1], 3: turned[::-1, ::-1], 4: turned[::-1],
            5: turned, 6: turned[:, ::-1], 7: turned[::-1, ::-1], 8: turned[::-1]}[orientation]
