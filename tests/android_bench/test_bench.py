"""The whole command on a fake device, with a stand-in for the tool."""
from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import adbutils
import numpy as np
import pytest

from android_bench import accuracy, bench
from android_bench.device import phone
from android_bench.settings import Setting
from tests.android_bench.fake_device import FakeClient, FakeDevice, World

LOST = adbutils.AdbError("shell output invalid", "", b"")


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


def test_order_alternates(world, command):
    command("--settings", "int8-cpu-?", "--no-profile")
    threads = [next(part for part in call if "num_threads" in part)[-1] for call in world.calls()]
    assert threads == ["1", "2", "4", "4", "2", "1"]


def test_profile_comes_from_a_run_of_its_own(world, command):
    _, report = command("--settings", "int8-cpu-4")
    assert len(world.calls()) == 3
    profile = rows(report)["int8-cpu-4"]["repetitions"][0]["profile"]
    assert profile[0] == ["Convolution (NHWC, QC8) IGEMM", 12, 150.5]


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


def test_throttled_while_it_ran(world, command):
    world.scenario(heat=str(world.root / "thermal"))
    code, report = command("--settings", "int8-cpu-4", "--repetitions", "1", "--no-profile")
    assert code == 1 and rows(report)["int8-cpu-4"]["status"] == "throttled"


def test_a_repetition_lost_with_the_link_is_made_again(world, device, command):
    device.faults = [("if [ -f int8-cpu-4.0.rc", LOST), ("true", LOST)]
    code, report = command("--settings", "int8-cpu-4", "--no-profile")
    row = rows(report)["int8-cpu-4"]
    assert code == 0 and len(row["repetitions"]) == 2
    assert "a repetition was lost with the link and made again" in row["notes"]
    assert len(world.calls()) >= 2, "the lost one may have been ended before it wrote its line"


def test_finished_repetitions_are_kept_when_the_device_is_gone(world, device, command, capsys):
    device.faults = [("if [ -f int8-cpu-2.1.rc", LOST), *[("true", LOST)] * 500]
    code, report = command("--settings", "int8-cpu-?", "--no-profile")
    assert code == 3 and "link" in report["trouble"] and "lost" in capsys.readouterr().err
    counts = [len(row["repetitions"]) for row in report["rows"]]
    assert counts == [1, 1, 2] and "1 of 2 repetitions" in report["rows"][0]["notes"]


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


# --- accuracy


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Return a data folder with three photographs and masks in the layout of GrabCut."""
    import cv2
    rng = np.random.default_rng(5)
    for name in ("data_GT", "boundary_GT"):
        (tmp_path / "data" / "GrabCut" / name).mkdir(parents=True)
    for k in range(3):
        image = rng.integers(0, 256, (40, 50, 3), np.uint8)
        mask = np.zeros((40, 50), np.uint8)
        mask[10:30, 10 + k:35] = 255
        cv2.imwrite(str(tmp_path / "data" / "GrabCut" / "data_GT" / f"{k}.png"), image)
        cv2.imwrite(str(tmp_path / "data" / "GrabCut" / "boundary_GT" / f"{k}.png"), mask)
    return tmp_path / "data"


def test_accuracy(world, command, labelled, tiny_float, tiny_int8):
    arguments = ("--settings", "int8-cpu-4", "--repetitions", "1", "--no-profile", "--data",
                 str(labelled), "--float", str(tiny_float), "--max-drop-points", "100",
                 "--min-share", "0")
    code, report = command(*arguments, "--settings", "int8-gpu", "--accuracy", "2")
    assert code == 0 and set(report["accuracy"]) == {"cpu", "gpu"}
    cpu = report["accuracy"]["cpu"]
    assert (cpu["n"], cpu["bytes"], cpu["bytes_differ"]) == (2, 2 * 32 * 32, 0)
    assert cpu["miou_device"] == cpu["miou_host_int8"]
    world.scenario(flip=5)
    _, report = command(*arguments, "--accuracy", "1")
    assert report["accuracy"]["cpu"]["bytes_differ"] == 5


def test_link_lost_while_masks_are_compared(world, device, command, labelled, tiny_float, capsys):
    arguments = ("--settings", "int8-cpu-4", "--repetitions", "1", "--no-profile", "--data",
                 str(labelled), "--float", str(tiny_float), "--max-drop-points", "100",
                 "--min-share", "0", "--accuracy", "1")
    device.faults = [("if [ -f accuracy.rc", LOST)]
    code, report = command(*arguments)
    assert code == 0 and report["accuracy"]["cpu"]["n"] == 1
    device.faults = [("if [ -f accuracy.rc", LOST), *[("true", LOST)] * 500]
    code, report = command(*arguments)
    assert code == 3 and report["trouble"] and report["rows"][0]["status"] == "within"
    assert not report["passed"]


@pytest.mark.parametrize("scenario, words", [
    ({"no_output": True}, "output file was not written"),
    ({"unknown": ["input_layer"]}, "did not take an option")])
def test_masks_that_do_not_come_back_fail_the_gate(world, command, labelled, tiny_float, scenario,
                                                   words):
    world.scenario(**scenario)
    code, report = command("--settings", "int8-cpu-4", "--repetitions", "1", "--no-profile",
                           "--float", str(tiny_float), "--accuracy", "2", "--data", str(labelled))
    assert code == 1 and not report["passed"] and words in report["failures"][0]


def test_gate():
    gate = accuracy.Gate()
    assert gate.failures(0.80, 0.80, "x") == [] and gate.failures(0.795, 0.80, "x") == []
    assert len(gate.failures(0.78, 0.80, "x")) == 2
    assert len(gate.failures(0.487, 0.50, "x")) == 2
    assert len(gate.failures(0.485, 0.494, "x")) == 0
    assert len(gate.failures(float("nan"), 0.8, "x")) == 2
    assert len(gate.failures(0.8, float("nan"), "x")) == 2


def test_colons_in_names_are_doubled_in_the_map_alone():
    inputs = [accuracy.Layer("in:0", "image", (1, 2, 2, 3)),
              accuracy.Layer("p", "points", (1, 4, 3))]
    flags = accuracy.input_flags(inputs, {"image": "i.bin", "points": "p.bin"}, "o.bin")
    assert flags["input_layer"] == "in:0,p"
    assert flags["input_layer_shape"] == "1,2,2,3:1,4,3"
    assert flags["input_layer_value_files"] == "in::0:i.bin,p:p.bin"


def test_a_file_of_gestures_is_given_an_empty_mask_before():
    inputs = [accuracy.Layer(name, name, shape) for name, shape in (
        ("image", (1, 8, 8, 3)), ("points", (1, 4, 3)), ("previous", (1, 8, 8, 1)))]
    pushed, lines = {}, []
    link = SimpleNamespace(
        push=lambda data, name: pushed.update({name: data}), remove=lambda names: None,
        run=lambda tag, line, limit: lines.append(" ".join(line)) or SimpleNamespace(
            stdout="", stderr="", code=1))
    desk = accuracy._Desk(np.ones((8, 8, 3), np.uint8), np.ones((4, 3), np.float32),
                          np.ones((8, 8), np.uint8), 0.5, 0.5)
    setting = Setting("int8-cpu-1", "int8", "cpu", 1, ())
    assert accuracy._mask(link, "tool", "x.tflite", setting, inputs, desk)[0] is None
    assert pushed == {"image.bin": bytes([1]) * 192, "points.bin": desk.points.tobytes(),
                      "previous.bin": bytes(64)}
    assert "previous:previous.bin" in lines[0] and "1,8,8,3:1,4,3:1,8,8,1" in lines[0]
