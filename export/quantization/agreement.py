"""Agreement of float and int8 file on the same pictures, in worker processes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from oace_tf.clicks import Click
from oace_tf.evaluation.metrics import mask_agreement
from oace_tf.images import read_image
from oace_tf.segmenter import TapSegmenter
from oace_tf.workers import Pool, pool_size

SYNTHETIC = 32  # pictures, where there is nothing else
_SYNTHETIC_SIZE = (360, 480)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Picture:
    """A photograph with taps, or a synthetic picture (then `path` is None and `seed` draws it)."""

    path: Path | None
    clicks: tuple[Click, ...] = ()
    seed: tuple[int, int] = (0, 0)


def agreements(
    float_path: Path, int8_path: Path, pictures: Sequence[Picture], workers: int
) -> Iterator[tuple[float, bool]]:
    """Yield the IoU of the two files' masks on each picture, and whether both are empty."""
    pool = Pool(processes=pool_size(workers, len(pictures)), setup=_open_files,
                setup_args=(float_path, int8_path))
    return pool.map(_agreement, pictures)


def _open_files(*paths: Path) -> tuple[TapSegmenter, ...]:
    """Return the files opened in this process, one thread each."""
    cv2.setNumThreads(1)
    return tuple(TapSegmenter(path) for path in paths)


def _agreement(segmenters: Sequence[TapSegmenter], picture: Picture) -> tuple[float, bool]:
    if picture.path is None:
        image, clicks = synthetic(np.random.default_rng(picture.seed))
    else:
        image, clicks = read_image(picture.path), picture.clicks
    masks = []
    for segmenter in segmenters:
        usable = [c for c in clicks if c.positive or segmenter.model.click_channels == 2]
        probability = segmenter.probability(image, usable[: segmenter.model.max_points])
        if not np.isfinite(probability).all():
            return float("nan"), False
        masks.append(probability >= 0.5)
    return mask_agreement(*masks), not any(mask.any() for mask in masks)


def synthetic(rng: np.random.Generator) -> tuple[np.ndarray, tuple[Click, ...]]:
    """Return a drawn picture and a tap on its ellipse: the last resort where no photograph is.

    Returns:
      (360, 480, 3) uint8, and one positive click.
    """
    height, width = _SYNTHETIC_SIZE
    coarse = rng.integers(40, 216, (6, 8, 3)).astype(np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    x, y = (int(rng.integers(side // 4, 3 * side // 4)) for side in (width, height))
    axes = int(rng.integers(width // 12, width // 4)), int(rng.integers(height // 12, height // 4))
    colour = [int(c) for c in rng.integers(0, 256, 3)]
    cv2.ellipse(image, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
    noise = rng.normal(0, 6, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8), (Click(float(x), float(y)),)
