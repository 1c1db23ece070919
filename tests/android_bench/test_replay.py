"""Saved logs judged without a phone."""
from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from android_bench import bench
from android_bench.replay import replay
from android_bench.verdict import Budgets
from tests.android_bench import logs


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


@pytest.mark.parametrize("printed, threads", [("4", 4), ("1", 1), ("0", 1), ("-1", 0)])
def test_threads_are_counted_as_litert_takes_them(tmp_path, printed, threads):
    path = tmp_path / "run.txt"
    path.write_text(logs.stdout().replace("Num threads: [4]", f"Num threads: [{printed}]")
                    + logs.stderr())
    assert replay(path, Budgets()).threads == threads


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


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xff\xfe"])
def test_an_empty_log_is_no_lost_cable(tmp_path, capsys, content):
    path = tmp_path / "run.log"
    path.write_bytes(content)
    assert bench.main(["--replay", str(path)]) == 2
    said = capsys.readouterr().err
    assert "run.log is an empty log" in said and "cable" not in said and said.count("\n") == 1
    (tmp_path / "run.rc").write_text("255\n")  # with its exit code it is a run that was cut off
    assert bench.main(["--replay", str(path)]) == 3


@pytest.mark.parametrize("content", [
    bytes(range(256)) * 4, np.random.default_rng(3).integers(0, 256, 3000, np.uint8).tobytes(),
    b"\x1c\0\0\0TFL3" + bytes(400)])
def test_binary_input_never_reaches_the_terminal(tmp_path, capsys, content):
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    for mode in (["--replay", path], ["--replay-web", path], ["--compare", path, path]):
        assert bench.main([str(word) for word in mode]) == 2
        said = capsys.readouterr()
        assert said.out == "" and said.err.count("\n") == 1 and "model.tflite" in said.err
        assert said.err.rstrip("\n").isprintable() and "\ufffd" not in said.err
        assert len(said.err) < 400


@pytest.mark.parametrize("line", ["Num threads: [1]", "Graph: [other.tflite]", "Use gpu: [1]"])
def test_a_log_that_contradicts_itself(tmp_path, capsys, line):
    first = "INFO: Use gpu: [0]\n" if line.startswith("Use") else ""
    text = logs.stdout(asked=first).replace("INFO: Loaded", f"INFO: {line}\nINFO: Loaded")
    assert bench.main(["--replay", saved(tmp_path, text, logs.stderr(), "0")]) == 2
    said = capsys.readouterr().err
    assert "run.stdout.txt: a log that contradicts itself" in said and line in said
    twice = logs.stdout() + logs.stdout(avg="201600").replace("threads: [4]", "threads: [1]")
    assert bench.main(["--replay", saved(tmp_path, twice, logs.stderr(), "0")]) == 1  # two runs
    assert "two results" in capsys.readouterr().out


@pytest.mark.parametrize("content, words", [
    ((logs.stderr() + logs.stdout()).encode() + logs.stdout(avg="150000", low=1000).encode(
        "utf-16-le"), "another encoding than the rest"),
    (json.dumps({"log": logs.stdout()}).encode(), "is JSON"),
    (json.dumps({"messages": logs.stdout().splitlines()}, indent=2).encode(), "is JSON"),
    (gzip.compress(logs.stdout().encode()), "compressed by gzip"),
    (b"<!doctype html><pre>" + logs.stdout().encode(), "web page")])
def test_logs_in_another_form(tmp_path, capsys, content, words):
    path = tmp_path / "run.log"
    path.write_bytes(content)
    assert bench.main(["--replay", str(path)]) == 2
    said = capsys.readouterr().err
    assert "run.log" in said and words in said and said.count("\n") == 1


def test_lines_that_end_with_cr_alone(tmp_path):
    path = tmp_path / "run.log"
    path.write_bytes((logs.stderr() + logs.stdout()).replace("\n", "\r").encode())
    assert bench.main(["--replay", str(path)]) == 0


def test_a_report_is_not_written_over_the_log(tmp_path, capsys):
    path = Path(saved(tmp_path, logs.stdout(), logs.stderr(), "0"))
    for read in (path, path.with_name("run.rc"), path.with_name("run.stderr.txt")):
        before = read.read_bytes()
        assert bench.main(["--replay", str(path), "--json", str(read)]) == 2
        assert "is read too" in capsys.readouterr().err and read.read_bytes() == before
    both = str(tmp_path / "x")
    assert bench.main(["--replay", str(path), "--json", both, "--markdown", both]) == 2
    assert "two outputs" in capsys.readouterr().err


def test_names_that_no_file_can_have(tmp_path, capsys):
    for name in ("y" * 300 + ".stdout.txt", "y" * 250 + ".log", "/".join(["d" * 200] * 30)):
        assert bench.main(["--replay", str(tmp_path / name)]) == 2
        said = capsys.readouterr().err
        assert "cannot read" in said and said.count("\n") == 1
    assert bench.main(["--replay", saved(tmp_path, logs.stdout(), logs.stderr(), "0"),
                       "--json", str(tmp_path / ("z" * 300))]) == 2
    assert "File name too long" in capsys.readouterr().err
