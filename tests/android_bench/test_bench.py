"""The whole command on a fake device, with a stand-in for the tool."""
from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from android_bench import bench
from android_bench.device import phone
from tests.android_bench.fake_device import FakeClient, FakeDevice, World


@pytest.fixture
def command(world: World, device: FakeDevice, monkeypatch, tiny_int8):
    """Return a function that runs the command on the device and gives exit code and report."""
    monkeypatch.setattr(bench, "open_client", lambda: FakeClient(device))
    monkeypatch.setattr(phone.Phone.__init__, "__kwdefaults__",
                        {**(phone.Phone.__init__.__kwdefaults__ or {}), "poll_s": 0.02,
                         "reconnect_s": 0.2})

    def run(*arguments: str) -> tuple[int, dict]:
        out = world.root / "report.json"
        out.unlink(missing_ok=True)
        code = bench.main([str(tiny_int8), "--benchmark-binary", str(world.tool()), "--device-dir",
                           world.folder, "--pause-s", "0", "--json", str(out), "--runs", "4",
                           *arguments])
        return code, json.loads(out.read_text()) if out.exists() else {}
    return run


def rows(report: dict) -> dict[str, dict]:
    return {row["setting"]: row for row in report["rows"]}


def test_within_budget(world, command, capsys):
    world.scenario(by_threads={"1": 600000, "2": 330000, "4": 201500})
    code, report = command("--no-profile", "--threads", "1,2,4")
    assert code == 0 and report["passed"] and report["device"]["model"] == "samsung SM-S911B"
    found = rows(report)
    assert [found[f"int8-cpu-{k}"]["status"] for k in (1, 2, 4)] == ["over", "over", "within"]
    assert found["int8-gpu"]["status"] == "within"
    row = found["int8-cpu-4"]
    assert (row["mean_ms"], row["load_ms"], row["memory_mb"]) == (201.5, 21.0, 96.5)
    assert row["p90_ms"] is None and "p90" in row["notes"][0]
    assert len(row["repetitions"]) == 2 and row["repetitions"][0]["n"] == 4
    assert found["int8-npu"]["status"] == "not in this build"
    assert "load while the cache is written: 63.00 ms" in found["int8-cpu-4-cache"]["notes"]
    out = capsys.readouterr().out
    assert "within budget" in out and "whole answer: not measured" in out


@pytest.mark.parametrize("scenario, status", [
    ({"gpu": "fails"}, "failed"), ({"gpu": "fallback"}, "not_delegated"),
    ({"runs": 2}, "failed"), ({"unknown": ["use_gpu"]}, "unusable"), ({"runs": -1}, "failed")])
def test_no_result(world, command, scenario, status):
    world.scenario(**scenario)
    code, report = command("--settings", "int8-gpu", "--no-profile")
    assert code == 1 and rows(report)["int8-gpu"]["status"] == status
    assert len(world.calls()) == 1, "a setting that failed is not measured again"


def test_external_delegate_is_judged_by_its_name(world, command, tmp_path):
    library = tmp_path / "libQnnTFLiteDelegate.so"
    library.write_bytes(b"\x7fELF")
    arguments = ("--settings", "int8-npu", "--external-delegate", str(library), "--no-profile")
    code, report = command(*arguments)
    assert code == 0 and rows(report)["int8-npu"]["repetitions"][0]["delegate"] == "QnnDelegate"
    world.scenario(external="fallback")
    code, report = command(*arguments)
    assert code == 1 and rows(report)["int8-npu"]["status"] == "not_delegated"


@pytest.mark.parametrize("values, name", [({"battery": "10"}, "battery"),
                                          ({"power_save": "1"}, "power-save")])
def test_bad_conditions(world, command, values, name, capsys):
    world.set(**values)
    code, _ = command("--settings", "int8-cpu-4")
    assert code == 3 and f"--allow {name}" in capsys.readouterr().err
    assert world.calls() == []
    code, report = command("--settings", "int8-cpu-4", "--allow", name)
    assert code == 0 and rows(report)["int8-cpu-4"]["allowed"] == [name]


def test_wrong_abi_and_no_program_before_anything_is_pushed(world, command, tmp_path, capsys):
    elf = bytearray(64)
    elf[:6], elf[18] = b"\x7fELF\x02\x01", 62
    (tmp_path / "tool").write_bytes(elf)
    code, _ = command("--benchmark-binary", str(tmp_path / "tool"))
    assert code == 3 and "built for x86_64" in capsys.readouterr().err
    (tmp_path / "tool").write_text("no program")
    assert command("--benchmark-binary", str(tmp_path / "tool"))[0] == 2
    (tmp_path / "tool").write_text("#!/bin/sh\necho usage: other\n")
    assert command("--benchmark-binary", str(tmp_path / "tool"))[0] == 2
    assert "not benchmark_model" in capsys.readouterr().err


def test_usage_errors(tmp_path, command, capsys):
    assert command("--settings", "int8-tpu")[0] == 2
    assert bench.main([str(tmp_path / "none.tflite")]) == 2
    (tmp_path / "x.tflite").write_bytes(b"<html></html>")
    assert bench.main([str(tmp_path / "x.tflite")]) == 2
    assert command("--accuracy", "1")[0] == 2
    assert all(line.startswith("python android_bench/bench.py: error: ")
               for line in capsys.readouterr().err.strip().splitlines()
               if "int8" not in line)
    assert bench.main([]) == 2
    assert re.fullmatch("python android_bench/bench.py: error: name a .tflite file.*\n",
                        capsys.readouterr().err)


def test_clean(world, command, tiny_int8):
    command("--settings", "int8-cpu-1", "--clean", "--no-profile")
    assert not Path(world.folder).exists()
    assert bench.main(["--clean", "--device-dir", world.folder]) == 0


@pytest.mark.parametrize("flags, words", [
    (["--threads", "1,9999999999"], "expected a whole number"), (["--threads", "2000"], "at most"),
    (["--threads", "a,b"], "expected a whole number"), (["--runs", "9" * 5000], "whole number"),
    (["--warmup", "²"], "whole number"), (["--pause-s", "nan"], "a number from 0 on")])
def test_counts_that_cannot_be(capsys, flags, words):
    assert bench.main(["x.tflite", "--host", *flags]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1 and len(said) < 300


def test_a_damaged_file_is_named(tmp_path, capsys):
    (tmp_path / "cut.tflite").write_bytes(bytes(4) + b"TFL3")
    assert bench.main([str(tmp_path / "cut.tflite")]) == 2
    assert "cut.tflite is truncated or damaged" in capsys.readouterr().err
