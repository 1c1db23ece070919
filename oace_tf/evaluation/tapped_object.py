"""Was it the tapped object? Own - other and confusion on images with several objects (DESIGN, 6).

A saliency network that ignores the tap gives one mask for all objects of an image: its own - other
is 0 and about all but one object of each image is confused.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from oace_tf.evaluation.metrics import mask_agreement

Masks = Sequence[np.ndarray]


@dataclass(frozen=True, slots=True)
class MultiScores:
    """Means over objects. `own` and `other` are IoU in [0, 1], `confusion` a share in [0, 1]."""

    objects: int
    own: float
    other: float
    confusion: float

    @property
    def own_minus_other(self) -> float:
        """Return own - other, in [-1, 1]."""
        return self.own - self.other


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


def tapped_object_scores(tables: Sequence[np.ndarray]) -> MultiScores:
    """Return own, other and confusion over all objects of all images.

    For object i: `own` is the IoU with the mask tapped on i, `other` the mean IoU with the masks
    tapped on the others; i is confused when some other object has a larger IoU with mask i than i.

    Args:
      tables: one `cross_iou` table per image; images of fewer than two objects do not count.
    Raises:
      ValueError: no image has two objects.
    """
    own, other, confused = [], [], []
    for table in tables:
        count = len(table)
        if count < 2:
            continue
        diagonal = np.diag(table)
        own.append(diagonal)
        other.append((table.sum(axis=1) - diagonal) / (count - 1))
        confused.append(table.max(axis=0) > diagonal)  # column j: all objects against mask j
    if not own:
        raise ValueError("no image has two objects")
    flat = [np.concatenate(parts) for parts in (own, other, confused)]
    return MultiScores(flat[0].size, *(float(values.mean()) for values in flat))
