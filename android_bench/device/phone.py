"""Phone on the cable, through adbutils and adb's own server: choose, push, run, pull, clean.

Nothing here trusts an exit code of adb: a run is detached on the device, writes its log and its
exit code into files there, and is over when the file with the code is there. So a lost link loses
no finished run and is never taken for one. Every call has a timeout: a daemon that sleeps never
answers.
"""
from __future__ import annotations

import hashlib
import re
import shlex
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import adbutils

from android_bench.device.adb_messages import classify, in_words
from android_bench.errors import DeviceTrouble, LinkLost

FOLDER = "/data/local/tmp/oace_bench"
TIMEOUT_S = 20.0
_OURS = ".oace_bench"  # a file that marks the folder as one that --clean may remove
_GONE_S = 3.0  # between start and pid, or pid and code, a run is gone for a moment
_PROGRAM = "benchmark_model"  # in the name of every program that is pushed and run
_RETRY = ("none", "offline", "lost", "frozen", "server", "refused")
# adbutils reads what the server sends with assert, struct and int: all of them fail at a lost link
_FAULTS = (adbutils.AdbError, OSError, EOFError, AssertionError, struct.error, ValueError,
           subprocess.SubprocessError)
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that ended: both streams and the exit code, None if it was ended without one."""

    stdout: str
    stderr: str
    code: int | None


def open_client(timeout_s: float = TIMEOUT_S) -> Any:
    """Return the client of adb's server; the server is started if it does not run."""
    return adbutils.AdbClient(socket_timeout=timeout_s)


def choose(client: Any, serial: str | None) -> Any:
    """Return the adbutils device to use.

    Args:
      client: as `open_client` gives it.
      serial: which one; None if there is only one.
    Raises:
      DeviceTrouble: none, several, not authorised, offline, no right to open it: with the remedy.
    """
    with _in_words("the list of devices"):
        devices = [(info.serial, info.state) for info in client.list()]
    listed = ", ".join(f"{name} ({state})" for name, state in devices)
    if serial is None and len(devices) > 1:
        raise DeviceTrouble("several", in_words("several", listed))
    states = dict(devices) if serial is None else {k: v for k, v in devices if k == serial}
    if not states:
        asked = f"{serial} is not among: {listed or 'nothing'}" if serial else "the list is empty"
        raise DeviceTrouble("none", in_words("none", asked))
    name, state = next(iter(states.items()))
    if state != "device":
        kind = {"unauthorized": "unauthorized", "authorizing": "unauthorized", "no": "usb"}
        problem = kind.get(state, "offline")
        raise DeviceTrouble(problem, in_words(problem, f"{name} is in state {state}"))
    return client.device(serial=name)


