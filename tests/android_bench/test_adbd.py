"""The whole command against a real adb server and a real adbd on loopback.

adbd is built by tests/android_bench/adbd/build.sh (Debian 12); without it these tests are skipped.
The "device" is this machine with Android's commands as scripts, and a stand-in for the tool: the
genuine Android program needs a phone.
"""
from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import adbutils
import pytest

from android_bench import bench
from android_bench.device import phone
from tests.android_bench.fake_device import World

pytestmark = [
    pytest.mark.slow,
    # adbutils leaves the socket of a refused connection to the collector when it starts the server
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket"),
]
BUILD = Path(__file__).with_name("adbd") / "build.sh"


def adbd_folder() -> Path | None:
    """Return the folder with adbd and adbd-auth, None if it was not built."""
    done = subprocess.run(["bash", str(BUILD), "--cached"], capture_output=True, text=True,
                          check=False)
    return Path(done.stdout.strip()) if done.returncode == 0 else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Lab:
    """An adb server of its own, and daemons that come and go."""

    def __init__(self, folder: Path, world: World) -> None:
        self.folder, self.world = folder, world
        self.client = adbutils.AdbClient(socket_timeout=10)
        self.daemons: dict[str, subprocess.Popen] = {}

    def start(self, name: str = "adbd", port: int = 0) -> str:
        """Start a daemon; return its serial."""
        port = port or free_port()
        env = {**self.world.environment(), "ADBD_PORT": str(port)}
        serial = f"127.0.0.1:{port}"
        self.daemons[serial] = subprocess.Popen(
            [self.folder / name], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True)
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return serial
            time.sleep(0.05)
        raise AssertionError("adbd did not listen within 5 s")

    def connect(self, name: str = "adbd") -> str:
        """Start a daemon and connect to it; return its serial."""
        serial = self.start(name)
        self.client.connect(serial, timeout=10)
        return serial

    def stop(self, serial: str) -> None:
        """Let a daemon die, as when the phone restarts."""
        daemon = self.daemons.pop(serial)
        daemon.send_signal(signal.SIGCONT)
        daemon.kill()
        daemon.wait()

    def end(self) -> None:
        """End everything that was started."""
        for serial in list(self.daemons):
            self.stop(serial)
        self.client.server_kill()


@pytest.fixture
def lab(world: World, tmp_path: Path, monkeypatch) -> Iterator[Lab]:
    """Return a lab whose adb server listens on a port of its own and knows no other device."""
    folder = adbd_folder()
    if folder is None:
        pytest.skip(f"no adbd on this machine: {BUILD.relative_to(BUILD.parents[3])} builds it "
                    "(Debian 12)")
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(free_port()))
    monkeypatch.setenv("ADB_LOCAL_TRANSPORT_MAX_PORT", "5553")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TMPDIR", str(home))
    found = Lab(folder, world)
    yield found
    found.end()


@pytest.fixture
def command(lab: Lab, world: World, tiny_int8: Path, monkeypatch) -> Callable:
    """Return a function that runs the command on the lab's device."""
    monkeypatch.setattr(phone.Phone.__init__, "__kwdefaults__",
                        {**(phone.Phone.__init__.__kwdefaults__ or {}), "poll_s": 0.05,
                         "reconnect_s": 3.0, "timeout_s": 5.0})
    monkeypatch.setattr(bench, "open_client", lambda: phone.open_client(5.0))

    def run(*arguments: str) -> tuple[int, dict]:
        out = world.root / "report.json"
        out.unlink(missing_ok=True)
        code = bench.main([str(tiny_int8), "--benchmark-binary", str(world.tool()), "--device-dir",
                           world.folder, "--pause-s", "0", "--runs", "4", "--no-profile",
                           "--json", str(out), *arguments])
        return code, json.loads(out.read_text()) if out.exists() else {}
    return run


