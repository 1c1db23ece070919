"""Pictures of a mask: cutout, mask picture, overlay. Arrays in, arrays out."""
from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from oace_tf.clicks import Click

DIMMED = 0.35  # brightness of what is not the object
OUTLINE = (255, 200, 0)
TAP_COLOURS = {True: (0, 220, 80), False: (230, 30, 30)}  # object green, background red


def cutout(image: np.ndarray, mask: np.ndarray, alpha: np.ndarray | None = None) -> np.ndarray:
    """Return the object alone: transparent, and black beneath, where the mask is not.

    Args:
      image: (H, W, 3) uint8 RGB.
      mask: (H, W) bool.
      alpha: (H, W) uint8, the photograph's own transparency, which stays; None where it has none.
    Returns:
      (H, W, 4) uint8 RGBA; without transparency of its own, alpha is 0 or 255.
    """
    own = mask_picture(mask) if alpha is None else np.where(mask, alpha, np.uint8(0))
    return np.dstack([np.where(own[..., None] > 0, image, np.uint8(0)), own])


def mask_picture(mask: np.ndarray) -> np.ndarray:
    """Return the mask, (H, W) bool, as a picture: (H, W) uint8, object 255, rest 0."""
    return np.where(mask, np.uint8(255), np.uint8(0))


def overlay(image: np.ndarray, mask: np.ndarray, clicks: Sequence[Click]) -> np.ndarray:
    """Return the photograph with all but the object dimmed, an outline, and the taps as dots.

    Args:
      image: (H, W, 3) uint8 RGB.
      mask: (H, W) bool.
      clicks: taps in pixels of the photograph.
    Returns:
      (H, W, 3) uint8 RGB.
    """
    dimmed = (image * DIMMED).astype(np.uint8)
    picture = np.ascontiguousarray(np.where(mask[..., None], image, dimmed))
    width = max(1, round(min(mask.shape) / 250))  # px: visible on any size of photograph
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, outlines, -1, OUTLINE, width)
    for click in clicks:
        centre = (round(click.x), round(click.y))
        cv2.circle(picture, centre, 4 * width, (255, 255, 255), -1, cv2.LINE_AA)
        cv2.circle(picture, centre, 3 * width, TAP_COLOURS[click.positive], -1, cv2.LINE_AA)
    return picture
