"""An int8 file against the float file's masks, on labelled objects that remedies are chosen on."""
from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from oace_tf.clicker import first_click
from oace_tf.errors import UsageError
from oace_tf.evaluation.metrics import bootstrap_mean_ci, iou, mask_agreement
from oace_tf.evaluation.protocol import Predictor
from oace_tf.fileio import atomic_write
from oace_tf.samples.layouts import list_samples
from oace_tf.samples.sample import SampleFile
from oace_tf.segmenter import THRESHOLD, TapSegmenter

SETS = ("ecssd", "coco_mval")  # never GrabCut: what is chosen on a set is not measured on it


def per_object(
    predict: Predictor, files: Sequence[SampleFile], truth: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return each object's agreement with the float mask, its drop, and the least ms of an answer.

    Args:
      predict: of an int8 file, such as `TapSegmenter(path).probability`.
      files: the objects; the click is the protocol's first.
      truth: the float file's mask of each.
    Returns:
      (n,) IoU of the two masks in [0, 1]; (n,) IoU of the float mask minus that of this one, in
      points of 100; milliseconds.
    """
    agreed, dropped, least = [], [], float("inf")
    for file, wanted in zip(bar(files, len(files), "comparing"), truth):
        sample = file.read()
        clicks = [first_click(sample.mask)]
        begin = time.perf_counter()
        mask = predict(sample.image, clicks) >= THRESHOLD
        least = min(least, time.perf_counter() - begin)
        agreed.append(mask_agreement(mask, wanted))
        dropped.append(100 * (iou(wanted, sample.mask) - iou(mask, sample.mask)))
    return np.array(agreed), np.array(dropped), 1e3 * least


def compare(
    predict: Predictor, files: Sequence[SampleFile], truth: Sequence[np.ndarray]
) -> dict[str, Any]:
    """Return agreement and drop of a file's answers against the float file's masks, with intervals.

    Returns:
      {objects, agreement, agreement_ci95, worst, drop_points, drop_ci95, ms}; the drop in points of
      100 of mIoU@1, float minus int8, paired bootstrap; ms the least time of one answer.
    """
    agreed, dropped, least = per_object(predict, files, truth)
    rng = np.random.default_rng(0)
    return {
        "objects": len(agreed),
        "agreement": round(float(agreed.mean()), 5),
        "agreement_ci95": [round(end, 5) for end in bootstrap_mean_ci(agreed, rng)],
        "worst": round(float(agreed.min()), 4),
        "drop_points": round(float(dropped.mean()), 4),
        "drop_ci95": [round(end, 4) for end in bootstrap_mean_ci(dropped, rng)],
        "ms": round(least, 1),
    }


def objects(data: Path, count: int) -> list[SampleFile]:
    """Return `count` objects of each set, evenly spread over it.

    Raises:
      UsageError: a set is not there.
    """
    chosen = []
    for name in SETS:
        files = list_samples(name, data)
        places = np.unique(np.linspace(0, len(files) - 1, min(count, len(files))).astype(int))
        chosen += [files[k] for k in places]
    return chosen


def float_masks(
    path: Path, files: Sequence[SampleFile], kept: Path | None = None
) -> list[np.ndarray]:
    """Return the float file's mask of each object, from the file `kept` where that is there."""
    if kept is not None and kept.is_file():
        with np.load(kept) as stored:
            return [np.unpackbits(stored[f"m{k}"])[: h * w].reshape(h, w).astype(bool)
                    for k, (h, w) in enumerate(stored["shapes"])]
    segmenter = TapSegmenter(path)
    masks = []
    for file in bar(files, len(files), "float file"):
        sample = file.read()
        masks.append(segmenter.probability(sample.image, [first_click(sample.mask)]) >= THRESHOLD)
    if kept is None:
        return masks
    packed: dict[str, Any] = {f"m{k}": np.packbits(mask) for k, mask in enumerate(masks)}
    beside = kept.with_suffix(".new.npz")
    np.savez(beside, shapes=np.array([mask.shape for mask in masks]), **packed)
    os.replace(beside, kept)
    return masks


def fill(page: Path, name: str, text: str) -> None:
    """Put a text between the markers `<!-- NAME:begin -->` and `<!-- NAME:end -->` of a page.

    Raises:
      UsageError: the page is missing or has no such markers.
    """
    if not page.is_file():
        raise UsageError(f"{page}: no such page")
    whole = page.read_text(encoding="utf-8")
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, found, rest = whole.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise UsageError(f"{page}: has no markers {begin} and {end}")
    atomic_write(page, f"{before}{begin}\n{text}\n{end}{after}".encode())


def bar(items: Iterable[Any], total: int, text: str) -> Iterator[Any]:
    """Hand the items on and show how many are done."""
    return iter(tqdm(items, total=total, desc=text, disable=None, leave=False))
