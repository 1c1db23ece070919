"""Reports of a campaign: a table on screen, JSON, Markdown, JUnit; all from the same rows."""
from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from android_bench.verdict import ABSENT, WITHIN, Row
from oace_tf.errors import UsageError

VERSION = 1
WHOLE_ANSWER = ("not measured: resizing the photograph to 512x512 and the mask back to its size "
                "run in the app, outside this tool; the paper's figure has them in it")
_COLUMNS = ("setting", "load", "first", "mean", "median", "p90", "p95", "std", "MB", "nodes",
            "verdict")


def as_dict(rows: Sequence[Row], about: Mapping[str, Any], passed: bool, trouble: str = ""
            ) -> dict[str, Any]:
    """Return the report as JSON values.

    Args:
      rows: one per setting.
      about: device, binary, models, budgets and whatever else is known of the run.
      passed: the verdict.
      trouble: what broke the run off, in words; empty if nothing did.
    """
    report: dict[str, Any] = {"version": VERSION, "whole_answer": WHOLE_ANSWER, **about}
    report.update(passed=passed, trouble=trouble, rows=[dataclasses.asdict(row) for row in rows])
    return report


def as_json(report: Mapping[str, Any]) -> str:
    """Return the report as text; every number in it is finite."""
    return json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_report(text: str | bytes, name: str) -> dict[str, Any]:
    """Return a report that `as_json` wrote; bytes may be UTF-16, as of PowerShell's `>`.

    Raises:
      UsageError: it is none, or of another version.
    """
    try:
        report = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name} is not valid JSON: {error}") from error
    if not isinstance(report, dict) or not isinstance(report.get("rows"), list):
        raise UsageError(f"{name} is not a report of android_bench/bench.py --json")
    if report.get("version") != VERSION:
        raise UsageError(f"{name} is a report of version {report.get('version')!r}, expected "
                         f"{VERSION}; measure again")
    return report


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a table for the screen, times in ms, with a line for every reason.

    Settings that this build does not have stand below it, in one line for each reason.
    """
    missing = _missing(rows)
    rows = [row for row in rows if row.status != ABSENT]
    cells = [list(_COLUMNS)] + [_cells(row) for row in rows]
    widths = [max(len(line[k]) for line in cells) for k in range(len(_COLUMNS))]
    text = ""
    for line in cells:
        text += "  ".join(cell.ljust(width) if k in (0, len(widths) - 1) else cell.rjust(width)
                          for k, (cell, width) in enumerate(zip(line, widths))).rstrip() + "\n"
    for row in rows:
        for words in _words(row):
            text += f"{row.setting}: {words}\n"
    return text + "".join(f"{line}\n" for line in missing)


def markdown(rows: Sequence[Row], about: Mapping[str, Any], passed: bool, trouble: str = "") -> str:
    """Return the report as Markdown: verdict, device, table, remarks, operators."""
    lines = ["# Benchmark", "", "**Within budget.**" if passed else "**Not within budget.**", ""]
    if trouble:
        lines += [f"Broken off: {_escape(trouble)}", ""]
    for key in ("device", "binary", "models", "budgets", "accuracy"):
        if about.get(key):
            lines.append(f"- {key}: {_escape(_flat(about[key]))}")
    lines += [f"- whole answer: {_escape(about.get('whole_answer', WHOLE_ANSWER))}", "",
              "Times in ms, of the slowest repetition.", "",
              "| " + " | ".join(_COLUMNS) + " |", "|" + "---|" * len(_COLUMNS)]
    missing = _missing(rows)
    rows = [row for row in rows if row.status != ABSENT]
    lines += ["| " + " | ".join(map(_escape, _cells(row))) + " |" for row in rows]
    remarks = [f"- {_escape(row.setting)}: {_escape(words)}"
               for row in rows for words in _words(row)]
    remarks += [f"- {_escape(line)}" for line in missing]
    lines += ["", *remarks] if remarks else []
    for row in rows:
        profile = next((one.profile for one in row.repetitions if one.profile), ())
        if profile and row.measured:
            lines += ["", f"Operators of {_escape(row.setting)}, ms per inference:", "",
                      "| operator | count | ms |", "|---|---|---|"]
            lines += [f"| {_escape(name)} | {count} | {ms:.3f} |"
                      for name, count, ms in profile[:12]]
    return "\n".join(lines) + "\n"


def _missing(rows: Sequence[Row]) -> list[str]:
    """Return for each reason one line: which settings this build does not have."""
    settings: dict[str, list[str]] = {}
    for row in rows:
        if row.status == ABSENT:
            settings.setdefault(row.reason, []).append(row.setting)
    return [f"{ABSENT} ({reason}): {', '.join(names)}" for reason, names in settings.items()]


def junit(rows: Sequence[Row], passed: bool, trouble: str = "") -> str:
    """Return the report as JUnit XML: a case per setting, and one for the verdict.

    It fails where the command does: if one setting is within the budgets, the others are skipped
    cases that say why they are not.
    """
    suite = ElementTree.Element("testsuite", name="android_bench")
    for row in rows:
        case = _case(suite, row.setting, (row.mean_ms or 0.0) / 1000)
        if row.status == ABSENT or (passed and row.status != WITHIN):
            ElementTree.SubElement(case, "skipped",
                                   message=_clean(f"{row.status}: {row.reason}"))
        elif row.status != WITHIN:
            ElementTree.SubElement(case, "failure", type=row.status,
                                   message=_clean(f"{row.status}: {row.reason}"))
    case = _case(suite, "verdict", 0.0)
    if trouble:
        ElementTree.SubElement(case, "error", type="device", message=_clean(trouble))
    elif not passed:
        ElementTree.SubElement(case, "failure", type="budget",
                               message="no setting is within the budgets")
    cases = list(suite)
    for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(key, str(sum(entry.find(tag) is not None for entry in cases)))
    suite.set("tests", str(len(cases)))
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ElementTree.Element, name: str, seconds: float) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", classname="android_bench", name=_clean(name),
                                  time=f"{seconds:.6f}")


def _cells(row: Row) -> list[str]:
    nodes = next((one.nodes for one in row.repetitions if one.nodes), None)
    taken = "" if nodes is None else f"{nodes[0]}/{'?' if nodes[1] is None else nodes[1]}"
    name = row.setting + "".join(f" [{name}]" for name in row.allowed)
    return [name, *(_ms(value) for value in (row.load_ms, row.first_ms, row.mean_ms, row.median_ms,
                                             row.p90_ms, row.p95_ms, row.std_ms)),
            "-" if row.memory_mb is None else f"{row.memory_mb:.1f}", taken, row.status]


def _words(row: Row) -> list[str]:
    """Return what is to be said of a row besides its figures."""
    words = [row.reason] if row.reason else []
    words += [f"measured in spite of: {name}" for name in row.allowed]
    words += row.notes
    warnings = dict.fromkeys(warning for one in row.repetitions for warning in one.warnings)
    return words + [f"the tool warns: {warning}" for warning in warnings]


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_flat(entry)}" for key, entry in value.items()
                         if entry not in (None, "", [], {}))
    if isinstance(value, (list, tuple)):
        return "; ".join(map(_flat, value))
    return str(value)


def _escape(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _clean(text: str) -> str:
    """Return the text without the control characters that XML 1.0 has no way to hold."""
    return "".join(c for c in text if c in "\t\n" or (c >= " " and not "\ud800" <= c <= "\udfff"
                                                      and c not in "\ufffe\uffff"))
