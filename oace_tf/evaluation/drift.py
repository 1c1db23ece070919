"""Drift by quantization: float against int8 on the same objects and taps, and the gate.

Pure: records in, rows of the report out. Opposite errors cancel in a mean, so the agreement of
the two files' masks is gated beside the drop. A figure that is missing, NaN or of an empty set
fails.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oace_tf.errors import UsageError
from oace_tf.evaluation.metrics import paired_bootstrap_ci
from oace_tf.evaluation.protocol import Record
from oace_tf.fileio import PathLike, read_json

FLOAT, INT8 = "float", "int8"  # the predictors' names in the records
POOLED = "pooled"
_NUMBERS = ("float_miou_at_1", "int8_miou_at_1", "drop_points")


@dataclass(frozen=True, slots=True)
class Budget:
    """The largest accepted loss.

    Raises:
      UsageError: a value outside its range.
    """

    max_drop_points: float  # of the pooled mIoU@1, in points of 100
    min_agreement: float  # mean IoU of the two files' masks, in [0, 1]
    # of the int8 file's mIoU@1 on any set since the accepted report, up or down; may be left out
    max_change_points: float = 1.0

    def __post_init__(self) -> None:
        for name, low, high in (("max_drop_points", 0.0, 100.0), ("min_agreement", 0.0, 1.0),
                                ("max_change_points", 0.0, 100.0)):
            value = getattr(self, name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not low <= value <= high:
                raise UsageError(f"drift budget: {name} is {value!r}; it must be a number from "
                                 f"{low:g} to {high:g}")


def read_budget(path: PathLike) -> Budget:
    """Return the budget of a JSON file whose keys are the fields of `Budget`.

    Raises:
      UsageError: no such file, no JSON, an unknown or missing key, a value outside its range.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise UsageError(f"{path}: a drift budget is an object, got {type(content).__name__}")
    known = {field.name for field in dataclasses.fields(Budget)}
    needed = {field.name for field in dataclasses.fields(Budget)
              if field.default is dataclasses.MISSING}
    for keys, word in ((set(content) - known, "unknown"), (needed - set(content), "missing")):
        if keys:
            raise UsageError(f"{path}: key {sorted(keys)[0]!r} is {word}; "
                             f"the keys are {', '.join(sorted(known))}")
    return Budget(**content)


def drift_rows(records: Sequence[Record], seed: int = 0) -> list[dict[str, Any]]:
    """Return a row per set, in the order of the records, and one named `pooled` over all objects.

    Args:
      records: of predictors named `float` and `int8`, as `evaluate_first_click` gives them.
      seed: of the bootstrap.
    Returns:
      Rows {dataset, n, float_miou_at_1, int8_miou_at_1, drop_points, ci95}: mIoU after one click
      in points of 100, drop = float - int8, ci95 its paired bootstrap interval [low, high]. Where
      a figure is not finite the row holds None. Without records: only `pooled`, with n = 0.
    """
    names = list(dict.fromkeys(record.dataset for record in records))
    rows = [_row(name, [r for r in records if r.dataset == name], seed) for name in names]
    return [*rows, _row(POOLED, records, seed)]


def agreement(ious: Sequence[float]) -> dict[str, Any]:
    """Return {n, mean_iou, worst} of the IoUs of the two files' masks, one per object.

    The figures are None where there is no IoU, or one that is not finite.
    """
    values = np.asarray(ious, np.float64)
    whole = values.size > 0 and bool(np.isfinite(values).all())
    return {
        "n": int(values.size),
        "mean_iou": float(values.mean()) if whole else None,
        "worst": float(values.min()) if whole else None,
    }


def gate(report: Mapping[str, Any], budget: Budget, labelled: bool = True) -> list[str]:
    """Return what fails, one line each; empty where the file is within its budget.

    Args:
      report: with the keys `drift` (rows of `drift_rows`) and `agreement`; `agreement.both_empty`
        and `baselines` count where they are there.
      budget: the largest accepted loss.
      labelled: whether labelled sets were at hand. Without them the agreement stands alone.

    Two files of damaged weights may agree well on nothing. So the float file must beat the disk
    around the tap where that was measured, and some mask must not be empty.
    """
    failures = []
    if labelled:
        failures += _drift_failures(report.get("drift"), budget)
        failures += _no_better_than_disk(report)
    figures = report.get("agreement")
    if not isinstance(figures, Mapping):
        return [*failures, "the report holds no agreement"]
    faults = [f"agreement: {fault}" for fault in _missing(figures, ("mean_iou", "worst"))]
    if faults:
        return failures + faults
    if figures.get("both_empty") == figures["n"]:
        failures.append("both files give an empty mask on every picture: damaged weights?")
    if not figures["mean_iou"] >= budget.min_agreement:
        failures.append(f"the masks agree by {figures['mean_iou']:.4f} mean IoU; "
                        f"the budget wants at least {budget.min_agreement}")
    return failures


def most_lost(records: Sequence[Record], count: int) -> list[dict[str, Any]]:
    """Return the objects on which int8 loses most, the largest loss first.

    Returns:
      Rows {dataset, id, float, int8, drop_points, agreement}, IoU in points of 100; objects that
      lose nothing are not among them, nor those with a prediction that is not finite (the drift
      rows then hold None).
    """
    def loss(record: Record) -> float:
        return record.iou[FLOAT] - record.iou[INT8]

    lost = [record for record in records if loss(record) > 0]  # false for NaN
    lost.sort(key=lambda record: (-loss(record), record.dataset, record.id))
    return [{"dataset": record.dataset, "id": record.id, "float": 100 * record.iou[FLOAT],
             "int8": 100 * record.iou[INT8], "drop_points": 100 * loss(record),
             "agreement": record.agreement} for record in lost[:count]]