class Phone:
    """One device and a folder of our own on it.

    Attributes:
      folder: the folder on the device.
      serial: of the device.
    """

    def __init__(self, device: Any, folder: str = FOLDER, *, client: Any = None,
                 timeout_s: float = TIMEOUT_S, poll_s: float = 0.5, reconnect_s: float = 30.0,
                 sleep: Callable[[float], None] = time.sleep,
                 clock: Callable[[], float] = time.monotonic) -> None:
        """Make it; nothing is asked of the device yet.

        Args:
          device: an adbutils device.
          folder: absolute, on the device; made when it is needed.
          client: of adb's server, to connect again to a device on the network.
          timeout_s: of every single call.
          poll_s: between two looks at a run.
          reconnect_s: how long a lost device is waited for.
          sleep, clock: in seconds.
        """
        self.folder = folder.rstrip("/")
        self.serial = device.serial
        self._device, self._client = device, client
        self._timeout_s, self._poll_s, self._reconnect_s = timeout_s, poll_s, reconnect_s
        self._sleep, self._clock = sleep, clock

    def shell(self, command: str, what: str = "a command") -> tuple[int, str]:
        """Return exit code and standard output of a short command.

        Args:
          command: for the device's shell.
          what: the command in words, for messages.
        Raises:
          LinkLost: the link broke, or no answer came in time.
        """
        with _in_words(what):
            done = self._device.shell2(command, timeout=self._timeout_s, v2=True)
        if "No space left on device" in done.stderr:
            raise DeviceTrouble("full", in_words("full", done.stderr))
        return done.returncode, done.stdout.replace("\r\n", "\n")

    def prepare(self) -> None:
        """Make the folder and end what an earlier run has left running there.

        Raises:
          DeviceTrouble: it cannot be made or written.
        """
        quoted = shlex.quote(self.folder)
        code, _ = self.shell(f"mkdir -p {quoted} && echo ours > {quoted}/{_OURS}", "the folder")
        if code:
            raise DeviceTrouble("permission", in_words("permission", self.folder))
        self.end_leftovers()

    def end_leftovers(self) -> int:
        """Return how many runs of ours still went on and were ended; they would disturb the next.

        A program on the device outlives the adb client that started it.
        """
        _, out = self.shell(
            f"for f in {shlex.quote(self.folder)}/*.pid; do [ -f \"$f\" ] || continue; "
            f"p=$(cat \"$f\"); if grep -q {_PROGRAM} /proc/$p/cmdline 2>/dev/null; then "
            "kill -9 $p && echo ended; fi; rm -f \"$f\"; done", "the clean-up")
        return out.count("ended")

    def sha256(self, name: str) -> str:
        """Return the SHA-256 of a file in our folder, computed on the device; empty if missing.

        Raises:
          DeviceTrouble: the device has no `sha256sum`.
        """
        path = shlex.quote(f"{self.folder}/{name}")
        code, out = self.shell(f"[ -f {path} ] || exit 44; sha256sum {path}", "a checksum")
        if code == 44:
            return ""
        match = _SHA256.match(out)
        if code or match is None:
            raise DeviceTrouble("damaged", f"the device cannot compute a SHA-256 (exit code {code}"
                                "); it must have sha256sum, as every Android since 6 does")
        return match[0]

    def push(self, data: bytes, name: str, executable: bool = False) -> str:
        """Return the path on the device of a file that is there, whole, whatever was there before.

        Args:
          data: its bytes.
          name: its name in our folder.
          executable: whether it shall be run.
        Raises:
          DeviceTrouble: the disk is full, or the file does not arrive whole.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        if self.sha256(name) != sha256:
            self.check_space(len(data))
            try:
                with _in_words(f"pushing {name}"):
                    self._device.sync.push(data, f"{self.folder}/{name}",
                                           mode=0o755 if executable else 0o644)
            except LinkLost as error:  # adbutils drops the device's words after FAIL
                self.check_space(len(data))
                if "FAIL" in str(error):
                    raise DeviceTrouble("permission", in_words(
                        "permission", f"{self.folder}/{name} was refused")) from error
                raise
            if self.sha256(name) != sha256:
                self.check_space(len(data))
                raise DeviceTrouble("damaged", f"{name} did not arrive whole on the device; check "
                                    "the cable and run again")
        if executable:
            self.shell(f"chmod 755 {shlex.quote(f'{self.folder}/{name}')}", "a permission")
        return f"{self.folder}/{name}"

    def pull(self, name: str) -> bytes | None:
        """Return the bytes of a file in our folder, None if it is not there.

        The tool may leave an output file out without a word, or cut it when the disk is full.

        Raises:
          DeviceTrouble: what arrived is not what the device has.
        """
        sha256 = self.sha256(name)
        if not sha256:
            return None
        with _in_words(f"pulling {name}"):
            data = self._device.sync.read_bytes(f"{self.folder}/{name}")
        if hashlib.sha256(data).hexdigest() != sha256:
            raise DeviceTrouble("damaged", f"{name} did not arrive whole from the device; check "
                                "the cable and run again")
        return data

    def remove(self, names: Sequence[str]) -> None:
        """Remove files from our folder."""
        paths = " ".join(shlex.quote(f"{self.folder}/{name}") for name in names)
        self.shell(f"rm -f {paths}", "removing files")

    def run(self, job: str, arguments: Sequence[str], limit_s: float) -> Finished:
        """Run a program in our folder, detached, and return what it left.

        Args:
          job: name of the run; its files on the device begin with it.
          arguments: the program, relative to the folder, and its arguments.
          limit_s: after which it is ended.
        Raises:
          LinkLost: the link broke; the run may be repeated after `recover`.
          DeviceTrouble: it did not end within `limit_s`.
        """
        command = " ".join(map(shlex.quote, arguments))
        script = (f"cd {shlex.quote(self.folder)}\n"
                  f"sh -c 'echo $$ > {job}.pid; exec \"$0\" \"$@\"' {command} "
                  f"> {job}.out 2> {job}.err < /dev/null\n"
                  f"echo $? > {job}.tmp\nrm -f {job}.pid\nmv {job}.tmp {job}.rc\n")
        self.remove([f"{job}.{end}" for end in ("out", "err", "rc", "tmp", "pid")])
        self.push(script.encode(), f"{job}.sh")
        self.shell(f"cd {shlex.quote(self.folder)} && (nohup sh ./{job}.sh > /dev/null 2>&1 "
                   "< /dev/null &)", "the start of a run")
        code = self._wait(job, limit_s)
        texts = [(self.pull(f"{job}.{end}") or b"").decode("utf-8", "replace")
                 for end in ("out", "err")]
        return Finished(texts[0], texts[1], code)

    def insist(self, call: Callable[[], Any], tries: int = 3) -> Any:
        """Return what `call` gives; it is made again when the link was lost and came back.

        Raises:
          LinkLost: it was lost `tries` times, or did not come back.
        """
        for _ in range(tries - 1):
            try:
                return call()
            except LinkLost:
                self.recover()
        return call()

    def recover(self) -> None:
        """Wait for a lost device to come back and end what went on there meanwhile.

        Raises:
          LinkLost: it did not come back in time.
        """
        end = self._clock() + self._reconnect_s
        while True:
            try:
                self._reach()
                self.end_leftovers()
                return
            except LinkLost:
                if self._clock() > end:
                    raise
                self._sleep(min(1.0, self._reconnect_s / 10))

    def pause(self, seconds: float) -> None:
        """Wait, for the device to cool."""
        self._sleep(seconds)

    def clean(self) -> None:
        """Remove our folder from the device; another's folder is left alone.

        Raises:
          DeviceTrouble: the folder is not one that this tool made, or cannot be removed.
        """
        quoted = shlex.quote(self.folder)
        code, _ = self.shell(f"[ -d {quoted} ] || exit 0; [ -f {quoted}/{_OURS} ] || exit 45; "
                             f"rm -rf {quoted}", "removing the folder")
        if code:
            why = "was not made by this tool" if code == 45 else "cannot be removed"
            raise DeviceTrouble("permission", f"{self.folder} on the device {why}; remove it by "
                                "hand, or name another with --device-dir")

    def _reach(self) -> None:
        if self._client is not None and ":" in self.serial:  # on the network: adb forgets it
            with _in_words("connecting again"):
                self._client.connect(self.serial, timeout=self._timeout_s)
        self.shell("true", "the device")

    def _wait(self, job: str, limit_s: float) -> int | None:
        """Return the exit code that the run left, None if it ended without one."""
        end = self._clock() + limit_s
        gone_since = None
        path = shlex.quote(self.folder)
        while True:
            _, out = self.shell(f"cd {path}; if [ -f {job}.rc ]; then cat {job}.rc; "
                                f"elif [ -f {job}.pid ] && kill -0 $(cat {job}.pid); "
                                "then echo alive; else echo gone; fi 2>/dev/null", "a run")
            state = out.strip()
            if state.isdigit():
                return int(state)
            now = self._clock()
            if state != "gone":
                gone_since = None
            elif gone_since is None:
                gone_since = now
            elif now - gone_since > _GONE_S:
                return None
            if now > end:
                self.end_leftovers()
                raise DeviceTrouble("frozen", f"the run did not end within {limit_s:g} s and was "
                                    "ended; ask for fewer runs, or look at the phone")
            self._sleep(self._poll_s)

    def check_space(self, wanted: int) -> None:
        """Raise if fewer bytes than `wanted` are free where our folder is.

        Raises:
          DeviceTrouble: the disk is full.
        """
        _, out = self.shell(f"df -k {shlex.quote(self.folder)}", "the free space")
        fields = out.strip().splitlines()[-1].split() if out.strip() else []
        numbers = [field for field in fields[1:] if field.isdigit()]
        if len(numbers) >= 3 and int(numbers[2]) * 1024 < wanted:
            raise DeviceTrouble("full", in_words(
                "full", f"{int(numbers[2]) // 1024} MB free, {wanted / 2**20:.1f} MB wanted"))


@contextmanager
def _in_words(what: str) -> Iterator[None]:
    """Turn whatever adbutils raises at a lost link into `LinkLost` or `DeviceTrouble`."""
    try:
        yield
    except (adbutils.AdbTimeout, TimeoutError) as error:
        raise LinkLost(in_words("frozen", f"{what}: {error}"), "frozen") from error
    except _FAULTS as error:
        text = f"{what}: {error}" if str(error) else f"{what}: {type(error).__name__}"
        kind = classify(text) or "lost"
        kind = {"missing": "lost"}.get(kind, kind)
        if kind in _RETRY:
            raise LinkLost(in_words(kind, text), kind) from error
        raise DeviceTrouble(kind, in_words(kind, text)) from error
