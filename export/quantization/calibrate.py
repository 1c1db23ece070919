"""Calibration: the passes over the photographs that a recipe needs, in worker processes."""
from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np

from export.calibration.images import CalibrationSet, Photograph, feeds
from export.calibration.observers import (
    ChannelObserver,
    HistogramObserver,
    RangeObserver,
    Ranges,
    merge_channels,
    merge_counts,
    merge_ranges,
)
from export.calibration.previous_mask import Guide
from export.quantization import bias_correction
from export.quantization.calibration_result import CalibrationResult
from export.quantization.noise import short_name
from export.quantization.ranges import least_error_ranges
from export.quantization.recipe import Recipe
from export.tflite import model as tflite
from oace_tf.errors import UsageError
from oace_tf.workers import Pool, pool_size

Item = TypeVar("Item")
Progress = Callable[[Iterable[Item], int, str], Iterator[Item]]


def photographs_of(images: CalibrationSet, recipe: Recipe, seed: int) -> CalibrationSet:
    """Return the photographs that a recipe takes of a set, drawn by the seed where they are more.

    Raises:
      UsageError: none of them has the taps that the recipe wants.
    """
    photographs = [photo for photo in images.photographs
                   if recipe.kind in ("all", photo.kind)]
    if not photographs:
        raise UsageError(f"recipe {recipe.name} wants taps of kind {recipe.kind!r}; "
                         f"the calibration images ({images.source}) have none")
    if len(photographs) > recipe.images:
        rng = np.random.default_rng(seed)
        indices = sorted(rng.permutation(len(photographs))[: recipe.images])
        photographs = [photographs[k] for k in indices]
    return dataclasses.replace(images, photographs=tuple(photographs))


def calibrate(
    float_path: Path, photographs: Sequence[Photograph], recipe: Recipe, size: int,
    max_points: int, workers: int, progress: Progress[Any],
    trained: Ranges | None = None, label: str = "calibrating",
) -> CalibrationResult:
    """Return what a recipe decides of a float file on these photographs.

    Args:
      float_path: the float file.
      photographs: at least one.
      recipe: what is to be decided.
      size, max_points: of the file's frame and taps.
      workers: processes; the result does not depend on their number.
      progress: shows how far it is; hands its items on.
      trained: ranges by layer that the weights were trained with; they stand in for those seen.
      label: what the progress is called.
    """
    content = float_path.read_bytes()

    def over(
        merge: Callable[[Iterable[Any]], Any], some: Sequence[Photograph], kind: str, *setup: Any
    ) -> Any:
        pool = Pool(processes=pool_size(workers, len(some)), setup=_open_observation,
                    setup_args=(kind, content, size, max_points, *setup))
        return merge(progress(pool.map(_see, some), len(some), f"{label}, {kind}"))

    ranges = over(merge_ranges, photographs, "ranges")
    few = photographs[: recipe.inner_images]
    if recipe.ranges == "mse":
        ranges = least_error_ranges(ranges, over(merge_counts, few, "histograms", ranges))
    if trained:
        ranges = {name: tuple(trained.get(short_name(name), ends))
                  for name, ends in ranges.items()}
    if not recipe.bias_correction:
        return CalibrationResult(ranges)
    means = over(merge_channels, few, "channels").means
    return CalibrationResult(ranges, bias_correction.corrections(
        tflite.parse(content), means, recipe.weight_bits))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Observation:
    """A float file opened in one process for one kind of pass over the photographs."""

    observer: RangeObserver | ChannelObserver | HistogramObserver
    guide: Guide
    size: int  # of the file's frame
    max_points: int


def _open_observation(kind: str, content: bytes, size: int, max_points: int,
                      *setup: Any) -> _Observation:
    cv2.setNumThreads(1)
    observers = {"ranges": RangeObserver, "channels": ChannelObserver,
                 "histograms": HistogramObserver}
    return _Observation(observer=observers[kind](content, *setup), guide=Guide(content),
                        size=size, max_points=max_points)


def _see(observation: _Observation, photograph: Photograph) -> Any:
    feed = next(feeds([photograph], observation.size, observation.max_points))
    return observation.observer.see(observation.guide.feed(feed, photograph.sha256))
