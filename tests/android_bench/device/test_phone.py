"""Choosing, pushing, running, pulling, cleaning: a fake device whose shell is this machine's."""
from __future__ import annotations

import hashlib
import time
from pathlib import Path

import adbutils
import pytest

from android_bench.device.phone import Phone, choose
from android_bench.errors import DeviceTrouble, LinkLost
from tests.android_bench.fake_device import FakeClient, FakeDevice, World

LOST = adbutils.AdbError("shell output invalid", "", b"")


# --- choosing


@pytest.mark.parametrize("states, serial, kind, words", [
    ((), None, "none", "USB debugging"),
    ((), "X", "none", "X is not among: nothing"),
    (("device", "device"), None, "several", "--serial"),
    (("device", "unauthorized"), None, "several", "FAKE1 (unauthorized)"),
    (("unauthorized",), None, "unauthorized", "Allow USB debugging"),
    (("offline",), None, "offline", "adb reconnect"),
    (("recovery",), None, "offline", "recovery"),
    (("no",), None, "usb", "udev"),
    (("device",), "OTHER", "none", "FAKE0 (device)")])
def test_trouble_with_the_choice_is_said_with_its_remedy(world, states, serial, kind, words):
    devices = [FakeDevice(world, f"FAKE{k}") for k in range(len(states))]
    with pytest.raises(DeviceTrouble) as caught:
        choose(FakeClient(*devices, states=states), serial)
    assert caught.value.kind == kind and words in str(caught.value)
    assert caught.value.exit_code == 3


def test_one_device_or_the_one_named(world):
    one, other = FakeDevice(world, "A"), FakeDevice(world, "B")
    assert choose(FakeClient(one), None) is one
    assert choose(FakeClient(one, other), "B") is other
    assert choose(FakeClient(one, other, states=("offline", "device")), "B") is other


def test_server_that_does_not_answer(world):
    class Broken(FakeClient):
        def list(self):
            raise adbutils.AdbTimeout("connect to adb server timeout")

    with pytest.raises(DeviceTrouble) as caught:
        choose(Broken(), None)
    assert caught.value.exit_code == 3


# --- files


def test_push_compares_and_pushes_once(world, phone, device):
    phone.prepare()
    path = phone.push(b"model", "a.tflite")
    assert Path(path).read_bytes() == b"model"
    assert phone.sha256("a.tflite") == hashlib.sha256(b"model").hexdigest()
    device.damaged.add("a.tflite")  # a second push would be noticed
    phone.push(b"model", "a.tflite")
    with pytest.raises(DeviceTrouble, match="did not arrive whole"):
        phone.push(b"other", "a.tflite")


def test_pull(world, phone):
    phone.prepare()
    phone.push(b"\0\r\n\xff", "out.bin")
    assert phone.pull("out.bin") == b"\0\r\n\xff"
    assert phone.pull("missing.bin") is None


def test_disk_full(world, phone, device, monkeypatch):
    phone.prepare()
    df = world.root / "bin" / "df"
    df.write_text("#!/bin/sh\necho Filesystem 1K-blocks Used Available Use% Mounted\n"
                  "echo /dev/block/dm-5 1000 999 1 99% /data\n")
    df.chmod(0o755)
    with pytest.raises(DeviceTrouble, match="disk is full") as caught:
        phone.push(b"x" * 2000, "big.bin")
    assert caught.value.kind == "full"


def test_push_that_the_device_refuses(world, phone):
    phone.prepare()
    (Path(phone.folder) / "taken").mkdir()
    with pytest.raises(DeviceTrouble, match="cannot be written") as caught:
        phone.push(b"x", "taken")
    assert not isinstance(caught.value, LinkLost)


def test_folder_that_cannot_be_made(world, device):
    (world.root / "file").write_text("")
    with pytest.raises(DeviceTrouble, match="cannot be written"):
        Phone(device, str(world.root / "file" / "x")).prepare()


def test_clean_removes_our_folder_and_no_other(world, device, phone):
    phone.prepare()
    phone.push(b"x", "x")
    phone.clean()
    assert not Path(phone.folder).exists()
    phone.clean()  # nothing there: nothing to do
    other = world.root / "photos"
    other.mkdir()
    with pytest.raises(DeviceTrouble, match="was not made by this tool"):
        Phone(device, str(other)).clean()
    assert other.exists()


# --- runs


def test_run_keeps_streams_and_exit_code_apart(phone):
    phone.prepare()
    done = phone.run("r0", ["sh", "-c", "echo 'out $1'; echo err >&2; exit 3", "it's"], 20)
    assert (done.stdout, done.stderr, done.code) == ("out $1\n", "err\n", 3)


def test_a_run_that_does_not_end_is_ended(world, phone):
    phone.prepare()
    phone.push(b"#!/bin/sh\nsleep 30\n", "benchmark_model-x", executable=True)
    start = time.monotonic()
    with pytest.raises(DeviceTrouble, match="did not end within"):
        phone.run("r1", ["./benchmark_model-x"], 0.3)
    assert time.monotonic() - start < 10
    assert not list(Path(phone.folder).glob("*.pid"))


def test_a_run_that_was_killed_leaves_its_code(phone):
    phone.prepare()
    assert phone.run("r2", ["sh", "-c", "kill -9 $$"], 20).code == 137


def test_a_run_that_ends_without_its_code(phone, monkeypatch):
    monkeypatch.setattr("android_bench.device.phone._GONE_S", 0.3)
    phone.prepare()
    done = phone.run("r3", ["sh", "-c", "echo some; kill -9 $PPID"], 20)
    assert done.code is None and done.stdout == "some\n"


def test_leftovers_of_an_earlier_run_are_ended(world, phone):
    phone.prepare()
    phone.push(b"#!/bin/sh\nwhile :; do sleep 1; done\n", "benchmark_model-x", executable=True)
    phone.shell(f"cd {phone.folder} && (./benchmark_model-x > /dev/null 2>&1 & echo $! > r.pid)")
    assert phone.end_leftovers() == 1
    assert phone.end_leftovers() == 0


@pytest.mark.parametrize("fault", [
    LOST, EOFError("Expected 5 bytes, got 0"), adbutils.AdbError("device 'FAKE1' not found"),
    adbutils.AdbTimeout("adb read timeout"), TimeoutError("timed out"), BrokenPipeError(32, "x"),
    AssertionError(), adbutils.AdbError("device offline")])
def test_a_lost_link_is_one_error_that_may_be_repeated(phone, device, fault):
    device.faults = [("true", fault)]
    with pytest.raises(LinkLost) as caught:
        phone.shell("true")
    assert ";" in str(caught.value) and caught.value.exit_code == 3


def test_unauthorised_in_mid_run_is_no_lost_link(phone, device):
    device.faults = [("true", adbutils.AdbError("device unauthorized."))]
    with pytest.raises(DeviceTrouble) as caught:
        phone.shell("true")
    assert not isinstance(caught.value, LinkLost) and caught.value.kind == "unauthorized"


def test_recover_waits_for_the_device(world):
    device = FakeDevice(world, "127.0.0.1:5")
    client = FakeClient(device)
    phone = Phone(device, world.folder, client=client, reconnect_s=5)
    phone.prepare()
    device.faults = [("true", LOST), ("true", LOST)]
    phone.recover()
    assert client.connected == ["127.0.0.1:5"] * 3 and not device.faults


def test_recover_gives_up(phone, device):
    device.faults = [("true", LOST)] * 1000
    with pytest.raises(LinkLost):
        phone.recover()


def test_world_has_no_traps(world: World):
    assert world.calls() == []