def after_start(world: World, act: Callable[[], object], calls: int = 1) -> threading.Thread:
    """Do something as soon as the tool was called so many times."""
    def wait() -> None:
        for _ in range(400):
            if len(world.calls()) >= calls:
                act()
                return
            time.sleep(0.02)
    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_push_run_pull_verdict(lab, world, command, tiny_float, tmp_path, capsys):
    import cv2
    import numpy as np
    data = tmp_path / "data" / "GrabCut"
    for name in ("data_GT", "boundary_GT"):
        (data / name).mkdir(parents=True)
        cv2.imwrite(str(data / name / "0.png"),
                    np.pad(np.full((20, 20), 255, np.uint8), 10)[..., None].repeat(3, 2))
    serial = lab.connect()
    code, report = command("--settings", "int8-cpu-4", "--settings", "int8-gpu", "--float",
                           str(tiny_float), "--accuracy", "1", "--data", str(tmp_path / "data"),
                           "--max-drop-points", "100", "--min-share", "0", "--clean")
    assert code == 0 and report["passed"] and report["device"]["serial"] == serial
    assert [row["status"] for row in report["rows"]] == ["within", "within"]
    assert report["accuracy"]["cpu"]["bytes_differ"] == 0
    assert not Path(world.folder).exists(), "--clean leaves nothing"
    assert "within budget" in capsys.readouterr().out


def test_over_budget_and_not_delegated(lab, world, command):
    lab.connect()
    world.scenario(mean_us=260000, gpu="fallback")
    code, report = command("--settings", "int8-cpu-4", "--settings", "int8-gpu")
    assert code == 1
    assert [row["status"] for row in report["rows"]] == ["over", "not_delegated"]


def test_link_lost_in_mid_run_and_back(lab, world, command):
    serial = lab.connect()
    world.scenario(sleep_s=1.0)
    thread = after_start(world, lambda: lab.client.disconnect(serial))
    code, report = command("--settings", "int8-cpu-4")
    thread.join()
    row = report["rows"][0]
    assert code == 0 and len(row["repetitions"]) == 2
    assert "a repetition was lost with the link and made again" in row["notes"]
    assert len(world.calls()) == 3


def test_device_gone_in_mid_run_keeps_what_is_finished(lab, world, command, capsys):
    serial = lab.connect()
    world.scenario(sleep_s=0.5)
    thread = after_start(world, lambda: lab.stop(serial), calls=2)
    code, report = command("--settings", "int8-cpu-4")
    thread.join()
    assert code == 3 and len(report["rows"][0]["repetitions"]) == 1
    error = [line for line in capsys.readouterr().err.splitlines()
             if line.startswith("python android_bench")]
    assert len(error) == 1 and ";" in error[0] and report["trouble"]


def test_a_daemon_that_does_not_answer(lab, world, command, capsys):
    serial = lab.connect()
    world.scenario(sleep_s=0.5)
    thread = after_start(world, lambda: lab.daemons[serial].send_signal(signal.SIGSTOP))
    code, _ = command("--settings", "int8-cpu-1", "--repetitions", "1")
    thread.join()
    assert code == 3 and "does not answer" in capsys.readouterr().err


def test_none_two_and_the_one_that_is_named(lab, world, command, capsys):
    assert command()[0] == 3
    assert "no device is connected" in capsys.readouterr().err
    one, other = lab.connect(), lab.connect()
    assert command()[0] == 3
    error = capsys.readouterr().err
    assert one in error and other in error and "--serial" in error
    assert world.calls() == []
    code, report = command("--settings", "int8-cpu-1", "--serial", other, "--budget-ms", "1000")
    assert code == 0 and report["device"]["serial"] == other
    assert command("--serial", "127.0.0.1:1")[0] == 3


def test_unauthorised(lab, world, command, capsys):
    serial = lab.start("adbd-auth")
    try:
        lab.client.connect(serial, timeout=3)
    except adbutils.AdbError:
        pass  # what it answers is of no account: the list of devices says it
    assert command()[0] == 3
    error = capsys.readouterr().err
    assert "has not authorised this computer" in error and "Allow USB debugging" in error


def test_genuine_program():
    """The arm64 Android program itself, under qemu-user with Android's system libraries."""
    if shutil.which("qemu-aarch64-static") is None or not os.environ.get("ANDROID_ROOT"):
        pytest.skip("benchmark_model is an arm64 Android program: no qemu-aarch64-static with an "
                    "Android system image (ANDROID_ROOT) here; it needs these, or a phone")
    from android_bench.device.binary import open_binary
    from android_bench.settings import flags_of
    path = Path(os.environ["ANDROID_ROOT"]) / "benchmark_model"
    path.write_bytes(open_binary(None).data)
    path.chmod(0o755)
    done = subprocess.run(["qemu-aarch64-static", "-L", os.environ["ANDROID_ROOT"], str(path),
                           "--help"], capture_output=True, text=True, timeout=120, check=False)
    assert "use_xnnpack" in flags_of(done.stdout + done.stderr)
