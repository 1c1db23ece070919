"""A device for the tests: this machine's shell in a folder, with Android's commands as scripts.

`FakeDevice` has the face of an adbutils device; the same folder serves a real adbd.
"""
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import adbutils

STAND_IN = Path(__file__).with_name("stand_in.py")
PROPERTIES = {"ro.product.model": "SM-S911B", "ro.product.manufacturer": "samsung",
              "ro.soc.model": "SM8550", "ro.product.cpu.abi": "arm64-v8a",
              "ro.product.cpu.abilist": "arm64-v8a,armeabi-v7a", "ro.build.version.release": "14",
              "ro.build.version.sdk": "34"}
_SCRIPTS = {
    "getprop": 'cat "{root}/properties/$1" 2>/dev/null || echo',
    "settings": 'cat "{root}/power_save"',
    "dumpsys": 'case "$1" in battery) echo "Current Battery Service state:"; '
               'echo "  level: $(cat {root}/battery)"; echo "  scale: 100"; '
               'echo "  temperature: 291";; '
               'thermalservice) echo "IsStatusOverride: false"; '
               'echo "Thermal Status: $(cat {root}/thermal)";; esac',
    "taskset": 'shift; exec "$@"',
    "nohup": 'exec "$@"',
}


class World:
    """The folder behind a device: Android's commands, properties, health, the stand-in's role."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = str(root / "data" / "oace_bench")
        (root / "data").mkdir(parents=True)
        (root / "bin").mkdir()
        (root / "properties").mkdir()
        for name, text in PROPERTIES.items():
            (root / "properties" / name).write_text(text + "\n")
        for name, text in _SCRIPTS.items():
            path = root / "bin" / name
            path.write_text("#!/bin/sh\n" + text.replace("{root}", str(root)) + "\n")
            path.chmod(0o755)
        self.set(battery="87", thermal="0", power_save="0")
        self.scenario()

    def set(self, **values: str) -> None:
        """Set battery (per cent), thermal (status) or power_save (0, 1)."""
        for name, value in values.items():
            (self.root / name).write_text(value + "\n")

    def scenario(self, **values: Any) -> None:
        """Say what the stand-in does; see its docstring."""
        (self.root / "scenario.json").write_text(json.dumps(values))

    def tool(self) -> Path:
        """Return the stand-in as a program: a script with this interpreter and this world in it."""
        path = self.root / "benchmark_model"
        text = STAND_IN.read_text(encoding="utf-8").replace("@SCENARIO@",
                                                            str(self.root / "scenario.json"))
        path.write_text(f"#!{sys.executable}\n{text}", encoding="utf-8")
        path.chmod(0o755)
        return path

    def environment(self) -> dict[str, str]:
        """Return the environment of the device's shell."""
        return {**os.environ, "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}"}

    def calls(self) -> list[list[str]]:
        """Return the command lines that the stand-in was called with, without --help."""
        log = self.root / "calls.jsonl"
        lines = log.read_text().splitlines() if log.exists() else []
        return [json.loads(line) for line in lines]


class FakeDevice:
    """An adbutils device whose shell is this machine's; can lose its link."""

    def __init__(self, world: World, serial: str = "FAKE1") -> None:
        self.world, self.serial = world, serial
        self.sync = SimpleNamespace(push=self._push, read_bytes=self._read)
        self.faults: list[tuple[str, Exception]] = []  # (part of the next command, what it raises)
        self.damaged: set[str] = set()  # names of files that do not arrive whole

    def shell2(self, command: str, timeout: float, v2: bool) -> Any:
        """Run a command; or raise what is planned for it."""
        assert v2 and timeout > 0
        if self.faults and self.faults[0][0] in command:
            raise self.faults.pop(0)[1]
        done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=timeout,
                              env=self.world.environment(), check=False)
        return SimpleNamespace(returncode=done.returncode, stdout=done.stdout.decode(),
                               stderr=done.stderr.decode())

    def _push(self, data: bytes, path: str, mode: int) -> None:
        if Path(path).name in self.damaged:
            data = data[:-1]
        try:
            Path(path).write_bytes(data)
        except OSError as error:
            raise adbutils.AdbError("FAIL") from error
        Path(path).chmod(mode)

    def _read(self, path: str) -> bytes:
        return Path(path).read_bytes()


class FakeClient:
    """An adbutils client with a list of devices."""

    def __init__(self, *devices: FakeDevice, states: tuple[str, ...] = ()) -> None:
        self.devices, self.states = devices, states or ("device",) * len(devices)
        self.connected: list[str] = []

    def list(self) -> list[Any]:
        """Return serials and states."""
        return [SimpleNamespace(serial=device.serial, state=state)
                for device, state in zip(self.devices, self.states)]

    def device(self, serial: str) -> FakeDevice:
        """Return one of the devices."""
        return next(device for device in self.devices if device.serial == serial)

    def connect(self, serial: str, timeout: float) -> str:
        """Remember that a connection was asked for."""
        self.connected.append(serial)
        return f"connected to {serial}"
