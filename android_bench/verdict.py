"""Verdict within budgets: repetitions -> a row per setting -> passed or not.

A row is a result only if every repetition ended well, on the delegate asked for, without throttling
and with all its options taken. Everything else is named in words and never passes a budget. The
slowest repetition is judged: the mean of a lucky one hides nothing.
"""
from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from android_bench.log.parse import FAILED, NOT_DELEGATED, OK, TRUNCATED, UNUSABLE, Record

DEFAULT_BUDGET_MS = 250.0
DEFAULT_LOAD_BUDGET_MS = 25.0

WITHIN, OVER = "within", "over"
THROTTLED, ABSENT, UNPROVEN = "throttled", "not in this build", "unproven"
MEASURED = (WITHIN, OVER)
P90_NOTE = "p90: not printed by this tool and no per-run times to compute it from"
_WORST_FIRST = (FAILED, TRUNCATED, UNUSABLE, NOT_DELEGATED, UNPROVEN, THROTTLED)
_IGNORED = ("Unconsumed cmdline flags", "but flags call it")
_CACHE_ERROR = "XNNPack weight cache:"


@dataclass(frozen=True, slots=True)
class Budgets:
    """Upper limits in milliseconds, None for what is not judged."""

    mean_ms: float | None = DEFAULT_BUDGET_MS
    load_ms: float | None = DEFAULT_LOAD_BUDGET_MS

    @classmethod
    def of(cls, mean_ms: float | None, load_ms: float | None) -> Budgets:
        """Return the budgets asked for; with neither, 250 and 25 ms."""
        if mean_ms is None and load_ms is None:
            return cls()
        return cls(mean_ms, load_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """One run of the tool: outcome, reason and what it measured, in ms and MB.

    `runs_ms` holds every single timed run where the tool gives them, else nothing.
    """

    outcome: str
    reason: str = ""
    load_ms: float | None = None
    first_ms: float | None = None
    n: int | None = None
    mean_ms: float | None = None
    median_ms: float | None = None
    p95_ms: float | None = None
    std_ms: float | None = None
    min_ms: float | None = None
    max_ms: float | None = None
    memory_mb: float | None = None
    memory_kind: str = ""
    delegate: str = ""
    delegation: str = "unknown"
    nodes: tuple[int, int | None] | None = None
    partitions: int | None = None
    warnings: tuple[str, ...] = ()
    profile: tuple[tuple[str, int, float], ...] = ()
    runs_ms: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One setting: its repetitions, the status and, if it is a result, the figures.

    `status` is within, over, or why it is no result: not_delegated, failed, unusable, truncated,
    throttled, unproven, not in this build. `allowed` names conditions that were let through.
    """

    setting: str
    model: str
    unit: str
    threads: int
    status: str
    reason: str
    repetitions: tuple[Repetition, ...] = ()
    allowed: tuple[str, ...] = ()
    load_ms: float | None = None
    first_ms: float | None = None
    mean_ms: float | None = None
    median_ms: float | None = None
    p90_ms: float | None = None
    p95_ms: float | None = None
    std_ms: float | None = None
    memory_mb: float | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def measured(self) -> bool:
        """Whether the row is a result, within the budgets or over them."""
        return self.status in MEASURED


def from_record(record: Record) -> Repetition:
    """Return the repetition that a parsed log stands for.

    The mean of one single run is its `curr`: the average line keeps six digits only.
    """
    outcome, reason = record.outcome, record.reason
    figures = record.figures
    if outcome == OK:
        outcome, reason = _second_look(record)
    mean = figures.min_us if figures.n == 1 and figures.min_us is not None else figures.avg_us
    memory, kind = figures.mem_peak_mb, "peak of the process"
    if memory is None:
        memory, kind = figures.mem_overall_mb, "growth since the start"
    took = record.delegation.replacements[0] if record.delegation.replacements else None
    return Repetition(
        outcome=outcome, reason=reason, load_ms=_ms(figures.init_us),
        first_ms=_ms(figures.first_us), n=figures.n, mean_ms=_ms(mean),
        median_ms=_ms(figures.p50_us), p95_ms=_ms(figures.p95_us), std_ms=_ms(figures.std_us),
        min_ms=_ms(figures.min_us), max_ms=_ms(figures.max_us), memory_mb=memory,
        memory_kind=kind if memory is not None else "", delegate=record.delegation.delegate,
        delegation=record.delegation.state, nodes=(took.replaced, took.total) if took else None,
        partitions=took.partitions if took else None,
        warnings=record.warnings + tuple(error for error in record.errors if outcome == OK),
        profile=tuple((row.node_type, row.count, row.avg_ms) for row in record.profile))


def _second_look(record: Record) -> tuple[str, str]:
    """Return outcome and reason of a complete run that may still not be what was asked for."""
    asked = tuple(name for name in record.delegation.requested if name != "xnnpack")
    if asked and record.delegation.state == "unknown":
        return UNPROVEN, (f"nothing in the log shows that {', '.join(asked)} took the graph; it "
                          "may have run on the CPU")
    return OK, ""


def check_options(repetition: Repetition) -> Repetition:
    """Return the repetition, unusable if the tool did not take an option that we gave it.

    For runs whose command line is ours: an unknown flag or a wrong layer name only warns, and a
    weight cache that cannot be opened is an ERROR line in a run that ends well.
    """
    if repetition.outcome != OK:
        return repetition
    for warning in repetition.warnings:
        if any(words in warning for words in (*_IGNORED, _CACHE_ERROR)):
            return Repetition(outcome=UNUSABLE,
                              reason=f"the tool did not take an option: {warning}",
                              warnings=repetition.warnings)
    return repetition


def judge(setting: str, repetitions: Sequence[Repetition], budgets: Budgets, *, model: str = "",
          unit: str = "", threads: int = 0, allowed: Sequence[str] = (),
          notes: Sequence[str] = ()) -> Row:
    """Return the row of a setting.

    Args:
      setting: its name.
      repetitions: all of them, also failed ones; at least one.
      budgets: limits for the slowest repetition's mean and for the longest load.
      model, unit, threads: of the setting, for the report.
      allowed: conditions that were let through by name; they stand in the row.
      notes: more to say, in words.
    """
    row = Row(setting=setting, model=model, unit=unit, threads=threads, status=OK, reason="",
              repetitions=tuple(repetitions), allowed=tuple(allowed), notes=tuple(notes))
    for outcome in _WORST_FIRST:
        bad = [one for one in repetitions if one.outcome == outcome]
        if bad:
            return replace(row, status=outcome, reason=bad[0].reason)
    if not repetitions:
        return replace(row, status=FAILED, reason="no repetition came to its end")
    figures = _figures(row.repetitions)
    mean, load = figures["mean_ms"], figures["load_ms"]
    if mean is None or not math.isfinite(mean):
        return replace(row, status=UNUSABLE, reason="no time was measured")
    over = []
    if budgets.mean_ms is not None and not mean <= budgets.mean_ms:
        over.append(f"mean {mean:.2f} ms, budget {budgets.mean_ms:g} ms")
    if budgets.load_ms is not None:
        if load is None:
            over.append("the load time is not in the log, so its budget is not shown to be met")
        elif not load <= budgets.load_ms:
            over.append(f"load {load:.2f} ms, budget {budgets.load_ms:g} ms")
    added = list(row.notes)
    if figures["p90_ms"] is None:
        added.append(P90_NOTE)
    if any(one.delegation == "partial" for one in repetitions):
        added.append("part of the graph runs outside the delegate")
    return replace(row, status=OVER if over else WITHIN, reason="; ".join(over),
                   notes=tuple(added), **figures)  # type: ignore[arg-type]  # all float | None


def passed(rows: Sequence[Row]) -> bool:
    """Return whether at least one setting is a result within the budgets.

    Of the file in question: rows of its float twin are there to compare with.
    """
    return any(row.status == WITHIN and row.model != "float" for row in rows)


def absent(setting: str, reason: str, model: str, unit: str, threads: int) -> Row:
    """Return the row of a setting that this build or device has no way to run."""
    return Row(setting=setting, model=model, unit=unit, threads=threads, status=ABSENT,
               reason=reason)


def percentile(values: Sequence[float], share: float) -> float:
    """Return a percentile of single runs, linear between the two nearest.

    Args:
      values: at least one.
      share: 0 to 1.
    """
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def _figures(repetitions: Sequence[Repetition]) -> dict[str, float | None]:
    """Return the figures of a row: times of the slowest repetition, the largest memory."""
    slowest = max(repetitions, key=lambda one: one.mean_ms or 0.0)
    loads = [one.load_ms for one in repetitions]
    firsts = [one.first_ms for one in repetitions if one.first_ms is not None]
    memories = [one.memory_mb for one in repetitions if one.memory_mb is not None]
    p90 = percentile(slowest.runs_ms, 0.9) if slowest.runs_ms else None
    load = max((one for one in loads if one is not None), default=None)
    return {"mean_ms": slowest.mean_ms, "median_ms": slowest.median_ms, "p95_ms": slowest.p95_ms,
            "p90_ms": p90, "std_ms": slowest.std_ms,
            "load_ms": None if None in loads else load,
            "first_ms": max(firsts, default=None), "memory_mb": max(memories, default=None)}


def from_times(load_ms: float, times_ms: Sequence[float], **more: object) -> Repetition:
    """Return a repetition from single times, the first of which is the first inference.

    Args:
      load_ms: from the file to a runnable interpreter.
      times_ms: at least two: the first inference, then the timed runs.
      more: further fields of `Repetition`.
    """
    timed = list(times_ms[1:])
    return Repetition(outcome=OK, reason="", load_ms=load_ms, first_ms=times_ms[0], n=len(timed),
                      mean_ms=statistics.fmean(timed), median_ms=statistics.median(timed),
                      p95_ms=percentile(timed, 0.95), std_ms=statistics.pstdev(timed),
                      min_ms=min(timed), max_ms=max(timed), runs_ms=tuple(timed),
                      **more)  # type: ignore[arg-type]  # checked by the callers' types


def _ms(value_us: float | None) -> float | None:
    return None if value_us is None else value_us / 1000
