"""Gestures as people make them on an object: rows (x, y, label) in pixels of its mask.

Numpy and OpenCV only. Every draw comes from the generator that is passed in.
"""
from __future__ import annotations

from dataclasses import dataclass, fields

import cv2
import numpy as np

from oace_tf.clicker import edge_distance
from oace_tf.errors import UsageError
from oace_tf.gestures import Label

Rows = np.ndarray  # (n, 3) float32
_STROKE_STEP = 0.02  # of the diagonal, between two taps of a scribble


@dataclass(frozen=True, slots=True, kw_only=True)
class GestureShares:
    """How often each first gesture is made; the shares are relative to their sum."""

    tap: float = 0.5  # one tap on the object
    taps: float = 0.14  # two to four taps, those beside the object included
    box: float = 0.08
    box_tap: float = 0.07  # a box and a tap inside (IOG)
    extreme: float = 0.07  # four points on the outline (DEXTR)
    drag: float = 0.07  # press in the middle, drag to the edge (DCT-Net)
    scribble: float = 0.07  # a stroke on the object

    def __post_init__(self) -> None:
        shares = [getattr(self, entry.name) for entry in fields(self)]
        if not (min(shares) >= 0.0 and 0.0 < sum(shares) < np.inf):
            raise UsageError(f"training settings: scenes.shares are {shares}, expected none below "
                             "zero and one above")

    def draw(self, rng: np.random.Generator) -> str:
        """Return the name of a gesture."""
        names = [entry.name for entry in fields(self)]
        shares = np.array([getattr(self, name) for name in names])
        return str(names[int(rng.choice(len(names), p=shares / shares.sum()))])


def simulate_gesture(kind: str, mask: np.ndarray, rng: np.random.Generator, most: int,
                     middle: float = 0.3) -> Rows:
    """Return the rows of one gesture.

    Args:
      kind: a field of `GestureShares`.
      mask: (S, S) bool, not empty.
      rng: the generator.
      most: rows at most, at least 8.
      middle: share of the taps that are where the object is deepest.
    """
    depth = edge_distance(mask)
    if kind == "tap":
        return _tap(depth, rng, middle)
    if kind == "taps":
        return _taps(mask, depth, rng, middle)
    if kind == "box":
        return _box(mask, rng)
    if kind == "box_tap":
        return np.concatenate([_box(mask, rng), _tap(depth, rng, max(middle, 0.7))])
    if kind == "extreme":
        return _extreme(mask, rng)
    if kind == "drag":
        return _drag(depth, rng)
    return _scribble(depth, rng, most)


def _row(flat_index: int, side: int, label: int) -> list[float]:
    return [float(flat_index % side), float(flat_index // side), float(label)]


def _inside(region: np.ndarray, rng: np.random.Generator, label: int) -> list[float]:
    flat = np.flatnonzero(region)
    return _row(int(flat[rng.integers(len(flat))]), region.shape[1], label)


def _tap(depth: np.ndarray, rng: np.random.Generator, middle: float) -> Rows:
    """One tap: in the middle, anywhere, or away from the edge, where fingers go."""
    kind = rng.random()
    if kind < middle:
        return np.array([_row(int(depth.argmax()), depth.shape[1], Label.OBJECT)], np.float32)
    least = 0.0 if kind > 1.0 - (1.0 - middle) * 5 / 14 else min(5.0, 0.5 * float(depth.max()))
    return np.array([_inside((depth > 0) & (depth >= least), rng, Label.OBJECT)], np.float32)


def _taps(mask: np.ndarray, depth: np.ndarray, rng: np.random.Generator,
          middle: float) -> Rows:
    rows = [_tap(depth, rng, middle)]
    for _ in range(int(rng.integers(1, 4))):
        if rng.random() < 0.5:
            rows.append(_tap(depth, rng, middle))
        elif not mask.all():
            rows.append(np.array([_beside(mask, rng)], np.float32))
    return np.concatenate(rows)


def _beside(mask: np.ndarray, rng: np.random.Generator) -> list[float]:
    """A background tap: every other one in a ring around the object."""
    ring = (cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8),
                       iterations=max(2, len(mask) // 12)) > 0) & ~mask
    where = ring if ring.any() and rng.random() < 0.5 else ~mask
    return _inside(where, rng, Label.BACKGROUND)


def _box(mask: np.ndarray, rng: np.random.Generator) -> Rows:
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    jitter = rng.normal(0.0, 0.02, 4) * (width, height, width, height)
    x0, y0 = left + jitter[0], top + jitter[1]
    x1, y1 = left + width - 1 + jitter[2], top + height - 1 + jitter[3]
    if rng.random() < 0.5:
        y0, y1 = y1, y0
    return np.array([[x0, y0, Label.CORNER], [x1, y1, Label.OPPOSITE_CORNER]], np.float32)


def _extreme(mask: np.ndarray, rng: np.random.Generator) -> Rows:
    ys, xs = np.nonzero(mask)
    side = len(mask)
    rows = []
    for values, lowest in ((xs, True), (ys, True), (xs, False), (ys, False)):
        limit = values.min() + 1 if lowest else values.max() - 1
        near = np.flatnonzero(values <= limit if lowest else values >= limit)
        index = int(near[rng.integers(len(near))])
        shift = rng.normal(0.0, 3.0 * side / 512.0, 2)
        rows.append([xs[index] + shift[0], ys[index] + shift[1], Label.EXTREME])
    return np.array(rows, np.float32)


def _drag(depth: np.ndarray, rng: np.random.Generator) -> Rows:
    core = depth >= 0.85 * depth.max()
    x, y, _ = _inside(core, rng, Label.OBJECT)
    angle, length = rng.uniform(0, 2 * np.pi), float(depth.max()) * rng.uniform(0.8, 1.2)
    return np.array([[x, y, Label.OBJECT], [x + length * np.cos(angle), y + length * np.sin(angle),
                                            Label.RELEASE]], np.float32)


def _scribble(depth: np.ndarray, rng: np.random.Generator, most: int) -> Rows:
    """Taps along a smooth curve through three places of the object, those inside it."""
    side = len(depth)
    region = depth >= min(4.0, 0.5 * float(depth.max()))
    a, b, c = (np.array(_inside(region, rng, Label.OBJECT)[:2]) for _ in range(3))
    share = np.linspace(0.0, 1.0, 64)[:, None]
    curve = a * (1 - share)**2 + b * 2 * share * (1 - share) + c * share**2
    rows, last = [], None
    for x, y in curve:
        apart = np.inf if last is None else np.hypot(x - last[0], y - last[1])
        if depth[int(y), int(x)] > 0 and apart >= _STROKE_STEP * side * np.sqrt(2):
            rows.append([x, y, Label.OBJECT])
            last = (x, y)
    return np.array(rows[:most], np.float32)
