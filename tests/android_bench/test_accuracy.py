"""Masks of the phone against those of the desk."""
from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import adbutils
import numpy as np
import pytest

from android_bench import accuracy, bench
from android_bench.device import phone
from android_bench.settings import Setting
from oace_tf.errors import UsageError
from tests.android_bench.fake_device import FakeClient, FakeDevice, World

ROOT = Path(__file__).resolve().parents[2]
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

    def run(tag: str, line: list[str], limit: float) -> SimpleNamespace:
        lines.append(" ".join(line))
        return SimpleNamespace(stdout="", stderr="sh: ./tool: not found", code=127)

    link: Any = SimpleNamespace(push=lambda data, name: pushed.update({name: data}),
                                remove=lambda names: None, run=run)
    desk = accuracy._Desk(np.ones((8, 8, 3), np.uint8), np.ones((4, 3), np.float32),
                          np.ones((8, 8), np.uint8), 0.5, 0.5)
    setting = Setting(name="int8-cpu-1", model="int8", unit="cpu", threads=1, options=())
    assert accuracy._mask(link, "tool", "x.tflite", setting, inputs, desk)[0] is None
    assert pushed == {"image.bin": bytes([1]) * 192, "points.bin": desk.points.tobytes(),
                      "previous.bin": bytes(64)}
    assert "previous:previous.bin" in lines[0] and "1,8,8,3:1,4,3:1,8,8,1" in lines[0]


def test_files_of_two_kinds_are_refused_before_the_phone_is_touched(tiny_int8, tiny_float):
    accuracy.check_twins(tiny_int8, tiny_float)
    with pytest.raises(UsageError, match="give the float file of the same build"):
        accuracy.check_twins(ROOT / "oace_tf" / "weights" / "oace_int8.tflite", tiny_float)
