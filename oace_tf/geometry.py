"""Frame: from the photograph to the network's square and back, for image, clicks and mask.

Both axes are scaled on their own: the aspect ratio is ignored, as in the paper.
The same arithmetic runs on the phone.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from oace_tf.clicks import Click, pack_points
from oace_tf.errors import UsageError

NETWORK_SIZE = 512  # px, side of the network's frame
# Of photographs as byte / 255, for networks of other makers (ours take (byte - 128) / 128).
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BYTE_SCALE = 256.0  # the int8 sigmoid: byte = round(256 p), so that 128 is exactly one half


@dataclass(frozen=True, slots=True)
class Frame:
    """The map from a photograph of `height` x `width` px to a square of `size` px, and back.

    Raises:
      UsageError: a side is smaller than one pixel.
    """

    height: int
    width: int
    size: int = NETWORK_SIZE

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.size) < 1:
            raise UsageError("an image must have at least one pixel, "
                             f"got {self.width}x{self.height} for a frame of {self.size}")

    def image(self, image: np.ndarray) -> np.ndarray:
        """Return the photograph in the network's frame.

        Args:
          image: (height, width, 3) uint8.
        Returns:
          (size, size, 3) uint8, by INTER_AREA when both sides shrink, else INTER_LINEAR.
        Raises:
          ValueError: the image is not the one that this frame was made for.
        """
        if image.shape[:2] != (self.height, self.width):
            raise ValueError(f"frame of {self.height}x{self.width}, image of shape {image.shape}")
        shrinks = self.size < min(self.height, self.width)
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return cv2.resize(image, (self.size, self.size), interpolation=method)

    def click(self, click: Click) -> Click:
        """Return the click in the network's frame: x' = (x + 0.5) * size / width - 0.5.

        Raises:
          UsageError: the click is outside the photograph, that is outside [-0.5, width - 0.5] or
            [-0.5, height - 0.5].
        """
        if not (-0.5 <= click.x <= self.width - 0.5 and -0.5 <= click.y <= self.height - 0.5):
            raise UsageError(f"the tap {click.x:g},{click.y:g} is outside the photograph of "
                             f"{self.width}x{self.height} pixels; x runs from 0 to "
                             f"{self.width - 1}, y from 0 to {self.height - 1}")
        return Click((click.x + 0.5) * self.size / self.width - 0.5,
                     (click.y + 0.5) * self.size / self.height - 0.5, click.positive)

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows of a gesture, (n, 3) x, y, label, in the network's frame, float32.

        As `click`, but a corner, an outline point or the end of a drag may lie outside.
        """
        moved = np.array(rows, np.float64)
        for axis, side in ((0, self.width), (1, self.height)):
            moved[:, axis] = (moved[:, axis] + 0.5) * self.size / side - 0.5
        return moved.astype(np.float32)

    def points(self, clicks: Sequence[Click], max_points: int) -> np.ndarray:
        """Return clicks of the photograph as the network's `points`, (max_points, 3) float32.

        Raises:
          UsageError: a click outside the photograph, too many of them, or none on the object.
        """
        return pack_points([self.click(click) for click in clicks], max_points)

    def mask_back(self, mask: np.ndarray) -> np.ndarray:
        """Return the network's mask as probabilities at the photograph's size.

        Args:
          mask: (size, size) or (size, size, 1): uint8 as the int8 file gives it (256 p), or float
            probabilities in [0, 1].
        Returns:
          (height, width) float32 in [0, 1], by INTER_LINEAR; object where >= 0.5.
        Raises:
          ValueError: another shape.
        """
        if mask.shape not in ((self.size, self.size), (self.size, self.size, 1)):
            raise ValueError(f"frame of {self.size}x{self.size}, mask of shape {mask.shape}")
        probability = np.asarray(mask, np.float32).reshape(self.size, self.size)
        if mask.dtype == np.uint8:
            probability = probability / np.float32(BYTE_SCALE)
        return cv2.resize(probability, (self.width, self.height), interpolation=cv2.INTER_LINEAR)


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a photograph: columns `left` to `right` and rows `top` to `bottom`, ends excluded.

    Used to show the network a box with a margin in place of the whole photograph, as DEXTR and IOG
    do.
    """

    left: int
    top: int
    right: int
    bottom: int

    def crop(self, image: np.ndarray) -> np.ndarray:
        """Return the part of an image (H, W, ...), not copied."""
        return image[self.top:self.bottom, self.left:self.right]

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows of a gesture, (n, 3), in pixels of the part."""
        return rows - np.array([self.left, self.top, 0])

    def paste(self, part: np.ndarray, height: int, width: int) -> np.ndarray:
        """Return (height, width) float32 with `part` (h, w) in the window and 0 around it."""
        whole = np.zeros((height, width), np.float32)
        whole[self.top:self.bottom, self.left:self.right] = part
        return whole


def window_around(points: np.ndarray, height: int, width: int, margin: float) -> Window:
    """Return the window of a photograph around points.

    Args:
      points: (n, 2) x, y, in pixels; at least one of them inside the photograph.
      height, width: of the photograph.
      margin: added on each side, a share of the longer side of the points' bounding box.
    Raises:
      UsageError: all points are beside the photograph.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    room = margin * float((high - low).max())
    left, top = (int(max(0, np.floor(value - room))) for value in low)
    right = int(min(width, np.ceil(high[0] + room) + 1))
    bottom = int(min(height, np.ceil(high[1] + room) + 1))
    if right - left < 1 or bottom - top < 1:
        raise UsageError(f"the box {low[0]:g},{low[1]:g} to {high[0]:g},{high[1]:g} lies outside "
                         f"the photograph of {width}x{height} pixels")
    return Window(left, top, right, bottom)


def normalise(image_u8: np.ndarray) -> np.ndarray:
    """Return the image as the network sees it: (byte - 128) / 128.

    Args:
      image_u8: uint8, any shape.
    Returns:
      float32 of the same shape, in [-1, 127/128], exact.
    The trainer uses the same.
    """
    return (np.asarray(image_u8, np.float32) - np.float32(128)) / np.float32(128)
