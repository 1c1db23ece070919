"""Validation during training: sets of `val/` choose the weights that are kept. Never GrabCut."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from oace_tf.errors import UsageError
from oace_tf.evaluation.object_trials import (
    LEAST_SHARE,
    EvaluationOptions,
    ObjectRecord,
    measure_group,
)
from oace_tf.evaluation.protocol import Predictor
from oace_tf.evaluation.runner import Group, photographs
from oace_tf.samples.layouts import available, list_samples

NEVER = ("grabcut",)  # for reporting only
_NAME = "in_training"


@dataclass(frozen=True, slots=True)
class Validation:
    """Photographs by set, and how often they are looked at."""

    sets: Mapping[str, tuple[Group, ...]]
    every: int  # steps
    size: int  # side of the frame, px

    def record(self) -> dict[str, Any]:
        """Return what the weights' record says of it."""
        return {"photographs": {name: len(groups) for name, groups in self.sets.items()},
                "size": self.size}


def find_validation(folder: Path, every: int, size: int, limit: int | None = None) -> Validation:
    """Return the sets in a folder.

    Args:
      folder: with `ecssd/`, `coco_mval/` and the like, or folders with an `instances.json`.
      every: steps between validations.
      size: side of the frame, px.
      limit: photographs of each set at most, spread evenly over the listing.
    Raises:
      UsageError: no such folder, no set in it but GrabCut, or one that cannot be listed.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; --val takes one with sets such as ecssd/")
    sets = {}
    for dataset in available(folder):
        if dataset.folder is None or dataset.name in NEVER:
            continue
        if dataset.fault:
            raise UsageError(dataset.fault)
        groups = photographs(list_samples(dataset.name, folder))
        if limit is not None and limit < len(groups):
            groups = [groups[k * len(groups) // limit] for k in range(limit)]
        sets[dataset.name] = tuple(groups)
    if not sets:
        raise UsageError(f"{folder}: no set that may choose the weights (GrabCut may not); "
                         "expected folders such as ecssd/ or coco_multi/")
    return Validation(sets, every, size)


def validate(predict: Predictor, sets: Mapping[str, tuple[Group, ...]],
             progress: Callable[[], Any] | None = None) -> dict[str, Any]:
    """Return the figures of a predictor, in points.

    Objects below 1 % of the frame are left out.

    Args:
      predict: photograph and one click -> probability.
      sets: photographs by set.
      progress: called after every photograph.
    Returns:
      `score` (mean over the sets of mIoU@1) and `sets`: n, mIoU@1, and own - other and confusion
      where photographs have several objects. NaN where a prediction is not finite.
    Raises:
      UsageError: a photograph that cannot be read, or a set without an object of that size.
    """
    rows = {}
    options = EvaluationOptions(clicks=1, spread_taps=0, baselines=())
    for name, groups in sets.items():
        records = []
        for group in groups:
            records += measure_group(group, {_NAME: predict}, options).records
            if progress is not None:
                progress()
        rows[name] = _row(name, [r for r in records if r.share >= LEAST_SHARE])
    return {"score": float(np.mean([row["miou"] for row in rows.values()])), "sets": rows}


def _row(name: str, records: list[ObjectRecord]) -> dict[str, Any]:
    if not records:
        raise UsageError(f"{name}: no object of 1 % of the frame; take more photographs")
    answers = [record.answers[_NAME] for record in records]
    row: dict[str, Any] = {"n": len(answers),
                           "miou": 100.0 * float(np.mean([a.iou[0] for a in answers]))}
    multi = [a for a in answers if a.own is not None and a.other is not None]
    if multi:
        row["own_minus_other"] = 100.0 * float(np.mean([a.own - a.other  # type: ignore[operator]
                                                        for a in multi]))
        row["confusion"] = 100.0 * float(np.mean([bool(a.confused) for a in multi]))
    return row
