"""Verdict, replay, reports, comparison."""
from __future__ import annotations

import math

import pytest

from android_bench.log.parse import parse_log
from android_bench.verdict import (
    Budgets,
    Repetition,
    check_options,
    from_record,
    from_times,
    judge,
    passed,
    percentile,
)
from tests.android_bench import logs


def repetition(**changes: float) -> Repetition:
    values: dict = {"load_ms": 20.0, "first_ms": 300.0, "n": 20, "mean_ms": 200.0, "std_ms": 2.0}
    return Repetition(outcome="ok", reason="", **{**values, **changes})


# --- judging


@pytest.mark.parametrize("changes, budgets, status", [
    ({}, Budgets(), "within"),
    ({"mean_ms": 250.0, "load_ms": 25.0}, Budgets(), "within"),
    ({"mean_ms": 250.1}, Budgets(), "over"),
    ({"load_ms": 25.1}, Budgets(), "over"),
    ({"load_ms": None}, Budgets(), "over"),
    ({"load_ms": 99.0}, Budgets.of(250, None), "within"),
    ({"mean_ms": 999.0}, Budgets.of(None, 25), "within"),
    ({"mean_ms": math.nan}, Budgets(), "unusable"),
    ({"mean_ms": None}, Budgets(), "unusable")])
def test_budgets(changes, budgets, status):
    assert judge("s", [repetition(**changes)], budgets).status == status


def test_with_neither_budget_250_and_25():
    assert Budgets.of(None, None) == Budgets(250.0, 25.0)
    assert Budgets.of(100, None) == Budgets(100, None)


def test_the_slowest_repetition_and_the_longest_load_count():
    row = judge("s", [repetition(load_ms=24.0), repetition(mean_ms=260.0)], Budgets())
    assert (row.status, row.mean_ms, row.load_ms) == ("over", 260.0, 24.0)


@pytest.mark.parametrize("outcome", ["failed", "not_delegated", "unusable", "truncated",
                                     "throttled", "unproven"])
def test_one_bad_repetition_makes_no_result(outcome):
    row = judge("s", [repetition(), Repetition(outcome=outcome, reason="why")], Budgets(1e9, 1e9))
    assert (row.status, row.reason, row.mean_ms) == (outcome, "why", None)
    assert not passed([row]) and not row.measured


def test_no_repetition_is_no_result():
    assert judge("s", [], Budgets()).status == "failed" and not passed([])


def test_float_rows_do_not_pass_for_the_int8_file():
    assert not passed([judge("float-cpu-1", [repetition()], Budgets(), model="float")])


def test_p90_from_single_runs_or_left_out_in_words():
    row = judge("s", [from_times(10.0, [90.0, *range(1, 12)])], Budgets())
    assert row.p90_ms == 10.0 and not row.notes
    row = judge("s", [repetition()], Budgets())
    assert row.p90_ms is None and "p90" in row.notes[0]
    assert percentile([3.0], 0.9) == 3.0 and percentile([0.0, 10.0], 0.9) == 9.0


def test_a_single_run_keeps_all_its_digits():
    text = logs.stdout(n=1, avg="5494756").replace("(avg): 5494756", "(avg): 5.49476e+06")
    assert from_record(parse_log(text, logs.stderr(), 0)).mean_ms == 5494.756


def test_gpu_that_nothing_shows_is_unproven():
    text = ("Inference timings in us: Init: 5, First inference: 8, Warmup (avg): 8, "
            "Inference (avg): 9\n")
    record = parse_log(text, "", 0, "./benchmark_model --use_gpu=true")
    row = judge("s", [from_record(record)], Budgets())
    assert row.status == "unproven" and "gpu" in row.reason


@pytest.mark.parametrize("line", ["WARN: Unconsumed cmdline flags: --use_npu=true",
                                  "WARN: Tensor # 1 is named right but flags call it wrong",
                                  "ERROR: XNNPack weight cache: could not open file ('/x')"])
def test_an_option_that_was_not_taken_makes_our_own_run_unusable(line):
    taken = from_record(parse_log(logs.stdout(), logs.stderr(), 0))
    assert check_options(taken).outcome == "ok"
    ignored = from_record(parse_log(logs.stdout() + line + "\n", logs.stderr(), 0))
    assert ignored.outcome == "ok" and check_options(ignored).outcome == "unusable"
