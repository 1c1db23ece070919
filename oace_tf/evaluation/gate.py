"""Gate as a command: int8 against float, and against the last accepted report."""
from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from oace_tf import fileio
from oace_tf.errors import UsageError
from oace_tf.evaluation import drift, float_int8, tables
from oace_tf.evaluation.protocol import Record, mean_iou
from oace_tf.samples.layouts import find_dataset
from oace_tf.samples.sample import SampleFile
from oace_tf.segmenter import TapSegmenter

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"  # a file that GitHub shows beside the log
MOST_LOST = 10

Sets = Mapping[str, Sequence[Sequence[SampleFile]]]


def found(root: Path | None) -> list[str]:
    """Return the sets of the gate that are there."""
    return [name for name in float_int8.SETS if find_dataset(name, root) is not None]


def run_gate(args: argparse.Namespace, sets: Sets) -> int:
    """Compare, print, write; 0 where everything is within the budget, else 1.

    Raises:
      UsageError: a file of another contract or the wrong kind, a broken budget or report, a sample
        that cannot be read (unless those are to be left out).
    """
    budget = drift.read_budget(args.budget)
    accepted = _read_accepted(args.accepted) if args.accepted else None
    float_path, int8_path = args.compare
    for path, quantized in ((float_path, False), (int8_path, True)):
        if TapSegmenter(path).model.quantized is not quantized:
            raise UsageError(f"{path} is the {'float' if quantized else 'int8'} file; "
                             "--compare takes FLOAT, then INT8")
    files = [file for groups in sets.values() for group in groups for file in group]
    named = tuple(name for name in args.baselines if name in float_int8.BASELINES)
    records, left_out = [], []
    with tables.progress({"gate": files}) as step:
        for result in float_int8.first_clicks(float_path, int8_path, files, args.workers, named):
            if isinstance(result, Record):
                records.append(result)
            elif args.skip_bad:
                left_out.append(result)
            else:
                raise UsageError(result)
            step("gate")
    report = {
        **gate_report(records, budget, accepted, args.seed),
        "float32": {"path": str(float_path), "sha256": fileio.sha256_file(float_path)},
        "int8": {"path": str(int8_path), "sha256": fileio.sha256_file(int8_path)},
        "left_out": left_out,
    }
    if args.json == "-":
        print(tables.json_text(report))
    else:
        print(summary(report))
        if args.json:
            fileio.write_json(args.json, report)
    _show_on_github(summary(report))
    return 0 if report["passed"] else 1


def gate_report(records: Sequence[Record], budget: drift.Budget,
                accepted: Mapping[str, Any] | None, seed: int) -> dict[str, Any]:
    """Return passed, failures, drift, agreement, baselines, most_lost, change and the budget."""
    report: dict[str, Any] = {
        "drift": drift.drift_rows(records, seed),
        "agreement": {**drift.agreement([record.agreement or 0.0 for record in records]),
                      "on": "labelled sets"},
        "baselines": baseline_rows(records),
        "most_lost": drift.most_lost(records, MOST_LOST),
        "change": None if accepted is None else drift.changes(records, accepted, seed),
    }
    failures = drift.gate(report, budget)
    if report["change"] is not None:
        failures += drift.change_failures(report["change"], budget)
    return {"passed": not failures, "failures": failures, **report,
            "budget": dataclasses.asdict(budget)}


def baseline_rows(records: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """Return dataset, n and mIoU@1 (points of 100) of every baseline in the records, by name."""
    on = [record for record in records if record.dataset == float_int8.BASELINES_ON]
    names = [name for name in float_int8.BASELINES if on and name in on[0].iou]
    return {name: {"dataset": float_int8.BASELINES_ON, "n": len(on),
                   "miou_at_1": 100 * mean_iou(on, name)} for name in names}


def summary(report: Mapping[str, Any]) -> str:
    """Return the report as text that reads well in a log, and as Markdown."""
    lines = [f"int8 against float32: {'passed' if report['passed'] else 'FAILED'}", "",
             "| set | objects | float32 | int8 | drop | 95 % |", "|---|---|---|---|---|---|"]
    for row in report["drift"]:
        lines.append(f"| {row['dataset']} | {row['n']} | "
                     f"{tables.number(row['float_miou_at_1'], 2)} | "
                     f"{tables.number(row['int8_miou_at_1'], 2)} | "
                     f"{tables.number(row['drop_points'], 3)} | "
                     f"{tables.interval(row['ci95'], 3)} |")
    agreed = report["agreement"]
    lines += ["", f"Agreement of the masks: mean IoU {tables.number(agreed['mean_iou'], 4)}, worst "
              f"{tables.number(agreed['worst'], 4)}."]
    lines += [f"Without a network, {row['dataset']}: {name} {tables.number(row['miou_at_1'], 2)}."
              for name, row in report["baselines"].items()]
    if report["change"] is not None:
        lines += ["", "Since the accepted report (int8, points):"]
        lines += [f"- {row['dataset']}: {tables.number(row['accepted'], 2)} -> "
                  f"{tables.number(row['now'], 2)}" for row in report["change"]]
    if report["most_lost"]:
        lines += ["", "What int8 lost most on (points):"]
        lines += [f"- {row['drop_points']:+.1f} {row['dataset']} {row['id']}: "
                  f"{row['float']:.1f} -> {row['int8']:.1f}, IoU of the masks "
                  f"{tables.number(row['agreement'], 3)}" for row in report["most_lost"]]
    lines += [f"- left out: {text}" for text in report["left_out"]]
    lines += [f"- FAILED: {failure}" for failure in report["failures"]]
    return "\n".join(lines)


def _read_accepted(path: Path) -> Mapping[str, Any]:
    report = fileio.read_json(path)
    if not isinstance(report, dict) or not isinstance(report.get("drift"), list):
        raise UsageError(f"{path} is no report of --compare: it holds no list named drift")
    return report


def _show_on_github(text: str) -> None:
    path = os.environ.get(STEP_SUMMARY)
    if path:
        try:
            with open(path, "a", encoding="utf-8") as file:
                file.write(text + "\n")
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}") from error
