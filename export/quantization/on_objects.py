"""Agreement and drop of an int8 file against the float file's masks, object by object."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from oace_tf.clicker import first_click
from oace_tf.evaluation.metrics import iou, mask_agreement
from oace_tf.evaluation.protocol import Predictor
from oace_tf.samples.layouts import list_samples
from oace_tf.samples.sample import SampleFile
from oace_tf.segmenter import THRESHOLD, TapSegmenter

SETS = ("ecssd", "coco_mval")  # never GrabCut: what is chosen on a set is not measured on it


def per_object(
    predict: Predictor, files: Sequence[SampleFile], float_masks: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return each object's agreement with the float mask, and its drop.

    Args:
      predict: of an int8 file, such as `TapSegmenter(path).probability`.
      files: the objects; the click is the protocol's first.
      float_masks: the float file's mask of each.
    Returns:
      (n,) IoU of the two masks in [0, 1]; (n,) IoU of the float mask minus that of this one, in
      points of 100.
    """
    agreements, drops = [], []
    for file, float_mask in zip(bar(files, len(files), "comparing"), float_masks):
        sample = file.read()
        mask = predict(sample.image, [first_click(sample.mask)]) >= THRESHOLD
        agreements.append(mask_agreement(mask, float_mask))
        drops.append(100 * (iou(float_mask, sample.mask) - iou(mask, sample.mask)))
    return np.array(agreements), np.array(drops)


def objects(data: Path, count: int) -> list[SampleFile]:
    """Return `count` objects of each set, evenly spread over it.

    Raises:
      UsageError: a set is not there.
    """
    files_of_sets = []
    for name in SETS:
        files = list_samples(name, data)
        indices = np.unique(np.linspace(0, len(files) - 1, min(count, len(files))).astype(int))
        files_of_sets += [files[k] for k in indices]
    return files_of_sets


def float_masks(path: Path, files: Sequence[SampleFile]) -> list[np.ndarray]:
    """Return the float file's mask of each object."""
    segmenter = TapSegmenter(path)
    masks = []
    for file in bar(files, len(files), "float file"):
        sample = file.read()
        masks.append(segmenter.probability(sample.image, [first_click(sample.mask)]) >= THRESHOLD)
    return masks


def bar(items: Iterable[Any], total: int, text: str) -> Iterator[Any]:
    """Hand the items on and show how many are done."""
    return iter(tqdm(items, total=total, desc=text, disable=None, leave=False))
