"""AUC of the OACE: whether it is more than a constant, and more than a blob around the tap.

The within-pass AUC: in the one pass that inference runs, every pixel's cosine to the mean embedding
of the tap's disk, object pixels against background pixels. A constant embedding scores 0.5. A mere
blob scores high too, so minus the distance to the same tap is scored beside it, and a good prior
must exceed that.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from oace_tf.clicks import POSITIVE, Click, draw_disks, pack_points
from oace_tf.evaluation.metrics import auc, paired_bootstrap_ci
from oace_tf.geometry import NETWORK_SIZE, Frame
from oace_tf.samples.layouts import Sample

# (S, S, 3) uint8 image and (N, 3) float32 points of the frame -> (S, S, 3) float32 OACE
Embed = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True)
class EmbeddingRecord:
    """The within-pass AUC of one object, of the prior and of minus distance, each in [0, 1]."""

    id: str
    dataset: str
    tap: Click  # in pixels of the network frame
    prior: float
    distance: float


def cosine_to_tap(oace: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return every pixel's cosine to the mean embedding of the tap's disk.

    Args:
      oace: (S, S, 3) float32.
      points: (N, 3) float32, x, y, label; the disks of label 1 count.
    Returns:
      (S, S) float32 in [-1, 1]; 0 where an embedding is zero.
    """
    disk = draw_disks(points, oace.shape[:2], POSITIVE) > 0
    mean = oace[disk].mean(axis=0)
    lengths = np.linalg.norm(oace, axis=-1) * np.linalg.norm(mean)
    return np.divide(oace @ mean, lengths, out=np.zeros_like(lengths), where=lengths > 0)


def within_pass_auc(embed: Embed, samples: Iterable[Sample], rng: np.random.Generator, *,
                    size: int = NETWORK_SIZE,
                    progress: Callable[[EmbeddingRecord], None] | None = None,
                    ) -> list[EmbeddingRecord]:
    """Score an embedding on objects, one tap each, uniform in the mask.

    Args:
      embed: gives the OACE of the first pass.
      samples: photographs and masks; an object that vanishes in the frame is left out.
      rng: draws the taps.
      size: side of the frame.
      progress: called with every record.
    """
    records = []
    for sample in samples:
        height, width = sample.mask.shape
        mask = cv2.resize(sample.mask, (size, size), interpolation=cv2.INTER_NEAREST)
        inside = np.flatnonzero(mask == 1)
        if not len(inside) or not (mask == 0).any():
            continue
        flat = int(inside[rng.integers(len(inside))])
        tap = Click(float(flat % size), float(flat // size))
        points = pack_points([tap], 1)
        picture = Frame(height, width, size).image(sample.image)
        cosine = cosine_to_tap(embed(picture, points), points)
        rows, columns = np.mgrid[:size, :size]
        distance = np.hypot(columns - tap.x, rows - tap.y)
        record = EmbeddingRecord(sample.id, sample.dataset, tap,
                                 auc(cosine[mask == 1], cosine[mask == 0]),
                                 auc(-distance[mask == 1], -distance[mask == 0]))
        records.append(record)
        if progress is not None:
            progress(record)
    return records


def summarise(records: Sequence[EmbeddingRecord], rng: np.random.Generator) -> dict[str, Any]:
    """Return n, both mean AUCs, their difference with its paired 95 % interval, and the verdict.

    `passed` asks that the whole interval lies above zero: the constant prior (0.5) fails, and so
    does the blob, whose difference is zero.

    Raises:
      ValueError: there are no records.
    """
    prior = [record.prior for record in records]
    distance = [record.distance for record in records]
    low, high = paired_bootstrap_ci(prior, distance, rng)
    return {"n": len(records), "auc": float(np.mean(prior)),
            "auc_minus_distance": float(np.mean(distance)),
            "difference": float(np.mean(prior) - np.mean(distance)),
            "ci95": [low, high], "passed": bool(low > 0.0)}
