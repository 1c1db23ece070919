"""The figures in a log: count lines, the results line, LiteRT's results block, memory.

A log is a row of sections: "Running benchmark for ..." opens the warm-up, the next one the timed
runs. Every figure is checked against the others: a log that contradicts itself raises.
"""
from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from android_bench.errors import NotUnderstood
from android_bench.log.lines import Line
from android_bench.log.numbers import whole_number

_N = r"(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
_STARTS = re.compile(r"Running benchmark for (?:at least )?[\d.e+-]+ iterations.*")
_COUNT = re.compile(rf"count=(?P<count>\d+)(?: first={_N})?(?: curr=(?P<curr>{_N}))?"
                    rf"(?: min=(?P<min>{_N}) max=(?P<max>{_N}) avg=(?P<avg>{_N})"
                    rf" std=(?P<std>{_N}))?"
                    rf"(?: p5=(?P<p5>{_N}) median=(?P<p50>{_N}) p95=(?P<p95>{_N}))?")
_RESULT = re.compile(rf"Inference timings in us: Init: {_N}, First inference: {_N}, "
                     rf"Warmup \(avg\): {_N}, Inference \(avg\): {_N}")
_OLD_RESULT = re.compile(rf"Average inference timings in us: Warmup: {_N}, Init: {_N}, "
                         rf"no stats: {_N}")
_SESSION = re.compile(rf"Initialized session in {_N} ?ms\.?")
_DELTA = re.compile(rf"(?:Memory footprint delta from the start of the tool|Peak memory footprint) "
                    rf"\(MB\): init={_N} overall={_N}")
_PEAK = re.compile(rf"Overall peak memory footprint \(MB\) via periodic monitoring: {_N}")
_BLOCK = re.compile(rf"(Model initialization|Warmup \(first\)|Warmup \(avg\)|Inference \(\w+\)|"
                    rf"Init footprint|Overall footprint|Peak footprint|Peak memory usage):"
                    rf" +{_N}(?: (ms|MB))?(?: \((\d+) runs\))?")
_TITLE = re.compile(r"(?:=+ )?BENCHMARK RESULTS(?: =+)?")
_RULE = re.compile(r"={30,}")
# what a line must fit whole once it begins (or, for the last, continues) like this
_STRICT = (("count=", _COUNT), ("Inference timings in us", _RESULT),
           ("Average inference timings in us", _OLD_RESULT),
           ("Initialized session in", _SESSION), ("Memory footprint delta from", _DELTA),
           ("Overall peak memory footprint", _PEAK))
_BLOCK_STARTS = ("Model initialization:", "Warmup (", "Inference (", "Init footprint:",
                 "Overall footprint:")
