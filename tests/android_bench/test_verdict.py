"""Verdict, replay, reports, comparison."""
from __future__ import annotations

import json
import math
from pathlib import Path
from xml.etree import ElementTree

import pytest

from android_bench import bench, compare, reports
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
from oace_tf.errors import UsageError
from tests.android_bench import logs


def repetition(**changes: float) -> Repetition:
    values: dict = {"load_ms": 20.0, "first_ms": 300.0, "n": 20, "mean_ms": 200.0, "std_ms": 2.0}
    return Repetition("ok", "", **{**values, **changes})


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
    row = judge("s", [repetition(), Repetition(outcome, "why")], Budgets(1e9, 1e9))
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


# --- replay


def saved(folder: Path, stdout: str, stderr: str = "", code: str = "", name: str = "run") -> str:
    (folder / f"{name}.stdout.txt").write_text(stdout)
    (folder / f"{name}.stderr.txt").write_text(stderr)
    if code:
        (folder / f"{name}.rc").write_text(code)
    return str(folder / f"{name}.stdout.txt")


CUT = logs.stdout().split("INFO: Inference timings")[0]
GPU = "INFO: Use gpu: [1]\n"


@pytest.mark.parametrize("stdout, stderr, code, expected", [
    (logs.stdout(), logs.stderr(), "0", 0),
    (logs.stdout(avg="251000", high=300000), logs.stderr(), "0", 1),
    (logs.stdout(init_us=26000), logs.stderr(), "0", 1),
    (logs.stdout(asked=GPU), logs.stderr(), "0", 1),
    (logs.stdout(n=0), logs.stderr(), "0", 1),
    (CUT, logs.GPU_FAILS, "1", 1),
    (CUT, logs.stderr(), "0", 3),
    (CUT, logs.stderr(), "255", 3),
    ("", "error: device offline\n", "1", 3),
    ("what is this\n", "", "0", 2),
    (logs.stdout(), logs.stderr(), "zero", 2)])
def test_replay_exit_codes(tmp_path, capsys, stdout, stderr, code, expected):
    assert bench.main(["--replay", saved(tmp_path, stdout, stderr, code)]) == expected
    said = capsys.readouterr()
    assert bool(said.err) == (expected in (2, 3)) and "Traceback" not in said.err
    assert said.err.count("\n") <= 1


def test_replay_of_a_merged_log_and_of_utf16(tmp_path, capsys):
    path = tmp_path / "merged.log"
    path.write_bytes((logs.stderr() + logs.stdout()).replace("\n", "\r\n").encode("utf-16"))
    assert bench.main(["--replay", str(path)]) == 0
    (tmp_path / "merged.rc").write_text("1\n")
    assert bench.main(["--replay", str(path)]) == 1
    assert bench.main(["--replay", str(tmp_path / "none.log")]) == 2


def test_replay_budgets(tmp_path):
    path = saved(tmp_path, logs.stdout(), logs.stderr(), "0")
    assert bench.main(["--replay", path, "--budget-ms", "201"]) == 1
    assert bench.main(["--replay", path, "--budget-ms", "202"]) == 0
    assert bench.main(["--replay", path, "--load-budget-ms", "20"]) == 1


@pytest.mark.data
@pytest.mark.parametrize("case", logs.recorded() or [None], ids=str)
def test_replay_of_recorded_cases(case):
    if case is None:
        pytest.skip("OACE_DATA is not set, or holds no benchmark_logs")
    folder = logs.folder()
    assert folder is not None
    stem = folder / f"{case.row['id']}_{case.row['name']}"
    path = stem.with_name(stem.name + ".stdout.txt")
    if not path.is_file():
        path = stem.with_name(stem.name + ".log")
    outcome, row = case.row["outcome"], case.row
    expected = {"truncated": 3, "n/a": 2}.get(outcome, 1)
    if outcome == "failed" and row["format"] == "none" and "/bin/sh" not in row["error"]:
        expected = 3  # adb's own words
        if row["name"].startswith(("push_", "pull_")):
            expected = 3
    if outcome == "ok":
        unproven = row["delegation"] == "unknown" and row["requested"]
        within = float(row["avg_us"]) <= 250e3 and float(row["init_us"]) <= 25e3
        expected = 0 if within and not unproven else 1
    assert bench.main(["--replay", str(path)]) == expected


RESULT = next(line for line in logs.stdout().splitlines() if "Inference timings" in line) + "\n"
THREADS = "INFO: Num threads: [4]\n"
NO_THREADS = logs.stdout().replace(THREADS, "")


@pytest.mark.parametrize("text, command, expected, words", [
    (RESULT, "", 1, "with how many threads"), (RESULT + RESULT, "", 1, "with how many threads"),
    ("01-02 03:04:05.678  1  2 I tflite  : " + RESULT, "", 1, "with how many threads"),
    (THREADS + RESULT, "", 1, "unit and delegate"), (logs.stderr() + RESULT, "", 1, "threads"),
    (NO_THREADS + logs.stderr(), "", 1, "threads"),
    (logs.stderr() + THREADS + RESULT, "", 0, ""), (logs.stdout(), "", 0, "which delegate took"),
    (RESULT, "./benchmark_model --graph=m.tflite --num_threads=4", 0, "which delegate took"),
    (RESULT, "./benchmark_model --graph=m.tflite", 0, "which delegate took"),
    (RESULT, "ls", 1, "threads"), (RESULT, "./benchmark_model --graph=m.tflite --use_gpu=true", 1,
                                   "may have run on the CPU"),
    (logs.stdout(), "./benchmark_model --graph=m.tflite --num_threads=2", 1, "4 threads, the com")])
