"""Results of an ablation as a Markdown table, with intervals over objects."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.ablation.table import AblationTable
from oace_tf.evaluation.metrics import (
    bootstrap_mean_ci,
    bootstrap_table,
    paired_bootstrap_ci,
    sign_flip_p,
)

_HEAD = ("row", "what", "mIoU@1", "compared with", "difference", "own - other", "confusion",
         "AUC", "over distance", "spread", "minutes")


def summarise(results: Mapping[str, Any], row: Mapping[str, Any], chosen_by: Sequence[str],
              reported: Sequence[str]) -> dict[str, Any]:
    """Return the figures of one row, in points (0 to 100) but for the AUC.

    Args:
      results: all rows that were measured, by name.
      row: one of them.
      chosen_by: the sets that are pooled.
      reported: the sets that are only reported.
    Returns:
      Means with 95 % intervals: `miou` (objects of `chosen_by` pooled), `difference` to the row
      that it is compared with (objects in pairs; its sign-flip `p`), `own_minus_other` and
      `confusion` (photographs resampled), `auc` and `auc_over_distance`, `by_set`, `spread`.
      What cannot be said is None.
    """
    values = _pooled(row, chosen_by)
    other = results.get(row["against"])
    multi = list(row["multi"].values())
    groups = [entry[0] for entry in multi]
    asked = np.array([[entry[1] - entry[2], entry[3]] for entry in multi]) * 100.0
    ends = bootstrap_table(asked, groups, _rng())
    summary: dict[str, Any] = {
        "miou": _mean(values), "difference": None, "p": None,
        "own_minus_other": [asked[:, 0].mean(), *ends[0]], "confusion": [asked[:, 1].mean(),
                                                                         *ends[1]],
        "auc": None, "auc_over_distance": None,
        "by_set": {name: 100.0 * float(np.mean(list(row["iou"][name].values())))
                   for name in (*chosen_by, *reported)},
        "spread": {name: 100.0 * float(np.mean(list(entries.values())))
                   for name, entries in row["spread"].items()}}
    if other is not None:
        base = _pooled(other, chosen_by)
        if base.keys() != values.keys():
            raise ValueError("rows were measured on different objects")
        a, b = (100.0 * np.array([part[key] for key in values]) for part in (values, base))
        summary["difference"] = [float(np.mean(a - b)), *paired_bootstrap_ci(a, b, _rng())]
        summary["p"] = sign_flip_p(a - b, [str(key) for key in values], _rng())
    if row["auc"]:
        scores = np.array([entry for name in chosen_by for entry in row["auc"][name].values()])
        summary["auc"] = float(scores[:, 0].mean())
        gain = scores[:, 0] - scores[:, 1]
        summary["auc_over_distance"] = [float(gain.mean()), *bootstrap_mean_ci(gain, _rng())]
    return summary


def markdown(plan: AblationTable, results: Mapping[str, Any]) -> str:
    """Return the table; rows that were not run say so."""
    lines = ["| " + " | ".join(_HEAD) + " |", "|" + "---|" * len(_HEAD)]
    for row in plan.rows:
        if row.name not in results:
            lines.append(f"| {row.name} | {row.what} | not run " + "| " * (len(_HEAD) - 3) + "|")
            continue
        entry = results[row.name]
        summary = summarise(results, entry, plan.sets.chosen_by, plan.sets.reported)
        spread = ", ".join(f"{value:.1f}" for value in summary["spread"].values())
        cells = [row.name, row.what, _cell(summary["miou"]), row.against,
                 _cell(summary["difference"], "+.1f"), _cell(summary["own_minus_other"]),
                 _cell(summary["confusion"]
                       ), "" if summary["auc"] is None else f"{summary['auc']:.3f}",
                 _cell(summary["auc_over_distance"], "+.3f"), spread,
                 f"{(entry['train_seconds'] + entry['measure_seconds']) / 60:.0f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _pooled(row: Mapping[str, Any], sets: Sequence[str]) -> dict[tuple[str, str], float]:
    return {(name, key): value for name in sets for key, value in row["iou"][name].items()}


def _mean(values: Mapping[Any, float]) -> list[float]:
    points = 100.0 * np.array(list(values.values()))
    return [float(points.mean()), *bootstrap_mean_ci(points, _rng())]


def _cell(figures: Sequence[float] | None, form: str = ".1f") -> str:
    if figures is None:
        return ""
    mean, low, high = figures
    return f"{mean:{form}} ({low:{form}} to {high:{form}})"


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)
