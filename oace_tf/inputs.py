"""What callers hand over: photographs and taps in the forms that people have them in."""
from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np

from oace_tf.clicks import Click
from oace_tf.errors import UsageError, quoted
from oace_tf.images import decode_image, on_white, read_image

# A path, the bytes of a file, an open file, a PIL image, or an array; see `pixels_of`.
Image = Any
Tap = Any  # see `click_of`
_ADDRESSES = ("http://", "https://", "ftp://", "data:", "file://")


def pixels_of(image: Image) -> np.ndarray:
    """Return a photograph as pixels, (H, W, 3) uint8 RGB.

    Args:
      image: the path of a photograph, its bytes, or a file opened in binary mode (turned upright);
        a PIL image (as it is); or an array: (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA,
        uint8, or floats in [0, 1]. Transparent parts stand on white.
    Raises:
      UsageError: it is none of these, or cannot be read.
    """
    if isinstance(image, (str, os.PathLike)):
        if isinstance(image, str) and image.lower().startswith(_ADDRESSES):
            raise UsageError(f"{quoted(image)} is an address; fetch the photograph first and give "
                             "its path or its bytes")
        return read_image(image)
    if isinstance(image, (bytes, bytearray, memoryview)):
        return decode_image(bytes(image), "the photograph's bytes")
    if callable(getattr(image, "read", None)):
        data = image.read()
        if not isinstance(data, bytes):
            raise UsageError("the photograph's file is open in text mode; open it with mode 'rb'")
        return decode_image(data, str(getattr(image, "name", "the photograph's file")))
    if not isinstance(image, np.ndarray):
        if not hasattr(image, "__array_interface__"):
            raise UsageError("a photograph is a path, bytes, an open file, a PIL image or an "
                             f"array, got {type(image).__name__}")
        if hasattr(image, "convert"):  # PIL, of whatever mode
            image = image.convert("RGBA" if "A" in image.getbands() else "RGB")
        image = np.asarray(image)
    return _rgb(image)


def _rgb(array: np.ndarray) -> np.ndarray:
    """Return an array of one, three or four channels as (H, W, 3) uint8."""
    channels = 1 if array.ndim == 2 else array.shape[2] if array.ndim == 3 else 0
    if channels not in (1, 3, 4) or 0 in array.shape:
        raise UsageError("an image must be (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), "
                         f"got {array.shape} {array.dtype}")
    if array.dtype.kind == "f":
        if not ((array >= 0) & (array <= 1)).all():  # also false for NaN
            raise UsageError("an image of floats must lie in [0, 1]; bytes are of dtype uint8")
        array = np.rint(array * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        raise UsageError(f"an image must be uint8, or floats in [0, 1], got {array.dtype}")
    if channels == 1:
        return cv2.cvtColor(array.reshape(array.shape[:2]), cv2.COLOR_GRAY2RGB)
    return on_white(array[..., :3], array[..., 3]) if channels == 4 else array


def click_of(tap: Tap) -> Click:
    """Return a tap as a click.

    Args:
      tap: a `Click`; (x, y), which is on the object; or (x, y, label) with the label 1 for the
        object and 0 for the background, as a tuple, list or row of an array.
    Raises:
      UsageError: it is none of these.
    """
    if isinstance(tap, Click):
        return tap
    try:
        if isinstance(tap, (str, bytes)):
            raise TypeError
        x, y, label = (*(float(number) for number in tap), 1.0)[:3]
        count = len(tap)
    except (TypeError, ValueError):
        count = 0
    if count not in (2, 3):
        raise UsageError(f"a tap is (x, y) or (x, y, label), got {quoted(str(tap))}")
    if label not in (0.0, 1.0):
        raise UsageError(f"the label of the tap {x:g},{y:g} is {label:g}; 1 is the object, 0 the "
                         "background; for boxes and other gestures give a Gesture")
    return Click(x, y, label == 1.0)


def clicks_of(taps: Iterable[Tap] | Click) -> list[Click]:
    """Return taps, or a single one, as clicks (raises UsageError as `click_of`)."""
    if isinstance(taps, Click):
        return [taps]
    if isinstance(taps, (str, bytes)) or not isinstance(taps, Iterable):
        raise UsageError("taps are a list of (x, y), such as [(290, 120)], got "
                         f"{quoted(str(taps))}")
    return [click_of(tap) for tap in taps]
