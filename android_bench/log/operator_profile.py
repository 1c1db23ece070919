"""The operator profile of the timed runs: the table or CSV that `--enable_op_profiling` prints.

Only the summary by node type is read. In logcat it is cut at 1,023 bytes and then left out.
"""
from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from android_bench.log.lines import Line
from android_bench.log.numbers import whole_number

_TITLE = re.compile(r"Operator-wise Profiling Info for Regular Benchmark Runs:")
_SUMMARY = re.compile(r"=+ Summary by node type =+")
_ROW = re.compile(r"(?P<name>\S.*?)\t\s*(?P<count>\d+)\t\s*(?P<avg>[\d.]+)\t\s*[\d.]+%\t"
                  r"\s*[\d.]+%\t\s*[\d.]+\t\s*(?P<times>\d+)")
_CSV = re.compile(r"(?P<name>\S.*?), (?P<count>\d+), (?P<avg>[\d.e+-]+), [\d.e+-]+%, [\d.e+-]+%, "
                  r"[\d.e+-]+, (?P<times>\d+)")


@dataclass(frozen=True, slots=True)
class OperatorTime:
    """All nodes of one type: how many, their time per inference in ms, calls per inference."""

    node_type: str
    count: int
    avg_ms: float
    times_called: int


def read_profile(lines: Sequence[Line]) -> tuple[OperatorTime, ...]:
    """Return the summary by node type of the timed runs, longest first; empty if there is none.

    A table whose end (the line after its rows) is missing is left out, not shown in part.
    """
    start = next((k for k, line in enumerate(lines) if _TITLE.fullmatch(line.message)), None)
    rest = lines if start is None else lines[start:]
    summary = [k for k, line in enumerate(rest) if _SUMMARY.fullmatch(line.message)]
    if start is None or not summary:
        return ()
    rows = []
    for line in rest[summary[0] + 2:]:
        match = _ROW.fullmatch(line.message) or _CSV.fullmatch(line.message)
        if match is None or not line.ended:
            closed = line.message == "" and line.ended
            break
        try:
            avg_ms = float(match["avg"])
        except ValueError:
            return ()
        name = match["name"].replace("\t", ",")  # the CSV form writes commas as tabs
        rows.append(OperatorTime(name, whole_number(match["count"], line.raw), avg_ms,
                                 whole_number(match["times"], line.raw)))
    else:
        closed = False
    return tuple(sorted(rows, key=lambda row: -row.avg_ms)) if closed else ()
