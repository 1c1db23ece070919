"""Pictures of single objects: the photograph with tap and outlines, and its OACE."""
from __future__ import annotations

import base64
import math
from collections.abc import Sequence

import cv2
import numpy as np

from oace_tf.clicker import bounding_box
from oace_tf.clicks import Click
from oace_tf.evaluation.object_trials import ObjectRecord

SIDE = 260  # px, the longer side of a picture
COUNT = 24  # cases of each kind
TRUE_COLOUR, FOUND_COLOUR, TAP_COLOUR = (255, 255, 255), (255, 60, 0), (0, 220, 80)
_QUALITY = 72


def worst_and_median(records: Sequence[ObjectRecord], name: str,
                     count: int = COUNT) -> tuple[list[ObjectRecord], list[ObjectRecord]]:
    """Return the cases of least IoU after one click, and those around the median.

    A case whose prediction is not finite counts as worse than any other.
    """
    def iou(record: ObjectRecord) -> float:
        value = record.answers[name].iou[0]
        return value if np.isfinite(value) else -1.0

    ordered = sorted(records, key=iou)
    start = max(0, len(ordered) // 2 - count // 2)
    return ordered[:count], ordered[start:start + count]


def outlined(image: np.ndarray, mask: np.ndarray, prediction: np.ndarray,
             clicks: Sequence[Click]) -> np.ndarray:
    """Return the photograph small, with the object's outline, the predicted one, and the taps.

    Args:
      image: (H, W, 3) uint8 RGB.
      mask: (H, W) integer: 1 object.
      prediction: (H, W) bool.
      clicks: in pixels of the photograph.
    Returns:
      (h, w, 3) uint8 RGB, longer side 260: the object in white, the prediction in orange, taps
      green, background taps red.
    """
    height, width = image.shape[:2]
    scale = SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    picture = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1
                         else cv2.INTER_LINEAR)
    for region, colour in ((mask == 1, TRUE_COLOUR), (prediction, FOUND_COLOUR)):
        small = cv2.resize(region.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
        lines, _ = cv2.findContours((small >= 0.5).astype(np.uint8), cv2.RETR_LIST,
                                    cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, lines, -1, (0, 0, 0), 3, cv2.LINE_AA)  # seen on any ground
        cv2.drawContours(picture, lines, -1, colour, 1, cv2.LINE_AA)
    for click in clicks:
        centre = (round((click.x + 0.5) * scale - 0.5), round((click.y + 0.5) * scale - 0.5))
        cv2.circle(picture, centre, 5, (0, 0, 0), -1, cv2.LINE_AA)
        cv2.circle(picture, centre, 4, TAP_COLOUR if click.positive else (230, 30, 30), -1,
                   cv2.LINE_AA)
    return picture


def window(region: np.ndarray) -> tuple[slice, slice]:
    """Return the rows and columns of a photograph to show, so that a small region is seen.

    Args:
      region: (H, W) bool: object and prediction; at least one pixel.
    Returns:
      Its bounding box, half its size added on each side, at least a third of the photograph.
    """
    box = bounding_box(region)
    assert box is not None
    return _widened(box[0], region.shape[0]), _widened(box[1], region.shape[1])


def _widened(part: slice, whole: int) -> slice:
    length = min(whole, max(2 * (part.stop - part.start), -(-whole // 3)))
    start = (part.start + part.stop - length) // 2
    start = min(max(start, 0), whole - length)
    return slice(start, start + length)


def oace_picture(oace: np.ndarray, size_hw: tuple[int, int], shown: tuple[slice, slice],
                 picture_wh: tuple[int, int]) -> np.ndarray:
    """Return the part of an OACE that belongs to a part of its photograph, as colours.

    Args:
      oace: (S, S, 3) in [-1, 1].
      size_hw: of the photograph, pixels.
      shown: rows and columns of the photograph.
      picture_wh: width and height of the picture.
    Returns:
      (h, w, 3) uint8: the three channels as red, green and blue.
    """
    colours = np.clip((oace + 1) * 127.5, 0, 255).astype(np.uint8)
    part = tuple(
        slice(int(one.start * len(oace) / whole), math.ceil(one.stop * len(oace) / whole))
        for one, whole in zip(shown, size_hw))
    return cv2.resize(colours[part], picture_wh, interpolation=cv2.INTER_AREA)


def data_uri(picture: np.ndarray) -> str:
    """Return a picture, (h, w, 3) uint8 RGB, as the address of a JPEG that holds itself."""
    _, encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode("ascii")
