"""What a file sees of a photograph: all of it, or the part around a box, in the network's frame."""
from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from oace_tf.errors import UsageError
from oace_tf.geometry import BYTE_SCALE, Frame, Window, window_around
from oace_tf.gestures import Gesture
from oace_tf.runtime.model import TfliteModel
from oace_tf.runtime.split_model import SplitModel

BOX_MARGIN = 0.3  # of the box's longer side, shown around it
# Of the photograph: a smaller object gets a second look, with this margin around it.
SMALL_SHARE, SMALL_MARGIN = 0.02, 0.25
LEAST_PART = 0.08  # of the photograph's longer side: no part is smaller


class Look:
    """What a file sees of a photograph or a part of it.

    Attributes:
      pixels: (h, w, 3) uint8, the part.
      frame: of the part.
      seen: (S, S, 3) uint8, the part in the frame.
    """

    def __init__(self, model: TfliteModel | SplitModel, pixels: np.ndarray) -> None:
        self.pixels = pixels
        self.frame = Frame(pixels.shape[0], pixels.shape[1], model.size)
        self.seen = self.frame.image(pixels)
        self._model = model
        self._features: dict[str, np.ndarray] | None = None

    def run(self, points: np.ndarray, previous: np.ndarray | None) -> np.ndarray:
        """Return the mask; as `TfliteModel.run`."""
        if not isinstance(self._model, SplitModel):
            return self._model.run(self.seen, points, previous)
        if self._features is None:
            self._features = self._model.encode(self.seen)
        return self._model.decode(self._features, points, previous)


def window_of(gesture: Gesture, height: int, width: int) -> Window | None:
    """Return the part of a photograph that a file sees of a gesture; None for all of it.

    With a box or extreme points it is what lies around them and the object taps.

    Raises:
      UsageError: the box or the points lie beside the photograph.
    """
    if gesture.bounds is None:
        return None
    inside = [[tap.x, tap.y] for tap in gesture.taps if tap.positive]
    points = np.concatenate([gesture.bounds, np.array(inside).reshape(-1, 2)])
    return window_around(points, height, width, BOX_MARGIN)


def around_small(mask: np.ndarray, gesture: Gesture) -> Window | None:
    """Return the part around a small object that taps alone gave; None where there is none.

    The network sees 384 x 384 cells whatever the photograph's size. In its part of the photograph
    a small object is as large as the objects that it knows best.

    Args:
      mask: (H, W) bool, the first answer.
      gesture: what was asked.
    """
    if gesture.bounds is not None or not 0 < np.count_nonzero(mask) < SMALL_SHARE * mask.size:
        return None
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    taps = [[tap.x, tap.y] for tap in gesture.taps if tap.positive]
    corners = [[left, top], [left + width - 1, top + height - 1]]
    points = np.array([*corners, *taps, *(gesture.drag or ())], np.float64)
    middle, half = (points.min(axis=0) + points.max(axis=0)) / 2, LEAST_PART * max(mask.shape) / 2
    points = np.concatenate([points, [middle - half, middle + half]])
    return window_around(points, mask.shape[0], mask.shape[1], SMALL_MARGIN)


def previous_in_frame(previous: np.ndarray, gesture: Gesture, window: Window | None,
                      size_hw: tuple[int, int], size: int, dtype: type) -> np.ndarray:
    """Return the mask of the gesture before as the file takes it, (size, size) of its dtype.

    Args:
      previous: the mask in the frame that the file gave for `gesture` without its last tap,
        (size, size) of `dtype`; or a mask of the photograph's size: bool, float probabilities in
        [0, 1], or uint8, where 255 is the object.
      gesture: the one that is asked about now.
      window: what the file sees for it; None for all of the photograph.
      size_hw: of the photograph.
      size: side of the network's frame, px.
      dtype: numpy.uint8 for an int8 file, else numpy.float32.
    Raises:
      UsageError: a mask of another shape or dtype, of numbers that are no probabilities, or of
        bytes 0 and 1.
    """
    mask = np.asarray(previous)
    if mask.shape == (size, size) and mask.dtype == dtype:
        if window is None or not gesture.taps:
            return mask
        return _moved(mask, _without_last_tap(gesture, *size_hw), window, size_hw)
    if mask.shape != size_hw or mask.dtype.kind not in "bf" and mask.dtype != np.uint8:
        raise UsageError(f"the previous mask must be ({size}, {size}) {np.dtype(dtype)}, as "
                         f"`answer` gives it, or bool, float or uint8 of the photograph's size "
                         f"{size_hw}, got {mask.shape} {mask.dtype}")
    if mask.dtype == np.uint8 and mask.max() == 1:  # would count as 1/256, and so as nothing
        raise UsageError("the previous mask holds bytes of 0 and 1; give it as bool, or with 255 "
                         "on the object")
    shares = mask.astype(np.float32) / np.float32(BYTE_SCALE if mask.dtype == np.uint8 else 1)
    if not ((shares >= 0) & (shares <= 1)).all():
        raise UsageError("the previous mask must be of probabilities in [0, 1]")
    part = shares if window is None else window.crop(shares)
    shrinks = size < min(part.shape)
    part = cv2.resize(part, (size, size),
                      interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return _in_dtype(part, dtype)


def _without_last_tap(gesture: Gesture, height: int, width: int) -> Window:
    window = window_of(replace(gesture, taps=gesture.taps[:-1]), height, width)
    assert window is not None
    return window


def _moved(mask: np.ndarray, before: Window, now: Window, size_hw: tuple[int, int]) -> np.ndarray:
    """Return a mask in the frame of one window in the frame of another, in its own dtype."""
    if before == now:
        return mask
    frame = Frame(before.bottom - before.top, before.right - before.left, mask.shape[0])
    part = now.crop(before.paste(frame.mask_back(mask), *size_hw))
    moved = cv2.resize(part, mask.shape, interpolation=cv2.INTER_LINEAR)
    return _in_dtype(moved, mask.dtype.type)


def _in_dtype(shares: np.ndarray, dtype: type) -> np.ndarray:
    """Return probabilities as bytes, for uint8, or as they are."""
    if dtype == np.uint8:
        return np.minimum(np.rint(shares * np.float32(BYTE_SCALE)), 255).astype(np.uint8)
    return np.clip(shares, 0, 1).astype(np.float32)
