"""The browser's benchmark in the same verdict table; `web_record.json` is Chromium 156's."""
from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from android_bench import bench, web
from android_bench.verdict import Budgets, percentile
from oace_tf.errors import UsageError

RECORD = json.loads(Path(__file__).with_name("web_record.json").read_text(encoding="utf-8"))
WIDE = ("--budget-ms", "1e6", "--load-budget-ms", "1e6")


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[Any], Path]:
    def _saved(record: Any) -> Path:
        path = tmp_path / "record.json"
        path.write_text(json.dumps(record), encoding="utf-8")
        return path
    return _saved


@pytest.fixture
def record() -> dict[str, Any]:
    return copy.deepcopy(RECORD)


def _refused(capsys: pytest.CaptureFixture[str], path: Path) -> str:
    assert bench.main(["--replay-web", str(path)]) == 2
    seen = capsys.readouterr()
    assert seen.out == "" and seen.err.count("\n") == 1
    assert seen.err.startswith("python android_bench/bench.py: error: ")
    return seen.err


def test_the_verdict_of_a_real_record(saved, record, tmp_path, capsys) -> None:
    path, report = saved(record), tmp_path / "report.json"
    assert bench.main(["--replay-web", str(path), *WIDE, "--json", str(report),
                       "--markdown", str(tmp_path / "report.md"),
                       "--junit", str(tmp_path / "report.xml")]) == 0
    table = capsys.readouterr().out
    assert "web-wasm-1" in table and "not to be compared with native figures" in table
    assert "not in this build (no WebGPU adapter in this browser): web-webgpu" in table
    found = json.loads(report.read_text())
    assert "Chrome" in found["device"]["model"] and found["device"]["cores"] == 2
    assert found["models"]["int8"]["sha256"] == record["model"]["sha256"]
    first, way = found["rows"][0], record["backends"][0]
    assert first["status"] == "within" and first["unit"] == "wasm" and first["threads"] == 1
    assert first["median_ms"] == pytest.approx(percentile(way["runs_ms"], 0.5))
    assert first["p90_ms"] == pytest.approx(percentile(way["runs_ms"], 0.9))
    assert (first["load_ms"], first["first_ms"]) == (way["load_ms"], way["first_ms"])
    assert found["rows"][2]["status"] == "not in this build"


def test_the_budgets_are_those_of_the_phone(saved, record, capsys) -> None:
    for way in record["backends"][:2]:
        way.update(load_ms=24.0, runs_ms=[249.0] * 30)
    assert bench.main(["--replay-web", str(saved(record))]) == 0
    record["backends"][0]["load_ms"] = record["backends"][1]["load_ms"] = 26.0
    assert bench.main(["--replay-web", str(saved(record))]) == 1
    assert "load 26.00 ms, budget 25 ms" in capsys.readouterr().out
    for way in record["backends"][:2]:
        way.update(load_ms=24.0, runs_ms=[251.0] * 30)
    assert bench.main(["--replay-web", str(saved(record))]) == 1
    assert "mean 251.00 ms, budget 250 ms" in capsys.readouterr().out


def test_a_way_that_answers_otherwise_is_no_result_and_is_said(saved, record, capsys) -> None:
    """A graphics processor that is fast and wrong does not pass."""
    gpu = {**record["backends"][0], "name": "webgpu", "accelerator": "webgpu"}
    gpu["runs_ms"] = [5.0] * 30
    mask = {"name": "mixed", "bytes": 262144, "differing_bytes": 31868, "largest": 90, "pixels": 12}
    gpu["masks"], record["backends"] = [mask], [gpu]
    assert bench.main(["--replay-web", str(saved(record)), *WIDE]) == 0
    seen = capsys.readouterr().out
    assert "31868 of 262144 bytes differ" in seen
    assert "12 pixels are on the other side of one half" in seen
    mask["pixels"] = 2622
    assert bench.main(["--replay-web", str(saved(record)), *WIDE]) == 1
    seen = capsys.readouterr().out
    assert "answers otherwise than the desk: 1.0 % of a mask's pixels" in seen


def test_what_failed_and_what_was_not_compared(saved, record, capsys) -> None:
    record["backends"][0] = {"name": "wasm-1", "accelerator": "wasm", "threads": 1,
                             "status": "failed", "reason": "out of memory"}
    record["backends"][1]["masks"] = []
    assert bench.main(["--replay-web", str(saved(record)), *WIDE]) == 0
    seen = capsys.readouterr().out
    assert "web-wasm-1: out of memory" in seen and "no golden ones of this file" in seen


def test_refuses_other_files(saved, record, tmp_path, capsys) -> None:
    assert "cannot read" in _refused(capsys, tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    assert "not valid JSON" in _refused(capsys, tmp_path / "bad.json")
    others: list[Any] = [[], 3, {}, {"rows": []}]
    for other in others:
        assert "not a record of the browser's benchmark" in _refused(capsys, saved(other))
    assert "version 2, expected 1" in _refused(capsys, saved({**record, "version": 2}))
    assert "holds no measurement" in _refused(capsys, saved({**record, "backends": []}))
    for key in ("device", "model", "backends"):
        assert "damaged" in _refused(capsys, saved({**record, key: None}))
    for key, value in (("load_ms", -1), ("first_ms", "3"), ("runs_ms", []), ("runs_ms", [True]),
                       ("masks", [{}]), ("status", "fine"), ("threads", None)):
        broken = copy.deepcopy(record)
        broken["backends"][0][key] = value
        assert "damaged" in _refused(capsys, saved(broken))
    (tmp_path / "nan.json").write_text(json.dumps(record).replace("139", "NaN", 1))
    text = json.dumps({**record, "backends": [{**record["backends"][0], "load_ms": float("nan")}]})
    (tmp_path / "nan.json").write_text(text)
    assert "damaged" in _refused(capsys, tmp_path / "nan.json")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_cut_and_changed_records_give_rows_or_one_error(tmp_path_factory, data) -> None:
    text = json.dumps(RECORD)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    patch = data.draw(st.sampled_from(["", "0", "-1", "null", "[]", "{}", '"', "1e999", "true"]))
    path = tmp_path_factory.getbasetemp() / "changed.json"
    path.write_text(text[:start] + patch + text[end:], encoding="utf-8")
    try:
        rows, about = web.replay(path, Budgets())
    except UsageError:
        return
    assert rows and about["device"]
