"""Shape of an object: its size class, its thinness, and the band along its outline."""
from __future__ import annotations

import math

import cv2
import numpy as np

from oace_tf.clicker import IGNORED, bounding_box, edge_distance
from oace_tf.evaluation.metrics import mask_agreement

SMALL, LARGE = 32**2, 96**2  # px, as in COCO's evaluation
BAND = 0.02  # of the diagonal
THIN, SOLID = 0.25, 0.295  # thirds of the objects of GrabCut, ecssd and coco_mval together


def boundary_iou(prediction: np.ndarray, mask: np.ndarray) -> float:
    """Return the IoU of the bands along the inner side of two outlines.

    Args:
      prediction: (H, W) bool.
      mask: (H, W) integer: 1 object, 0 background, -1 ignored (counts for neither).
    Returns:
      In [0, 1]; 1 where both are empty.
    Source: Cheng et al., "Boundary IoU", CVPR 2021; bands of 2 % of the diagonal.
    """
    return band_iou(prediction, boundary_band(mask == 1), mask != IGNORED)


def band_iou(prediction: np.ndarray, object_band: np.ndarray, valid: np.ndarray) -> float:
    """Return the boundary IoU where the object's band is known; all (H, W) bool."""
    return mask_agreement(boundary_band(prediction) & valid, object_band & valid)


def boundary_band(region: np.ndarray) -> np.ndarray:
    """Return the pixels of a region within 2 % of the diagonal of its edge (at least 1 px).

    Distances count as steps of a king; the image's border is an edge.

    Args:
      region: (H, W) bool.
    Returns:
      (H, W) bool.
    """
    steps = max(1, round(BAND * math.hypot(*region.shape)))
    band = np.zeros(region.shape, bool)
    box = bounding_box(region)
    if box is not None:
        padded = np.pad(region[box].view(np.uint8), 1)  # beyond the box nothing is inside
        kernel = np.ones((2 * steps + 1, 2 * steps + 1), np.uint8)
        inner = cv2.erode(padded, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
        band[box] = region[box] & (inner[1:-1, 1:-1] == 0)
    return band


def thinness(mask: np.ndarray) -> float:
    """Return area / (perimeter x greatest width): small where an object has thin parts.

    The perimeter is the number of pixel sides between object and anything else times pi / 4, which
    is right on average over all directions; the greatest width is twice the greatest distance to
    the edge. A disk gives about 1/4, a straight bar up to 1/2 (it is as thin as it is wide), a
    spider next to nothing.

    Args:
      mask: (H, W) integer: 1 object; at least one pixel.
    Returns:
      Above 0.
    """
    box = bounding_box(mask == 1)
    region = np.pad(mask[box] == 1, 1)
    sides = (np.count_nonzero(region[1:] != region[:-1])
             + np.count_nonzero(region[:, 1:] != region[:, :-1]))
    width = 2 * float(edge_distance(region).max()) - 1  # one row of pixels is one wide
    return float(np.count_nonzero(region) / (sides * math.pi / 4 * width))


def size_class(area_px: float) -> str:
    """Return COCO's small, medium or large, by the object's pixels in the photograph."""
    return "small" if area_px < SMALL else "medium" if area_px < LARGE else "large"


def thinness_class(value: float) -> str:
    """Return thin_parts, middle or solid, by `thinness`."""
    return "thin_parts" if value < THIN else "middle" if value < SOLID else "solid"
