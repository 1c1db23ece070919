"""Gestures as rows of `points`, and the maps that the network sees of them.

A gesture is up to N rows (x, y, label) in pixels of a square frame (pixel centres are whole
numbers). The labels of taps and box corners are those of SAM-type exports:

    1, 0    tap on the object, tap on the background
    2, 3    two opposite corners of a box around the object, in any order
    4       a point on the object's outline: leftmost, rightmost, top, bottom (DEXTR)
    5       the end of a drag, near the edge; it began at the object tap in the row before (DCT-Net)
    -1      unused row

Maps are drawn at 1/4, 1/8 and 1/16 of the frame. Each is a kernel max(0, 1 - d^2 / r^2) of the
distance d to the nearest point of one label, for several radii r, or a filled box. They need
multiplications and rectifiers only, so one TFLite delegate draws them and numpy gives the same
figures. `draw_maps` here is the reference of `networks.gesture_maps`.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from oace_tf.clicks import Click
from oace_tf.errors import UsageError

XY = tuple[float, float]


class Label(IntEnum):
    """What the third number of a row means."""

    UNUSED = -1
    BACKGROUND = 0
    OBJECT = 1
    CORNER = 2
    OPPOSITE_CORNER = 3
    EXTREME = 4
    RELEASE = 5


STRIDES = (4, 8, 16)  # of the maps; the weights of the features under the taps also at 32
QUERY_STRIDES = (8, 16, 32)
OBJECT_RADII = {4: (), 8: (0.12, 0.3, 0.8), 16: (0.12, 0.3, 0.8, 1.5)}  # shares of the frame
BACKGROUND_RADII = {4: (), 8: (0.12, 0.3), 16: (0.12, 0.3)}
NEAR_CELLS = {4: 3.0, 8: 2.5, 16: 1.5}  # radius of the smallest kernel, cells of the map
QUERY_CELLS = {8: 1.5, 16: 1.2, 32: 1.0}
FARTHEST = 1e9  # px, beyond any photograph; its square is a float32 still
DRAG_SPAN = 2.0  # the kernel of a drag reaches so many times as far as the drag
# Both fit half precision, which GPUs compute in.
FAR = 1e4  # added to the squared distance of rows of other labels, in frames
LEAST_SIDE = 1e-2  # of half a box and of a drag, in frames: keeps divisions finite


@dataclass(frozen=True, slots=True, kw_only=True)
class Gesture:
    """What a person does on a photograph, in its pixels (pixel centres are whole numbers).

    Attributes:
      taps: taps on the object (`Click.positive`) and on the background.
      box: left, top, right, bottom of a box around the object; corners in any order.
      extreme: four points on the outline: leftmost, rightmost, top, bottom, in any order.
      drag: where it begins, in the middle of the object, and where it ends, at the nearest edge.

    Raises:
      UsageError: no object tap, box, extreme points or drag; not four extreme points; a number
        that is not finite, or too large for any photograph.
    """

    taps: tuple[Click, ...] = ()
    box: tuple[float, float, float, float] | None = None
    extreme: tuple[XY, ...] = ()
    drag: tuple[XY, XY] | None = None

    def __post_init__(self) -> None:
        if self.box is not None and len(self.box) != 4:
            raise UsageError(f"a box has {len(self.box)} numbers; give left, top, right, bottom")
        if self.extreme and len(self.extreme) != 4:
            raise UsageError(f"{len(self.extreme)} extreme points; give four: leftmost, "
                             "rightmost, top and bottom of the object")
        tapped = any(tap.positive for tap in self.taps)
        if not (self.box is not None or self.extreme or self.drag or tapped):
            raise UsageError("nothing says which object is meant; give a tap on it, a box, four "
                             "extreme points or a drag")
        rows = self.rows()
        if not np.isfinite(rows).all():
            raise UsageError("a gesture holds a number that is not finite")
        if np.abs(rows).max(initial=0) > FARTHEST:
            raise UsageError(f"a gesture holds {np.abs(rows).max():g}, too large a number for a "
                             "place in a photograph")

    def rows(self) -> np.ndarray:
        """Return the gesture as rows (x, y, label), (n, 3) float64, in pixels of the photograph."""
        return np.array(list(self._rows()), np.float64).reshape(-1, 3)

    @property
    def bounds(self) -> np.ndarray | None:
        """The points that bound the object, (n, 2): corners and extreme points; None without."""
        points = [] if self.box is None else [self.box[:2], self.box[2:]]
        points += list(self.extreme)
        return np.array(points, np.float64) if points else None

    @property
    def kinds(self) -> frozenset[str]:
        """What the gesture is made of: `tap`, `background`, `box`, `extreme`, `drag`."""
        kinds = {"tap" if tap.positive else "background" for tap in self.taps}
        kinds |= {name for name in ("box", "extreme", "drag")
                  if getattr(self, name) is not None and len(getattr(self, name))}
        return frozenset(kinds)

    def _rows(self) -> Iterator[tuple[float, float, int]]:
        if self.drag:
            yield (*self.drag[0], Label.OBJECT)
            yield (*self.drag[1], Label.RELEASE)
        if self.box is not None:
            yield (*self.box[:2], Label.CORNER)
            yield (*self.box[2:], Label.OPPOSITE_CORNER)
        for point in self.extreme:
            yield (*point, Label.EXTREME)
        for tap in self.taps:
            yield (tap.x, tap.y, Label.OBJECT if tap.positive else Label.BACKGROUND)


def channels(stride: int) -> int:
    """Return how many maps there are at a stride: 3 at 4, 11 at 8, 12 at 16."""
    if stride == 4:
        return 3
    return 2 + len(OBJECT_RADII[stride]) + len(BACKGROUND_RADII[stride]) + 4


@dataclass(frozen=True, slots=True)
class GestureMaps:
    """The maps of one gesture: by stride, (H, W, channels) float32 in [0, 1], and query weights."""

    maps: dict[int, np.ndarray]
    object_weights: dict[int, np.ndarray]  # (H, W, 1), summing to 1 where there is a gesture
    background_weights: dict[int, np.ndarray]  # (H, W, 1), summing to 1 where there is such a tap


def pack_rows(rows: np.ndarray, count: int) -> np.ndarray:
    """Return (count, 3) float32: the rows, then unused ones.

    Raises:
      ValueError: more rows than `count`.
    """
    if len(rows) > count:
        raise ValueError(f"{len(rows)} rows do not fit into {count}")
    points = np.zeros((count, 3), np.float32)
    points[:, 2] = Label.UNUSED
    points[:len(rows)] = rows
    return points


def draw_maps(points: np.ndarray, frame: int, size: int) -> GestureMaps:
    """Draw the maps of a gesture, in float32.

    Args:
      points: (N, 3) float32.
      frame: side of the square that the points are in, px.
      size: side of the network's square, px, a multiple of 64.
    """
    points = np.asarray(points, np.float32)
    maps, objects, backgrounds = {}, {}, {}
    for stride in (*STRIDES, 32):
        side = size // stride
        centre = (np.arange(side, dtype=np.float32) + np.float32(0.5)) / np.float32(side)
        if stride in STRIDES:
            maps[stride] = _maps(points, frame, centre, stride)
        if stride in QUERY_STRIDES:
            objects[stride], backgrounds[stride] = _weights(points, frame, centre, stride)
    return GestureMaps(maps, objects, backgrounds)


def _squares(points: np.ndarray, frame: int, centre: np.ndarray,
             factor: np.ndarray | None = None) -> np.ndarray:
    """Return (N, H, W): squared distance of each cell to each row, in frames."""
    unit = (points[:, :2] + np.float32(0.5)) / np.float32(frame)
    dx2 = np.square(centre[None, :] - unit[:, :1])
    dy2 = np.square(centre[None, :] - unit[:, 1:])
    if factor is not None:
        dx2, dy2 = dx2 * factor[:, None], dy2 * factor[:, None]
    return dx2[:, None, :] + dy2[:, :, None]


def _nearest(points: np.ndarray, frame: int, centre: np.ndarray, label: int) -> np.ndarray:
    gap = np.square(points[:, 2] - np.float32(label)) * np.float32(FAR)
    return (_squares(points, frame, centre) + gap[:, None, None]).min(axis=0)


def _kernels(squares: np.ndarray, radii: tuple[float, ...]) -> list[np.ndarray]:
    return [np.maximum(np.float32(1) - squares * np.float32(1 / radius**2), np.float32(0))
            for radius in radii]


def _box(points: np.ndarray, frame: int) -> tuple[float, np.ndarray, np.ndarray]:
    """Return (1 where there is a box, else 0; low x, y; high x, y in frames)."""
    label = points[:, 2]
    gap = np.square((label - 2) * (label - 3) * (label - 4)) * np.float32(FAR)
    unit = (points[:, :2] + np.float32(0.5)) / np.float32(frame)
    present = max(0.0, 1.0 - float(gap.min()))
    return present, (unit + gap[:, None]).min(axis=0), (unit - gap[:, None]).max(axis=0)


def _maps(points: np.ndarray, frame: int, centre: np.ndarray, stride: int) -> np.ndarray:
    side = len(centre)
    near = NEAR_CELLS[stride] / side
    planes = _kernels(_nearest(points, frame, centre, Label.OBJECT), (near, *OBJECT_RADII[stride]))
    planes += _kernels(_nearest(points, frame, centre, Label.BACKGROUND),
                       (near, *BACKGROUND_RADII[stride]))
    planes += _kernels(_nearest(points, frame, centre, Label.EXTREME), (near,))
    if stride > 4:
        present, low, high = _box(points, frame)
        across, down = (np.maximum(1 - (np.maximum(low[k] - centre, 0)
                                        + np.maximum(centre - high[k], 0)) * side, 0)
                        for k in (0, 1))
        inside = (across[None, :] * down[:, None] * np.float32(present)).astype(np.float32)
        planes += [inside, np.float32(present) - inside, _drag(points, frame, centre)]
    return np.stack(planes, axis=-1).astype(np.float32)


def _drag(points: np.ndarray, frame: int, centre: np.ndarray) -> np.ndarray:
    press, release = points[:-1], points[1:]
    radius2 = np.square((release[:, :2] - press[:, :2]) / np.float32(frame)).sum(axis=1)
    factor = 1 / (np.float32(DRAG_SPAN**2) * radius2 + np.float32(LEAST_SIDE**2))
    gap = np.square(release[:, 2] - np.float32(Label.RELEASE)) * np.float32(FAR)
    squares = _squares(press, frame, centre, factor.astype(np.float32))
    return np.maximum(1 - (squares + gap[:, None, None]).min(axis=0), 0)


def _weights(points: np.ndarray, frame: int, centre: np.ndarray,
             stride: int) -> tuple[np.ndarray, np.ndarray]:
    radius = (QUERY_CELLS[stride] / len(centre),)
    tapped = max(0.0, 1.0 - float(np.square(points[:, 2] - Label.OBJECT).min()))
    present, low, high = _box(points, frame)
    half = np.maximum((high - low) / 2, LEAST_SIDE)
    middle = (high + low) / 2
    across, down = (np.maximum(1 - np.square((centre - middle[k]) / half[k]), 0) for k in (0, 1))
    bump = across[None, :] * down[:, None] * np.float32(present * (1.0 - tapped))
    (taps,) = _kernels(_nearest(points, frame, centre, Label.OBJECT), radius)
    (others,) = _kernels(_nearest(points, frame, centre, Label.BACKGROUND), radius)
    objects, backgrounds = ((w / (w.sum() + np.float32(1e-6))).astype(np.float32)[..., None]
                            for w in (taps + bump, others))
    return objects, backgrounds
