"""Cutouts as the page saves them: with a soft edge, and no larger than the object."""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from oace_tf import pictures
from oace_tf.errors import UsageError

MAX_FEATHER = 500.0  # px of the photograph
REACH = 3.0  # a soft edge ends after so many standard deviations


@dataclass(frozen=True, slots=True, kw_only=True)
class CutoutOptions:
    """How a cutout is made.

    Attributes:
      feather: width of the soft edge, pixels of the photograph; 0 for a hard one.
      crop: whether only the part around the object is saved.
      refine: whether the edge follows those of the photograph (`runtime.edge_refinement`).

    Raises:
      UsageError: a value of another kind, or a width beside 0 to 500.
    """

    feather: float = 0.0
    crop: bool = False
    refine: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.feather, bool) or not isinstance(self.feather, (int, float)) or not (
                0 <= self.feather <= MAX_FEATHER):
            raise UsageError(f"feather is a width of 0 to {MAX_FEATHER:g} pixels, "
                             f"got {self.feather!r}")
        if not isinstance(self.crop, bool) or not isinstance(self.refine, bool):
            raise UsageError("crop and refine are true or false")

    @classmethod
    def of(cls, values: dict[str, Any]) -> CutoutOptions:
        """Return the options among the values of a request; the others are not read."""
        return cls(**{name: values[name] for name in ("feather", "crop", "refine")
                      if name in values})


def cutout(image: np.ndarray, mask: np.ndarray, alpha: np.ndarray | None,
           options: CutoutOptions) -> np.ndarray:
    """Return the cutout, (h, w, 4) uint8 RGBA.

    Args:
      image: (H, W, 3) uint8 RGB.
      mask: (H, W) bool.
      alpha: (H, W) uint8, the photograph's own transparency, or None.
      options: width of the edge, and whether it is cropped.
    """
    if options.feather == 0:
        rgba = pictures.cutout(image, mask, alpha)
    else:
        own = softened(mask, options.feather)
        if alpha is not None:
            own = np.minimum(own, alpha)
        rgba = np.dstack([np.where(own[..., None] > 0, image, np.uint8(0)), own])
    return cropped(rgba) if options.crop else rgba


def softened(mask: np.ndarray, width: float) -> np.ndarray:
    """Return a mask, (H, W) bool, with a soft edge of about `width` px, (H, W) uint8."""
    sigma = width / 2
    side = 2 * math.ceil(REACH * sigma) + 1
    return cv2.GaussianBlur(pictures.mask_picture(mask), (side, side), sigma,
                            borderType=cv2.BORDER_REPLICATE)


def cropped(rgba: np.ndarray) -> np.ndarray:
    """Return the smallest part that holds all that is not transparent; all where nothing is."""
    rows, columns = (np.flatnonzero(rgba[..., 3].any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return rgba
    return np.ascontiguousarray(rgba[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1])
