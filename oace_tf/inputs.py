"""What callers hand over: photographs and taps in the forms that people have them in."""
from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypedDict

import cv2
import numpy as np

from oace_tf.clicks import Click
from oace_tf.errors import UsageError, quoted
from oace_tf.gestures import Gesture
from oace_tf.images import Photograph, checked_size, decode_photograph, on_white, read_photograph
from oace_tf.strokes import strokes_of, taps_along

# A path, the bytes of a file, an open file, a PIL image, or an array; see `pixels_of`.
Image = Any
Tap = Any  # see `click_of`
Pairs = Any  # (x, y) several times: a list, tuples, or an (n, 2) array
_ADDRESSES = ("http://", "https://", "ftp://", "data:", "file://")


class GestureWords(TypedDict, total=False):
    """A gesture by keywords, each in pixels of the upright photograph (centres: whole numbers).

    Attributes:
      taps: taps on the object; see `clicks_of`.
      background: taps on what is not the object.
      box: left, top, right, bottom of a box around the object; corners in any order.
      extreme: the leftmost, rightmost, top and bottom point of the object, in any order.
      drag: where it begins, in the middle of the object, and where it ends, at the nearest edge.
      scribble: a stroke along the object, or several; see `strokes.strokes_of`.
    """

    taps: Iterable[Tap] | Click
    background: Iterable[Tap] | Click
    box: Sequence[float] | np.ndarray | None
    extreme: Pairs
    drag: Pairs
    scribble: Pairs


def pixels_of(image: Image) -> np.ndarray:
    """Return a photograph as pixels, (H, W, 3) uint8 RGB; see `photograph_of`."""
    return photograph_of(image).image


def photograph_of(image: Image) -> Photograph:
    """Return a photograph, upright, with its own transparency.

    Args:
      image: the path of a photograph, its bytes, or a file opened in binary mode (turned upright);
        a PIL image (as it is); an array: (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA,
        uint8, or floats in [0, 1]; or an `images.Photograph`. Transparent parts stand on white.
    Raises:
      UsageError: it is none of these, cannot be read, or has more than 200 megapixels.
    """
    if isinstance(image, Photograph):
        return image
    if isinstance(image, (str, os.PathLike)):
        if isinstance(image, str) and image.lower().startswith(_ADDRESSES):
            raise UsageError(f"{quoted(image)} is an address; fetch the photograph first and give "
                             "its path or its bytes")
        return read_photograph(image)
    if isinstance(image, (bytes, bytearray, memoryview)):
        return decode_photograph(bytes(image), "the photograph's bytes")
    if callable(getattr(image, "read", None)):
        try:
            data = image.read()
        except UnicodeDecodeError:  # in text mode, whose encoding the photograph is not
            data = ""
        except (OSError, ValueError) as error:  # closed, or open for writing
            raise UsageError(f"the photograph's file cannot be read: {error}; open it with mode "
                             "'rb'") from error
        if not isinstance(data, bytes):
            raise UsageError("the photograph's file is open in text mode; open it with mode 'rb'")
        return decode_photograph(data, str(getattr(image, "name", "the photograph's file")))
    if not isinstance(image, np.ndarray):
        if hasattr(image, "convert") and hasattr(image, "getbands"):
            return _of_array(_of_pil(image))
        if not hasattr(image, "__array_interface__"):
            raise UsageError("a photograph is a path, bytes, an open file, a PIL image or an "
                             f"array, got {type(image).__name__}")
        image = np.asarray(image)
    return _of_array(image)


