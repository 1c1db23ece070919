"""Photographs -> plan: which passes over them a recipe needs, in worker processes."""
from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np

from export.calibration.images import CalibrationSet, Photograph, feeds
from export.calibration.observers import ChannelObserver, merge_seen
from export.calibration.previous_mask import Guide
from export.quantization import bias_correction
from export.quantization import ranges as range_setting
from export.quantization.calibration_result import Plan, Ranges, equalised, merge_ranges
from export.quantization.int8 import RangeObserver
from export.quantization.noise import short_name
from export.quantization.recipe import Recipe
from export.tflite import model as tflite
from oace_tf.errors import UsageError
from oace_tf.fileio import sha256_bytes
from oace_tf.workers import in_processes

Item = TypeVar("Item")
Progress = Callable[[Iterable[Item], int, str], Iterator[Item]]
_opened: dict[str, Any] = {}  # of this process


def chosen(found: CalibrationSet, recipe: Recipe, seed: int) -> CalibrationSet:
    """Return the photographs that a recipe takes of a set, drawn by the seed where they are more.

    Raises:
      UsageError: none of them has the taps that the recipe wants.
    """
    photographs = [photo for photo in found.photographs
                   if recipe.kind in ("all", photo.kind)]
    if not photographs:
        raise UsageError(f"recipe {recipe.name} wants taps of kind {recipe.kind!r}; "
                         f"the calibration images ({found.source}) have none")
    if len(photographs) > recipe.images:
        rng = np.random.default_rng(seed)
        places = sorted(rng.permutation(len(photographs))[: recipe.images])
        photographs = [photographs[k] for k in places]
    return dataclasses.replace(found, photographs=tuple(photographs))


def make_plan(
    float_path: Path, photographs: Sequence[Photograph], recipe: Recipe, size: int,
    max_points: int, workers: int, progress: Progress[Any],
    memo: dict[Any, Any] | None = None, trained: Ranges | None = None,
) -> Plan:
    """Return what a recipe decides of a float file on these photographs.

    Args:
      float_path: the float file.
      photographs: at least one.
      recipe: what is to be decided.
      size, max_points: of the file's frame and taps.
      workers: processes; the result does not depend on their number.
      progress: shows how far it is; hands its items on.
      trained: ranges by layer that the weights were trained with; they stand in for those seen.
      memo: passes made earlier for the same size and taps, and where this one's go.
    """
    content = float_path.read_bytes()
    factors: dict[str, list[int]] = {}
    means: dict[str, np.ndarray] = {}

    def over(
        merge: Callable[[Iterable[Any]], Any], some: Sequence[Photograph], kind: str, *setup: Any
    ) -> Any:
        key = (sha256_bytes(content), kind, str(setup), tuple(photo.sha256 for photo in some))
        if memo is not None and key in memo:
            return memo[key]
        found = in_processes(_see, some, min(workers, len(some)), start_observer,
                             (kind, content, size, max_points, *setup))
        merged = merge(progress(found, len(some), f"2/5 calibrating, {kind}"))
        if memo is not None:
            memo[key] = merged
        return merged

    if recipe.edits:
        seen = over(merge_seen, photographs[: recipe.inner_images], "channels",
                    recipe.bias_correction, recipe.equalise > 0)
        means = dict(seen.means)
        if recipe.equalise > 0:
            content, factors, means = equalised(content, seen, recipe.equalise)
    ranges = over(merge_ranges, photographs, "ranges")
    if recipe.ranges != "min_max":
        counts = over(range_setting.merge_counts, photographs[: recipe.inner_images], "histograms",
                      ranges)
        ranges = range_setting.set_ranges(ranges, counts, recipe.ranges, recipe.percentile)
    if trained and not factors:
        ranges = {name: tuple(trained.get(short_name(name), ends))
                  for name, ends in ranges.items()}
    shifts = (bias_correction.corrections(tflite.parse(content), means, recipe.weight_bits)
              if recipe.bias_correction else {})
    return Plan(ranges, factors, shifts)


def start_observer(kind: str, content: bytes, size: int, max_points: int, *setup: Any) -> None:
    """Open a float file in this process for one kind of pass over the photographs."""
    cv2.setNumThreads(1)
    observers = {"ranges": RangeObserver, "channels": ChannelObserver,
                 "histograms": range_setting.HistogramObserver}
    _opened.update(observer=observers[kind](content, *setup), frame=(size, max_points),
                   guide=Guide(content))


def _see(photograph: Photograph) -> Any:
    feed = next(feeds([photograph], *_opened["frame"]))
    return _opened["observer"].see(_opened["guide"].feed(feed, photograph.sha256))
