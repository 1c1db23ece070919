"""One object of one photograph with its mask, and the same before it is read."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oace_tf.clicker import OBJECT
from oace_tf.errors import UsageError

FREQUENCIES = {"r": "rare", "c": "common", "f": "frequent"}  # LVIS' letters


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One object of one photograph.

    `image` is (H, W, 3) uint8 RGB; `mask` is (H, W) int8: 1 object, 0 background, -1 ignored, with
    at least one object pixel. Samples of one photograph share their `group`.
    """

    id: str
    image: np.ndarray
    mask: np.ndarray
    dataset: str
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleFile:
    """A sample that was listed and not read yet."""

    id: str
    dataset: str
    read: Callable[[], Sample]  # raises UsageError when this one cannot be read; can be pickled
    group: str = ""  # the photograph; several objects may share it
    category: str = ""  # empty where the set names none
    frequency: str = ""  # rare, common or frequent, where the set is LVIS
    files: tuple[Path, ...] = ()  # what it is read from


def checked_sample(sample_id: str, image: np.ndarray, mask: np.ndarray, dataset: str,
                   mask_path: Path, group: str) -> Sample:
    """Return the sample.

    Raises:
      UsageError: the mask has another size than the image, or no object pixel.
    """
    if image.shape[:2] != mask.shape:
        raise UsageError(f"{mask_path} has {mask.shape[1]}x{mask.shape[0]} pixels, its image "
                         f"{image.shape[1]}x{image.shape[0]}; replace one of them")
    if not (mask == OBJECT).any():
        raise UsageError(f"{mask_path}: the mask of {sample_id} has no object pixel; leave it out")
    return Sample(sample_id, image, mask, dataset, group)
