"""Tables as text for people: figures, the listing of sets, progress."""
from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from oace_tf.progress import Progress
from oace_tf.samples.layouts import KNOWN, PUBLISHED_SIZE, Found

NO_FIGURE = "-"


def listing(sets: Sequence[Found], root: Path | None) -> str:
    """Return which sets are where, one line each."""
    lines = [f"sets in {root}" if root else "no folder of sets: give --data DIR or set OACE_DATA"]
    for one in sets:
        if one.fault:
            text = f"broken: {one.fault}"
        elif one.folder is None:
            text = "not found"
        else:
            text = f"{size_text(one.name, one.objects)} objects in {one.folder}"
        lines.append(f"  {one.name:<12}{text}")
    return "\n".join(lines)


def size_text(dataset: str, n: int) -> str:
    """Return n, and of how many where that is known and another number."""
    whole = PUBLISHED_SIZE.get(dataset, n) if dataset in KNOWN else n
    return f"{n}" if n == whole else f"{n} of {whole}"


def number(value: float | None, digits: int = 1, unit: str = "") -> str:
    """Return a figure as text; a dash where it was not measured."""
    if value is None:
        return NO_FIGURE
    return f"{round(value, digits) + 0.0:.{digits}f}{unit}"  # no minus before a zero


def interval(ends: Sequence[float] | None, digits: int = 1) -> str:
    """Return an interval as text; nothing where there is none."""
    return "" if ends is None else f"{number(ends[0], digits)} to {number(ends[1], digits)}"


def table(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return the report as text: a table a set, then groups and paired differences."""
    lines: list[str] = []
    for dataset in dict.fromkeys(entry["dataset"] for entry in entries):
        rows = [entry for entry in entries if entry["dataset"] == dataset]
        lines += [f"{dataset}, {size_text(dataset, rows[0]['n'])} objects", *_main_rows(rows)]
        for entry in rows:
            lines += _group_lines(entry) + _against_lines(entry)
            lines += [f"  {text}" for text in (*oace_lines(entry), *correction_lines(entry),
                                               *alternative_lines(entry))]
        left_out = rows[0]["left_out"]
        lines += [f"  left out: {text}" for text in left_out]
        ratio = rows[0]["harness"]["over_inference"]
        if ratio is not None:
            lines.append(f"  time: {ratio:.2f} of the bare inference (baselines apart), "
                         f"{rows[0]['harness']['workers']} workers")
        lines.append("")
    return "\n".join(lines).rstrip("\n")


COLUMNS: tuple[tuple[str, Callable[[Mapping[str, Any]], str]], ...] = (
    ("mIoU@1", lambda e: number(e["miou_at"].get("1"))),
    ("95 %", lambda e: interval(e["ci95"]["miou_at.1"])),
    ("@3", lambda e: number(e["miou_at"].get("3"))),
    ("@20", lambda e: number(e["miou_at"].get("20"))),
    ("NoC@80", lambda e: number(e["noc"]["80"], 2)),
    ("NoC@85", lambda e: number(e["noc"]["85"], 2)),
    ("NoC@90", lambda e: number(e["noc"]["90"], 2)),
    ("failed@90", lambda e: number(e["noc_failures"]["90"], 0)),
    ("boundary@1", lambda e: number(e["boundary_iou_at"].get("1"))),
    ("own-other", lambda e: number(e["own_minus_other"])),
    ("confused", lambda e: number(e["confusion"])),
    ("spread", lambda e: number(e["click_spread"])),
    ("worst of 10", lambda e: number(e["worst_of_ten"])),
    ("crumbs", lambda e: number(e["crumbs"]["share"])),
    ("ms/click", lambda e: number(e["ms_per_click"])),
)


def _main_rows(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    cells = [["model", *(name for name, _ in COLUMNS)]]
    cells += [[entry["model"], *(text(entry) for _, text in COLUMNS)] for entry in entries]
    widths = [max(len(row[k]) for row in cells) for k in range(len(cells[0]))]
    return ["  " + "  ".join([row[0].ljust(widths[0]),
                              *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))])
            for row in cells]


def _group_lines(entry: Mapping[str, Any]) -> list[str]:
    if entry["kind"] == "baseline":
        return []
    return [f"  {entry['model']}, mIoU@1 by {way}: " + ", ".join(
        f"{label} {number(row['miou_at']['1'])} (n {row['n']}, "
        f"{interval(row['ci95']['miou_at.1'])})" for label, row in rows.items())
        for way, rows in entry["groups"].items()]


def _against_lines(entry: Mapping[str, Any]) -> list[str]:
    lines = []
    for other in entry["against"]:
        parts = [f"{key} {other['difference'][key]:+.2f} ({interval(other['ci95'][key], 2)}, "
                 f"p {p:.3g})" for key, p in other["p"].items()]
        lines.append(f"  {entry['model']} minus {other['model']}: {'; '.join(parts)}")
    return lines


def oace_lines(entry: Mapping[str, Any]) -> list[str]:
    """Return one line on the OACE against the plain disk, where that was measured."""
    ratio = entry["oace_against_disk"]
    if ratio is None:
        return []
    ends = ratio["ci95"]
    return [f"{entry['model']}: the input changes from tap to tap on one object, over its change "
            f"from the object to beside it: OACE {number(ratio['oace'], 3)} "
            f"({interval(ends['oace'], 3)}), plain disk {number(ratio['disk'], 3)}, difference "
            f"{number(ratio['difference'], 3)} ({interval(ends['difference'], 3)}, "
            f"p {ratio['p']:.3g}), {ratio['n']} objects"]


_CORRECTIONS = {"background": "background taps inside the mask are outside afterwards",
                "missed": "object taps on what was missed are inside afterwards",
                "again": "second object taps lose at most a tenth of what was found"}


def correction_lines(entry: Mapping[str, Any]) -> list[str]:
    """Return a line a kind of second tap, where they were tried."""
    kinds = entry["corrections"] or {}
    return [f"{entry['model']}: {_CORRECTIONS[kind]}: {number(row['obeyed'])} % "
            f"({interval(row['ci95']['obeyed'])}), IoU {number(row['iou_change'])} "
            f"({interval(row['ci95']['iou_change'])}), {row['taps']} "
            f"{'pairs' if kind == 'again' else 'taps'} on {row['objects']} objects"
            for kind, row in kinds.items()]


def alternative_lines(entry: Mapping[str, Any]) -> list[str]:
    """Return a line on several answers, where the file gives them."""
    row = entry["alternatives"]
    if row is None:
        return []
    return [f"{entry['model']}: of its answers the best has {number(row['best'])} "
            f"({number(row['best_minus_mask'])} above its mask), that of the highest score "
            f"{number(row['chosen'])}, which is the best on {number(row['chosen_is_best'])} % of "
            f"{row['n']} objects; scores are off by {number(row['score_error'])}, on average "
            f"{number(row['score_bias'])}, correlation {number(row['score_correlation'], 2)}"]


def json_text(value: Any) -> str:
    """Return a value as JSON, strict and indented."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)


@contextmanager
def progress(sets: Mapping[str, Sequence[Any]]) -> Iterator[Callable[[str], None]]:
    """Give a function to call with the set's name after every photograph; shows how far it is."""
    with Progress(sum(map(len, sets.values())), "", "photograph") as bar:
        def step(name: str) -> None:
            bar.describe(name)
            bar.update()

        yield step
