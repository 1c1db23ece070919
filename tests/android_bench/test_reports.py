"""Reports: table, Markdown and JUnit of the same rows."""
from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

from android_bench import bench, reports
from android_bench.verdict import Budgets, Repetition, absent, judge
from tests.android_bench import logs


def repetition(**changes: float) -> Repetition:
    values: dict = {"load_ms": 20.0, "first_ms": 300.0, "n": 20, "mean_ms": 200.0, "std_ms": 2.0}
    return Repetition(outcome="ok", reason="", **{**values, **changes})


def saved(folder: Path, stdout: str, stderr: str = "", code: str = "", name: str = "run") -> str:
    (folder / f"{name}.stdout.txt").write_text(stdout)
    (folder / f"{name}.stderr.txt").write_text(stderr)
    if code:
        (folder / f"{name}.rc").write_text(code)
    return str(folder / f"{name}.stdout.txt")


CUT = logs.stdout().split("INFO: Inference timings")[0]

ROWS = [judge("int8-cpu-4", [repetition(), repetition(mean_ms=210.0)], Budgets(), model="int8",
              unit="cpu", threads=4, allowed=("battery",)),
        judge("int8-gpu|<x>", [Repetition(outcome="not_delegated",
                                          reason="gpu took no node\x00")], Budgets())]


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


def report(mean: float, std: float = 2.0, spread: float = 1.0, **about: object) -> dict:
    row = judge("int8-cpu-4", [repetition(mean_ms=mean, std_ms=std),
                               repetition(mean_ms=mean + spread, std_ms=std)], Budgets())
    return json.loads(reports.as_json(reports.as_dict([row], about, True)))


def test_what_this_build_does_not_have_is_one_line():
    rows = [*ROWS, *(absent(name, "no such option", "int8", name, 1) for name in ("gpu", "npu")),
            absent("nnapi", "too new", "int8", "nnapi", 1)]
    for text in (reports.table(rows), reports.markdown(rows, {}, True)):
        assert text.count("not in this build") == 2
        assert "not in this build (no such option): gpu, npu\n" in text
    assert len(reports.table(rows).splitlines()) == len(reports.table(ROWS).splitlines()) + 2
    assert "on this machine" in reports.markdown(ROWS, {"whole_answer": "on this machine"}, True)


def test_one_report_goes_to_the_screen(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = saved(tmp_path, logs.stdout(), logs.stderr(), "0")
    for option, first in (("--markdown", "# Benchmark"), ("--json", "{"), ("--junit", "<")):
        assert bench.main(["--replay", path, option, "-"]) == 0
        assert capsys.readouterr().out.startswith(first)
    assert bench.main(["--replay", path, "--json", "-", "--markdown", "-"]) == 2
    assert "at most writes to stdout" in capsys.readouterr().err
    assert not (tmp_path / "-").exists()
