"""Calibrate and verify in worker processes: one opened file, or pair of files, in each.

The functions `start_*` open files in a process; the functions next to them use what was opened.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from export.calibration_images import Photograph, feeds
from export.int8 import RangeObserver
from export.pools import in_processes
from oace_tf.clicks import Click
from oace_tf.errors import UsageError
from oace_tf.evaluation.baselines import disk_predictor, grabcut_predictor
from oace_tf.evaluation.drift import FLOAT, INT8
from oace_tf.evaluation.metrics import mask_agreement
from oace_tf.evaluation.protocol import Predictor, Record, evaluate_first_click
from oace_tf.fileio import read_image
from oace_tf.samples.layouts import find_dataset, list_samples
from oace_tf.segmenter import TapSegmenter

SETS = ("grabcut", "ecssd", "coco_mval")
BASELINES_ON = "grabcut"
BASELINES: dict[str, Predictor] = {"disk": disk_predictor, "opencv_grabcut": grabcut_predictor}
SYNTHETIC = 32  # pictures, where there is nothing else
_SYNTHETIC_SIZE = (360, 480)
_opened: dict[str, Any] = {}  # of this process

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """One sample of a set: the number `index` of its listing."""

    dataset: str
    index: int


@dataclass(frozen=True, slots=True)
class Picture:
    """A photograph with taps, or a synthetic picture (then `path` is None and `seed` draws it)."""

    path: Path | None
    clicks: tuple[Click, ...] = ()
    seed: tuple[int, int] = (0, 0)


def observe_ranges(
    float_path: Path, photographs: Sequence[Photograph], size: int, max_points: int, workers: int
) -> Iterator[dict[str, tuple[float, float]]]:
    """Yield ranges after each photograph; `int8.merge_ranges` makes the calibration of them."""
    return in_processes(_observe, photographs, min(workers, len(photographs)), start_observer,
                        (float_path, size, max_points))


def start_observer(float_path: Path, size: int, max_points: int) -> None:
    """Open the float file for `observe_ranges`."""
    cv2.setNumThreads(1)
    _opened.update(observer=RangeObserver(float_path.read_bytes()), frame=(size, max_points))


def _observe(photograph: Photograph) -> dict[str, tuple[float, float]]:
    feed = next(feeds([photograph], *_opened["frame"]))
    return _opened["observer"].see(feed)


def places(root: Path | None) -> list[Place]:
    """Return every sample of the sets that `root` holds; empty where there is none.

    Raises:
      UsageError: a set is there and broken.
    """
    return [
        Place(name, index)
        for name in SETS if find_dataset(name, root) is not None
        for index in range(len(list_samples(name, root)))
    ]


def first_clicks(
    float_path: Path, int8_path: Path, root: Path, samples: Sequence[Place], workers: int
) -> Iterator[Record | str]:
    """Yield the record of each sample, float and int8 and on `BASELINES_ON` the baselines.

    A sample that cannot be read gives the message that says so.
    """
    return in_processes(_first_click, samples, workers, start_files,
                        (float_path, int8_path, root))


def agreements(
    float_path: Path, int8_path: Path, pictures: Sequence[Picture], workers: int
) -> Iterator[tuple[float, bool]]:
    """Yield the IoU of the two files' masks on each picture, and whether both are empty."""
    return in_processes(_agreement, pictures, workers, start_files, (float_path, int8_path, None))


def start_files(float_path: Path, int8_path: Path, root: Path | None) -> None:
    """Open both files for `first_clicks` and `agreements`, one thread each."""
    cv2.setNumThreads(1)
    files = {FLOAT: TapSegmenter(float_path), INT8: TapSegmenter(int8_path)}
    listed = {}
    if root is not None:
        listed = {n: list_samples(n, root) for n in SETS if find_dataset(n, root) is not None}
    _opened.update(files=files, listed=listed)


def _first_click(place: Place) -> Record | str:
    predictors: dict[str, Predictor] = {
        name: segmenter.probability for name, segmenter in _opened["files"].items()
    }
    if place.dataset == BASELINES_ON:
        predictors |= BASELINES
    try:
        sample = _opened["listed"][place.dataset][place.index].read()
    except UsageError as error:
        return str(error)
    return evaluate_first_click(predictors, [sample], agree=(FLOAT, INT8))[0]


def _agreement(picture: Picture) -> tuple[float, bool]:
    if picture.path is None:
        image, clicks = synthetic(np.random.default_rng(picture.seed))
    else:
        image, clicks = read_image(picture.path), picture.clicks
    masks = []
    for segmenter in _opened["files"].values():
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
