"""Every recorded case of OACE_DATA/benchmark_logs gives the values of its index.csv."""
from __future__ import annotations

import random

import pytest

from android_bench.errors import NotUnderstood
from android_bench.log.parse import Record, parse_log
from tests.android_bench.logs import Case, recorded

pytestmark = pytest.mark.data
CASES = recorded()
FIGURES = ("init_us", "first_us", "warmup_n", "warmup_avg_us", "n", "avg_us", "std_us", "min_us",
           "max_us", "p5_us", "p50_us", "p95_us", "mem_init_mb", "mem_overall_mb", "mem_peak_mb")
if not CASES:
    pytest.skip("OACE_DATA is not set, or holds no benchmark_logs", allow_module_level=True)

RESULTS = [case for case in CASES if case.row["outcome"] in ("ok", "not_delegated")]
SEPARATE = [case for case in CASES if case.stdout and case.stderr and case.row["format"] != "none"]


def parse(case: Case) -> Record:
    return parse_log(case.stdout, case.stderr, case.exit_code, case.command)


def joined(values: list[object]) -> str:
    return ";".join(dict.fromkeys(str(value) for value in values if value is not None))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_values_are_those_of_the_index(case: Case):
    row = case.row
    if row["outcome"] == "n/a":  # a device list, a file pulled: no benchmark, and it says so
        with pytest.raises(NotUnderstood, match="no line of this text is of a benchmark tool"):
            parse(case)
        return
    record = parse(case)
    replaced = record.delegation.replacements
    found = {"format": record.format, "outcome": record.outcome,
             "delegation": record.delegation.state,
             "requested": ";".join(record.delegation.requested),
             "delegate": record.delegation.delegate,
             "nodes_replaced": joined([entry.replaced for entry in replaced]),
             "nodes_total": joined([entry.total for entry in replaced]),
             "partitions": joined([entry.partitions for entry in replaced])}
    expected = {key: row[key] for key in found}
    expected["delegation"] = row["delegation"] or "unknown"
    assert found == expected
    figures = {key: getattr(record.figures, key) for key in FIGURES}
    assert figures == {key: float(row[key]) if row[key] else None for key in FIGURES}
    if row["layout"] in ("logcat", "pty-crlf"):
        assert record.layout == row["layout"]


@pytest.mark.parametrize("case", [case for case in CASES if case.row["error"]], ids=str)
def test_reason_holds_the_error(case: Case):
    record = parse(case)
    words = {"no text on the error (stderr thrown away), exit code 1": "no text on the error",
             "not the TFLite tool: TensorFlow benchmark, no Init": "another tool of the same name",
             "no answer; client killed after 6 s": "does not answer"}
    first = case.row["error"].split(" | ")[0]
    wanted = words.get(first, first)
    if wanted.startswith(("ERROR: [", "RuntimeError: ERROR: [")) and "]" in wanted:
        wanted = wanted.rsplit("] ", 1)[-1]  # the source line differs from build to build
    if " benchmark_litert_model: " in wanted:
        wanted = wanted.split(" benchmark_litert_model: ")[1]
    assert wanted in record.reason


@pytest.mark.parametrize("case", [case for case in CASES if case.row["warning"]], ids=str)
def test_warnings_are_kept(case: Case):
    record = parse(case)
    for warning in case.row["warning"].split(" | "):
        assert any(warning.split(": ", 1)[1] in kept for kept in record.warnings + record.errors)


def same(one: Record, other: Record) -> bool:
    keys = ("figures", "outcome", "delegation", "format")
    return all(getattr(one, key) == getattr(other, key) for key in keys)


@pytest.mark.parametrize("case", SEPARATE, ids=str)
def test_merged_and_pty_forms_give_the_same(case: Case):
    record = parse(case)
    code, command = case.exit_code, case.command
    assert same(record, parse_log(case.stdout + case.stderr, "", code, command))
    assert same(record, parse_log(case.stderr + case.stdout, "", code, command))
    through_pty = (case.stderr + case.stdout).replace("\r\n", "\n").replace("\n", "\r\n")
    assert same(record, parse_log(through_pty, "", code, command))


@pytest.mark.parametrize("case", [case for case in RESULTS if case.row["format"] == "classic"
                                  and case.row["layout"] == "separate"], ids=str)
def test_logcat_form_gives_the_same(case: Case):
    """The tool's lines, written as logcat writes them; profile tables are cut there."""
    record = parse(case)
    levels = {"ERROR": "E", "WARN": "W", "WARNING": "W"}
    rows = []
    for line in (case.stdout + case.stderr).splitlines():
        level, _, message = line.partition(": ")
        if level in ("INFO", "VERBOSE", *levels):
            rows.append(f"11-21 11:09:28.859  2826  2826 {levels.get(level, 'I')} tflite  : "
                        f"{message}\n")
    assert same(record, parse_log("".join(rows), "", case.exit_code, case.command))


@pytest.mark.parametrize("case", RESULTS, ids=str)
def test_a_cut_log_never_gives_other_figures(case: Case):
    whole = parse(case).figures
    rng = random.Random(case.row["id"])
    last = max(case.stdout.rfind("Inference timings"), 0)
    ends = rng.sample(range(last, len(case.stdout)), min(12, len(case.stdout) - last))
    for end in [rng.randrange(len(case.stdout)), *ends]:
        try:
            record = parse_log(case.stdout[:end], case.stderr, 0, case.command)
        except NotUnderstood:
            continue
        if record.outcome in ("ok", "not_delegated"):
            assert (record.figures.avg_us, record.figures.n) == (whole.avg_us, whole.n), end


def test_profiles_add_up_to_the_average():
    profiled = [case for case in RESULTS if case.row["group"] == "profiling"
                and parse(case).profile]
    assert len(profiled) >= 8
    for case in profiled:
        record = parse(case)
        total = sum(row.avg_ms for row in record.profile)
        average = record.figures.avg_us
        assert average is not None and 0.75 * average <= 1000 * total <= 1.02 * average, str(case)


def test_a_profile_that_logcat_cut_is_left_out():
    cut = next(case for case in CASES if case.row["id"] == "181")
    assert parse(cut).profile == ()
