"""The campaign: order, repeats after a lost link, conditions."""
from __future__ import annotations

import json

import adbutils
import pytest

from android_bench import bench
from android_bench.device import phone
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


def test_order_alternates(world, command):
    command("--settings", "int8-cpu-?", "--no-profile")
    threads = [next(part for part in call if "num_threads" in part)[-1] for call in world.calls()]
    assert threads == ["1", "2", "4", "4", "2", "1"]


def test_profile_comes_from_a_run_of_its_own(world, command):
    _, report = command("--settings", "int8-cpu-4")
    assert len(world.calls()) == 3
    profile = rows(report)["int8-cpu-4"]["repetitions"][0]["profile"]
    assert profile[0] == ["Convolution (NHWC, QC8) IGEMM", 12, 150.5]


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