def _of_pil(image: Any) -> np.ndarray:
    """Return a PIL image, of whatever mode, as `_of_array` takes it.

    Raises:
      UsageError: too many pixels, a file behind it that is damaged or closed, or numbers of which
        nothing says which is white.
    """
    checked_size(image.height, image.width, "the photograph")
    try:
        if image.mode.startswith("I") or image.mode == "F":  # `convert` would cut at 255
            return _of_wide(image.mode, np.asarray(image))
        if image.mode == "La":  # whose colours are multiplied by its transparency, as of RGBa
            image = image.convert("LA")
        palette = getattr(image, "palette", None)
        has_alpha = {"A", "a"} & set(image.getbands()) or "transparency" in getattr(
            image, "info", {}) or (palette is not None and palette.mode.endswith("A"))
        return np.asarray(image.convert("RGBA" if has_alpha else "RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise UsageError(f"the PIL image cannot be read: {error}; give the photograph's path or "
                         "its bytes") from error


def _of_wide(mode: str, array: np.ndarray) -> np.ndarray:
    """Return a PIL image of more than 8 bits as `_of_array` takes it.

    Raises:
      UsageError: nothing says which number is white.
    """
    if mode == "I":
        raise UsageError("a PIL image of mode I (32 bits) does not say which number is white; give "
                         "the photograph's path, or convert it to 8 bits")
    return array if mode == "F" else (array // 256).astype(np.uint8)


def _of_array(array: np.ndarray) -> Photograph:
    """Return an array of one, three or four channels as a photograph."""
    channels = 1 if array.ndim == 2 else array.shape[2] if array.ndim == 3 else 0
    if channels not in (1, 3, 4) or 0 in array.shape:
        raise UsageError("an image must be (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), "
                         f"got {array.shape} {array.dtype}")
    size_hw = array.shape[0], array.shape[1]
    checked_size(*size_hw, "the array")
    if array.dtype.kind == "f":
        if not ((array >= 0) & (array <= 1)).all():  # also false for NaN
            raise UsageError("an image of floats must lie in [0, 1]; bytes are of dtype uint8")
        array = np.rint(array * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        raise UsageError(f"an image must be uint8, or floats in [0, 1], got {array.dtype}")
    if channels == 1:
        array = cv2.cvtColor(array.reshape(size_hw), cv2.COLOR_GRAY2RGB)
    if channels < 4:
        return Photograph(array, None, array, size_hw, False)
    colours, alpha = np.ascontiguousarray(array[..., :3]), array[..., 3]
    if (alpha == 255).all():
        return Photograph(colours, None, colours, size_hw, False)
    return Photograph(on_white(colours, alpha), alpha, colours, size_hw, False)


def gesture_of(gesture: Iterable[Tap] | Click | Gesture | None, words: Mapping[str, Any],
               size_hw: tuple[int, int], most: int) -> list[Click] | Gesture:
    """Return what a caller gave, by place or by keywords, as a gesture; taps alone stay a list.

    Args:
      gesture: taps, a `Gesture`, or None for nothing.
      words: those of `GestureWords`; what is empty or None does not count.
      size_hw: of the photograph: a scribble becomes taps 2 % of its diagonal apart.
      most: rows that the file takes; a scribble gets what the rest leaves.
    Raises:
      UsageError: a `Gesture` and keywords, taps in both places, or a keyword's value that is
        none; nothing else is checked here.
      TypeError: an unknown keyword.
    """
    for name in words:
        if name not in GestureWords.__annotations__:
            raise TypeError(f"unknown keyword {name!r}; a gesture is made of "
                            f"{', '.join(GestureWords.__annotations__)}")
    given = {name: value for name, value in words.items()
             if value is not None and (not hasattr(value, "__len__") or len(value))}
    if isinstance(gesture, Gesture):
        if given:
            raise UsageError(f"a Gesture and {', '.join(given)}: put all into the Gesture")
        return gesture
    if gesture is not None and "taps" in given:
        raise UsageError("taps stand in two places; give them once")
    taps = clicks_of(given.get("taps", ()) if gesture is None else gesture)
    background = [replace(tap, positive=False) for tap in clicks_of(given.get("background", ()))]
    box = _box(given["box"]) if "box" in given else None
    extreme = _pairs(given["extreme"], 4, "extreme", "four points on the outline, leftmost, "
                     "rightmost, top and bottom") if "extreme" in given else ()
    drag = _pairs(given["drag"], 2, "drag", "two points, from the middle of the object to its "
                  "nearest edge") if "drag" in given else None
    strokes = strokes_of(given.get("scribble", ()))
    left = most - len(taps) - len(background) - (2 if box else 0) - len(extreme) - len(drag or ())
    taps = [*taps_along(strokes, size_hw, max(left, 0)), *taps, *background]
    if box is None and not extreme and drag is None:
        return taps
    return Gesture(taps=tuple(taps), box=box, extreme=extreme,
                   drag=None if drag is None else (drag[0], drag[1]))


def _box(box: Any) -> tuple[float, float, float, float]:
    numbers = _numbers(box)
    if numbers is None or numbers.shape != (4,):
        raise UsageError(f"a box is (left, top, right, bottom), got {quoted(str(box))}")
    left, top, right, bottom = map(float, numbers)
    if left == right or top == bottom:
        raise UsageError(f"the box {left:g},{top:g},{right:g},{bottom:g} has no area; give two "
                         "opposite corners")
    return left, top, right, bottom


def _pairs(points: Any, count: int, name: str, meaning: str) -> tuple[tuple[float, float], ...]:
    numbers = _numbers(points)
    if numbers is None or numbers.shape != (count, 2):
        raise UsageError(f"{name} is {meaning}, each (x, y), got {quoted(str(points))}")
    return tuple((float(x), float(y)) for x, y in numbers)


def _numbers(values: Any) -> np.ndarray | None:
    if isinstance(values, (str, bytes)):
        return None
    try:
        return np.array(values, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None


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
    except (TypeError, ValueError, OverflowError):
        count = 0
    if count not in (2, 3):
        raise UsageError(f"a tap is (x, y) or (x, y, label), got {quoted(str(tap))}")
    if label not in (0.0, 1.0):
        raise UsageError(f"the label of the tap {x:g},{y:g} is {label:g}; 1 is the object, 0 the "
                         "background; boxes and other gestures have keywords of their own")
    return Click(x, y, label == 1.0)


def clicks_of(taps: Iterable[Tap] | Click) -> list[Click]:
    """Return taps, or a single one, as clicks (raises UsageError as `click_of`)."""
    if isinstance(taps, Click):
        return [taps]
    if isinstance(taps, (str, bytes)) or not isinstance(taps, Iterable):
        raise UsageError("taps are a list of (x, y), such as [(290, 120)], got "
                         f"{quoted(str(taps))}")
    listed = list(taps)
    if listed and np.isscalar(listed[0]) and not isinstance(listed[0], (str, bytes)):
        raise UsageError("taps are a list of (x, y), such as [(290, 120)], got the numbers of a "
                         f"single one; write [({', '.join(f'{number:g}' for number in listed)})]")
    return [click_of(tap) for tap in listed]