def changes(records: Sequence[Record], accepted: Mapping[str, Any],
            seed: int = 0) -> list[dict[str, Any]]:
    """Return a row per set and `pooled`: {dataset, n, now, accepted, accepted_n}.

    `now` and `accepted` are the int8 file's mIoU@1 in points of 100; None where a set is missing on
    one side or its figure is not a number.

    Args:
      records: of this run.
      accepted: an earlier report with the key `drift`.
      seed: as in `drift_rows`.
    """
    ours = {row["dataset"]: row for row in drift_rows(records, seed)}
    theirs = {row.get("dataset"): row for row in accepted["drift"] if isinstance(row, Mapping)}
    rows = []
    for name in [*ours, *(name for name in theirs if name not in ours)]:
        here, there = ours.get(name, {}), theirs.get(name, {})
        rows.append({"dataset": name, "n": here.get("n"), "now": here.get("int8_miou_at_1"),
                     "accepted": there.get("int8_miou_at_1"), "accepted_n": there.get("n")})
    return rows


def change_failures(rows: Sequence[Mapping[str, Any]], budget: Budget) -> list[str]:
    """Return what has changed too much since the accepted report, one line each.

    A sudden rise is as suspicious as a fall: another click, another set, or a look at the answer.
    """
    failures = []
    for row in rows:
        name, now, before = row["dataset"], row["now"], row["accepted"]
        if not _finite(now) or not _finite(before):
            failures.append(f"change on {name}: now {now!r}, accepted {before!r}")
        elif row["n"] != row["accepted_n"]:
            failures.append(f"change on {name}: {row['n']} objects, "
                            f"the accepted report has {row['accepted_n']}")
        elif abs(now - before) > budget.max_change_points:
            failures.append(f"{name}: int8 mIoU@1 {'rises' if now > before else 'falls'} from "
                            f"{before:.2f} to {now:.2f}; the budget allows a change of "
                            f"{budget.max_change_points}")
    return failures


def _drift_failures(rows: Any, budget: Budget) -> list[str]:
    if not isinstance(rows, Sequence) or not all(isinstance(row, Mapping) for row in rows):
        return ["the report holds no list of drift rows"]
    failures = []
    for row in rows:
        name = row.get("dataset", "?")
        failures += [f"drift on {name}: {fault}" for fault in _missing(row, _NUMBERS)]
        ends = row.get("ci95")
        if not isinstance(ends, Sequence) or len(ends) != 2 or not all(map(_finite, ends)):
            failures.append(f"drift on {name}: ci95 is {ends!r}")
    pooled = [row for row in rows if row.get("dataset") == POOLED]
    if len(pooled) != 1 or len(rows) < 2:
        return [*failures, f"drift: {len(pooled)} pooled rows and {len(rows) - len(pooled)} sets"]
    if failures:
        return failures
    if pooled[0]["n"] != sum(row["n"] for row in rows if row is not pooled[0]):
        return [f"drift: pooled has {pooled[0]['n']} objects, the sets together another number"]
    if not pooled[0]["drop_points"] <= budget.max_drop_points:
        failures.append(f"the pooled mIoU@1 drops by {pooled[0]['drop_points']:.3f} points; "
                        f"the budget allows {budget.max_drop_points}")
    return failures


def _no_better_than_disk(report: Mapping[str, Any]) -> list[str]:
    disk = report.get("baselines", {}).get("disk")
    if disk is None:
        return []
    rows = [row for row in report.get("drift") or [] if row.get("dataset") == disk["dataset"]]
    return [
        f"the float file reaches {row['float_miou_at_1']:.2f} mIoU@1 on {disk['dataset']}, a disk "
        f"around the tap {disk['miou_at_1']:.2f}: damaged or untrained weights?"
        for row in rows
        if _finite(row.get("float_miou_at_1")) and row["float_miou_at_1"] <= disk["miou_at_1"]
    ]


def _missing(row: Mapping[str, Any], numbers: Sequence[str]) -> list[str]:
    """Return the faults of a row: an empty set, a key that is missing or not a finite number."""
    n = row.get("n")
    faults = [] if isinstance(n, int) and n > 0 else [f"n is {n!r}, nothing was measured"]
    return faults + [f"{key} is {row.get(key)!r}" for key in numbers if not _finite(row.get(key))]


def _finite(value: Any) -> bool:
    return (isinstance(value, (int, float)) and not isinstance(value, bool)
            and math.isfinite(value))


def _row(name: str, records: Sequence[Record], seed: int) -> dict[str, Any]:
    pairs = np.array([(r.iou[FLOAT], r.iou[INT8]) for r in records], np.float64).reshape(-1, 2)
    row: dict[str, Any] = {"dataset": name, "n": len(records), **dict.fromkeys(_NUMBERS),
                           "ci95": None}
    if len(pairs) and np.isfinite(pairs).all():
        mean_float, mean_int8 = 100 * pairs.mean(axis=0)
        ends = paired_bootstrap_ci(pairs[:, 0], pairs[:, 1], np.random.default_rng(seed))
        row.update(float_miou_at_1=float(mean_float), int8_miou_at_1=float(mean_int8),
                   drop_points=float(mean_float - mean_int8), ci95=[100 * end for end in ends])
    return row
