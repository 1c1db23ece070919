"""Cross-IoU of the objects of one image: whether the mask is the tapped object's.

A saliency network that ignores the tap gives one mask for all objects of an image: its own - other
is 0 and about all but one object of each image is confused.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oace_tf.evaluation.metrics import mask_agreement

Masks = Sequence[np.ndarray]


def cross_iou(objects: Masks, predictions: Masks) -> np.ndarray:
    """Return the IoU of every object with every predicted mask of one image.

    Args:
      objects: N masks, (H, W) bool.
      predictions: N masks, (H, W) bool; number j was tapped on object j.
    Returns:
      (N, N) float64: [i, j] is the IoU of object i with the mask tapped on j.
    """
    if len(objects) != len(predictions):
        raise ValueError(f"{len(objects)} objects, {len(predictions)} predicted masks")
    return np.array([[mask_agreement(o, p) for p in predictions] for o in objects], np.float64)