_KNOWN = re.compile(r"STARTING!|Log parameter values verbosely: .*|Num threads: .*|Graph: \[.*|"
                    r"Min (?:num |warmup )?runs.*|Num runs: .*|Loaded model .*|Model: +\S.*|"
                    r"(?:The )?[Ii]nput model file size.*|Created TensorFlow Lite .*|"
                    r"Replacing \d+ (?:out of \d+ )?node.*|Initialized TensorFlow Lite runtime\..*|"
                    r"Benchmarking failed.*|GPU delegate created.*|Explicitly applied .*|"
                    r"Signature to run.*|Signature to run: .*|Failed to load model .*|"
                    r"Model file not found: .*|Loading model.*|Creating environment.*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured; microseconds and MB, None where the log does not say.

    `mem_init_mb` and `mem_overall_mb` are growth since the tool started, `mem_peak_mb` is the whole
    process. `resolution_us` is the step of the printed times: 1, or 10 of tools that print
    milliseconds with two decimals. `runs` counts the results in the log.
    """

    init_us: float | None = None
    first_us: float | None = None
    warmup_n: int | None = None
    warmup_avg_us: float | None = None
    n: int | None = None
    avg_us: float | None = None
    std_us: float | None = None
    min_us: float | None = None
    max_us: float | None = None
    p5_us: float | None = None
    p50_us: float | None = None
    p95_us: float | None = None
    mem_init_mb: float | None = None
    mem_overall_mb: float | None = None
    mem_peak_mb: float | None = None
    resolution_us: float = 1.0
    runs: int = 0

    def only_warmup(self) -> Figures:
        """Return what a run that did not end well may keep: the count of its warm-up runs."""
        return Figures(warmup_n=self.warmup_n if self.runs == 0 else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Count:
    n: int
    first: float | None
    curr: float | None
    min: float | None
    max: float | None
    avg: float | None
    std: float | None
    p5: float | None
    p50: float | None
    p95: float | None

    def average(self) -> float | None:
        """Return the mean of the runs: of a single one, the run itself."""
        return self.avg if self.avg is not None else self.curr


def format_of(lines: Sequence[Line]) -> str:
    """Return which tool wrote the lines: classic, old, litert, litert-py, litert_app or other."""
    if any("tensorflow/tools/benchmark/" in line.source for line in lines):
        return "other"
    sources = {line.source.replace("\\", "/").rsplit("/", 1)[-1] for line in lines}
    if "benchmark_litert_model.h" in sources or "benchmark_litert_model.cc" in sources:
        return "litert"
    if "benchmark_litert_model" in sources or any(
            "litert-benchmark" in line.message for line in lines):
        return "litert-py"
    messages = [line.message for line in lines]
    if any(message.startswith("Average inference timings in us: Warmup") for message in messages):
        return "old"
    if any(map(_TITLE.fullmatch, messages)):
        return "litert-py"
    tags = {line.source for line in lines if line.layout == "logcat"}
    if "litert" in tags and "STARTING!" not in messages:
        return "litert_app"
    return "classic"


def is_known(line: Line) -> bool:
    """Return whether a benchmark tool or one of its delegates writes such lines."""
    return bool(_KNOWN.fullmatch(line.message) or _TITLE.fullmatch(line.message)
                or _STARTS.fullmatch(line.message) or "linker: " in line.raw
                or any(line.message.startswith(start) for start, _ in _STRICT))


def read_figures(lines: Iterable[Line], name: str) -> tuple[Figures, bool]:
    """Return the figures and whether the results are complete.

    Args:
      lines: of one log, in their order.
      name: the format, as `format_of` gives it.
    Raises:
      NotUnderstood: a line of figures cannot be read or contradicts another.
    """
    lines = [line for line in lines if line.ended]  # a last line without an end may be cut
    for line in lines:
        _check_grammar(line)
    counts = _counts(lines)
    if name in ("litert", "litert-py"):
        return _litert(lines, counts)
    results = _distinct(line for line in lines
                        if _RESULT.fullmatch(line.message) or _OLD_RESULT.fullmatch(line.message))
    if len(results) != 1:
        warmup = counts[0][0].n if counts and counts[0] else None
        return Figures(warmup_n=warmup, runs=len(results)), False
    return _memory(_classic(results[0], counts), lines), True


def _check_grammar(line: Line) -> None:
    for start, pattern in _STRICT:
        if line.message.startswith(start) and not pattern.fullmatch(line.message):
            raise NotUnderstood("a line of results that cannot be read", line.raw)
    if "nference timings in us" in line.message and not (
            _RESULT.fullmatch(line.message) or _OLD_RESULT.fullmatch(line.message)):
        raise NotUnderstood("a line of results that cannot be read", line.raw)


def _distinct(lines: Iterable[Line]) -> list[Line]:
    """Return the lines without those whose message stood before (a log printed twice)."""
    return list({line.message: line for line in lines}.values())


def _counts(lines: Sequence[Line]) -> list[list[_Count]]:
    """Return the count lines by section up to the results; sections without one are left out."""
    sections: list[list[_Count]] = [[]]
    marked = any(_STARTS.fullmatch(line.message) for line in lines)
    for line in lines:
        if _RESULT.fullmatch(line.message) or _OLD_RESULT.fullmatch(line.message) or (
                _TITLE.fullmatch(line.message)):
            break  # what follows is the profiler's
        if _STARTS.fullmatch(line.message):
            sections.append([])
        match = _COUNT.fullmatch(line.message)
        if match:
            count = _count(match, line)
            if not marked and count not in sections[-1]:
                sections.append([count])
            elif count not in sections[-1]:
                sections[-1].append(count)
    return [section for section in sections if section]


def _count(match: re.Match[str], line: Line) -> _Count:
    names = ("curr", "min", "max", "avg", "std", "p5", "p50", "p95")
    value = {name: number(match[name], line) if match[name] else None for name in names}
    first = number(match[2], line) if match[2] else None
    count = _Count(n=whole_number(match["count"], line.raw), first=first, **value)
    ordered = ((count.min, count.avg, count.max), (count.p5, count.p50, count.p95),
               (count.min, count.p50, count.max))
    for row in ordered:
        known = [entry for entry in row if entry is not None]
        if any(low > high * (1 + 1e-5) for low, high in zip(known, known[1:])) and count.n:
            raise NotUnderstood("figures that contradict each other", line.raw)
    if count.n > 1 and count.avg is None:
        raise NotUnderstood("several runs without their average", line.raw)
    return count


def _classic(result: Line, counts: list[list[_Count]]) -> Figures:
    """Return the figures of the results line and of the count lines before it."""
    match = _RESULT.fullmatch(result.message)
    if match:
        init, first, warmup, avg = (number(match[k], result) for k in (1, 2, 3, 4))
    else:
        match = _OLD_RESULT.fullmatch(result.message)
        assert match is not None  # by the caller
        warmup, init, avg = (number(match[k], result) for k in (1, 2, 3))
        first = math.nan
    if any(len(section) > 1 for section in counts) or len(counts) > 2:
        raise NotUnderstood("more runs than this one result belongs to", result.raw)
    timed = counts[-1][0] if counts else None
    before = counts[0][0] if len(counts) == 2 else None
    _check_average(timed, avg, result)
    _check_average(before, warmup, result)
    if math.isnan(first):  # the old form prints it with the warm-up only
        known = before.first if before and before.first is not None else (
            before.curr if before else None)
        figures = Figures(init_us=init, first_us=known, warmup_n=None, warmup_avg_us=warmup,
                          avg_us=avg, runs=1)
    else:
        figures = Figures(init_us=init, first_us=first, warmup_n=None, warmup_avg_us=warmup,
                          avg_us=avg, runs=1)
    return _with_counts(figures, timed, before)


def _check_average(count: _Count | None, printed: float, result: Line) -> None:
    """Raise if a count line and the results line speak of different averages."""
    average = count.average() if count else None
    if average is not None and not math.isclose(average, printed, rel_tol=2e-5, abs_tol=1e-3):
        raise NotUnderstood(f"its average is not that of the count line ({average:g})", result.raw)


def _with_counts(figures: Figures, timed: _Count | None, before: _Count | None) -> Figures:
    if before is not None:
        figures = replace(figures, warmup_n=before.n)
    if timed is None:
        return figures
    if timed.n == 0:
        return replace(figures, n=0)
    low = timed.min if timed.min is not None else timed.curr
    high = timed.max if timed.max is not None else timed.curr
    return replace(figures, n=timed.n, std_us=timed.std, min_us=low, max_us=high,
                   p5_us=timed.p5, p50_us=timed.p50, p95_us=timed.p95)


def _litert(lines: Sequence[Line], counts: list[list[_Count]]) -> tuple[Figures, bool]:
    """Return the figures of the results block: milliseconds with two decimals, here x 1000."""
    titles = [index for index, line in enumerate(lines) if _TITLE.fullmatch(line.message)]
    if not titles:
        return Figures(resolution_us=10.0), False
    blocks = [_block(lines[start:end]) for start, end in zip(titles, [*titles[1:], len(lines)])]
    values = blocks[0]
    if any(block != values for block in blocks):
        return Figures(resolution_us=10.0, runs=2), False
    if not values.pop("closed") or "Inference (avg)" not in values:
        return Figures(resolution_us=10.0), False
    get = values.get
    timed = counts[-1][0] if len(counts) >= 2 else None
    for low, high in (("min", "avg"), ("avg", "max"), ("p5", "median"), ("median", "p95")):
        a, b = get(f"Inference ({low})"), get(f"Inference ({high})")
        if a is not None and b is not None and a > b:
            raise NotUnderstood("figures that contradict each other", lines[titles[0]].raw)
    p5, p50, p95 = (get(f"Inference ({name})") for name in ("p5", "median", "p95"))
    if timed is not None:
        p5, p50, p95 = timed.p5, timed.p50, timed.p95
    runs = values.get("Inference (avg) runs")
    figures = Figures(init_us=get("Model initialization"), first_us=get("Warmup (first)"),
                      warmup_n=_whole(get("Warmup (avg) runs")), warmup_avg_us=get("Warmup (avg)"),
                      n=_whole(runs), avg_us=get("Inference (avg)"), std_us=get("Inference (std)"),
                      min_us=get("Inference (min)"), max_us=get("Inference (max)"), p5_us=p5,
                      p50_us=p50, p95_us=p95, mem_init_mb=get("Init footprint"),
                      mem_overall_mb=get("Overall footprint"), mem_peak_mb=get("Peak footprint"),
                      resolution_us=10.0, runs=1)
    if figures.warmup_n is None:  # the Python tool leaves the warm-up out when there was none
        figures = replace(figures, warmup_n=0, first_us=figures.first_us or 0.0,
                          warmup_avg_us=0.0)
    return figures, True


def _block(lines: Sequence[Line]) -> dict[str, float | bool]:
    """Return the values of one block by their names; `closed` if its closing rule is there."""
    values: dict[str, float | bool] = {"closed": False}
    rules = 0
    for line in lines[1:]:
        if _RULE.fullmatch(line.message):
            rules += 1
            if len(values) > 1:
                values["closed"] = True
                break
            continue
        match = _BLOCK.fullmatch(line.message)
        if match is None:
            if line.message.startswith(_BLOCK_STARTS):
                raise NotUnderstood("a line of results that cannot be read", line.raw)
            continue
        step = 1000 if "footprint" not in match[1] else 1  # ms -> us; MB as they are
        values[match[1]] = round(number(match[2], line) * step, 6)
        if match[4]:
            values[f"{match[1]} runs"] = whole_number(match[4], line.raw)
    return values


def _memory(figures: Figures, lines: Sequence[Line]) -> Figures:
    for line in lines:
        match = _DELTA.fullmatch(line.message)
        if match:
            figures = replace(figures, mem_init_mb=number(match[1], line),
                              mem_overall_mb=number(match[2], line))
        match = _PEAK.fullmatch(line.message)
        if match:
            figures = replace(figures, mem_peak_mb=number(match[1], line))
    return figures


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def number(text: str, line: Line) -> float:
    """Return a printed number, also one in scientific notation.

    Raises:
      NotUnderstood: it is too large to be one.
    """
    value = float(text) if text.isascii() else math.nan
    if not math.isfinite(value):
        raise NotUnderstood(f"{text[:40]} is no figure", line.raw)
    return value