def test_results_without_what_they_are_of_are_no_result(tmp_path, capsys, text, command, expected,
                                                        words):
    (tmp_path / "one.txt").write_text(text)
    if command:
        (tmp_path / "one.cmd").write_text(command)
    assert bench.main(["--replay", str(tmp_path / "one.txt")]) == expected
    said = capsys.readouterr().out
    assert words in said and ("NOT within" in said) == bool(expected)


@pytest.mark.parametrize("threads", ["²", "4" * 5000, "--5", "1025", "four", "٤", "-7"])
def test_threads_that_cannot_be_read(tmp_path, capsys, threads):
    path = tmp_path / "a\u202e.txt"
    path.write_text(logs.stdout().replace("Num threads: [4]", f"Num threads: [{threads}]"))
    assert bench.main(["--replay", str(path)]) == 2
    said = capsys.readouterr().err
    assert "a\\u202e.txt: a number" in said and "; replay the log as" in said and len(said) < 900
    assert said.count("\n") == 1


@pytest.mark.parametrize("code", ["--5", "²", "9" * 5000, "1.5", "0x1"])
def test_exit_codes_that_are_none(tmp_path, capsys, code):
    assert bench.main(["--replay", saved(tmp_path, logs.stdout(), logs.stderr(), code)]) == 2
    assert "run.rc holds no exit code" in capsys.readouterr().err


# --- reports


ROWS = [judge("int8-cpu-4", [repetition(), repetition(mean_ms=210.0)], Budgets(), model="int8",
              unit="cpu", threads=4, allowed=("battery",)),
        judge("int8-gpu|<x>", [Repetition("not_delegated", "gpu took no node\x00")], Budgets())]


def test_reports_say_the_same(tmp_path, capsys):
    files = {name: str(tmp_path / name) for name in ("out.json", "out.md", "out.xml")}
    path = saved(tmp_path, logs.stdout(), logs.stderr(), "0")
    assert bench.main(["--replay", path, "--json", files["out.json"], "--markdown",
                       files["out.md"], "--junit", files["out.xml"]]) == 0
    report = json.loads(Path(files["out.json"]).read_text())
    assert report["passed"] is True and report["rows"][0]["mean_ms"] == 201.5
    assert "not measured" in report["whole_answer"]
    assert "201.50" in Path(files["out.md"]).read_text()
    assert "201.50" in capsys.readouterr().out
    suite = ElementTree.parse(files["out.xml"]).getroot()
    assert suite.get("failures") == "0" and suite.get("tests") == "2"


def test_every_row_shows_what_was_allowed():
    for text in (reports.table(ROWS), reports.markdown(ROWS, {}, True)):
        assert "int8-cpu-4 [battery]" in text and "in spite of: battery" in text


def test_table_and_markdown_keep_their_columns():
    assert "int8-gpu\\|&lt;x>" in reports.markdown(ROWS, {}, False)
    lines = [line for line in reports.markdown(ROWS, {}, False).splitlines()
             if line.startswith("| int8")]
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1


def test_junit_of_failures_and_trouble():
    suite = ElementTree.fromstring(reports.junit(ROWS, False, "the link was lost"))
    assert (suite.get("failures"), suite.get("errors")) == ("1", "1")
    passing = ElementTree.fromstring(reports.junit(ROWS, True))
    assert (passing.get("failures"), passing.get("skipped")) == ("0", "1")
    failure = suite.find("testcase/failure")
    assert failure is not None and "took no node" in (failure.get("message") or "")


def test_device_trouble_leaves_reports_for_ci(tmp_path, capsys):
    path = saved(tmp_path, CUT, logs.stderr(), "0")
    xml, out = tmp_path / "r.xml", tmp_path / "r.json"
    assert bench.main(["--replay", path, "--junit", str(xml), "--json", str(out)]) == 3
    assert ElementTree.parse(xml).getroot().get("errors") == "1"
    assert "lost" in json.loads(out.read_text())["trouble"]


# --- comparing


def report(mean: float, std: float = 2.0, spread: float = 1.0, **about: object) -> dict:
    row = judge("int8-cpu-4", [repetition(mean_ms=mean, std_ms=std),
                               repetition(mean_ms=mean + spread, std_ms=std)], Budgets())
    return json.loads(reports.as_json(reports.as_dict([row], about, True)))


@pytest.mark.parametrize("old, new, verdict", [
    ({"mean": 200}, {"mean": 201}, "within noise"),
    ({"mean": 200}, {"mean": 210}, "slower"),
    ({"mean": 210}, {"mean": 200}, "faster"),
    ({"mean": 200, "spread": 15.0}, {"mean": 210}, "within noise"),
    ({"mean": 200, "std": 40.0}, {"mean": 210}, "within noise")])
def test_difference_against_noise(old, new, verdict):
    found = compare.compare(report(**old), report(**new))
    assert [entry.verdict for entry in found] == [verdict]


def test_compare_refuses_other_devices_and_damaged_reports():
    here = report(200, device={"model": "A"})
    with pytest.raises(UsageError, match="different device"):
        compare.compare(here, report(200, device={"model": "B"}))
    broken = report(200)
    broken["rows"][0]["repetitions"] = []
    with pytest.raises(UsageError, match="damaged"):
        compare.compare(report(200), broken)


def test_compare_command(tmp_path, capsys):
    for name, mean in (("a", 200), ("b", 220)):
        (tmp_path / f"{name}.json").write_text(json.dumps(report(mean)))
    one, other = str(tmp_path / "a.json"), str(tmp_path / "b.json")
    assert bench.main(["--compare", one, other]) == 1
    assert "slower" in capsys.readouterr().out
    assert bench.main(["--compare", other, one]) == 0
    for text in ("{", "[]", '{"rows": [], "version": 99}'):
        (tmp_path / "c.json").write_text(text)
        assert bench.main(["--compare", one, str(tmp_path / "c.json")]) == 2
