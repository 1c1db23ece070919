"""`python -m oace_tf.demo`: what it refuses, and its way from start to Ctrl-C."""
from __future__ import annotations

import importlib.util
import ipaddress
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from oace_tf.demo import __main__ as command
from oace_tf.errors import UsageError


def _refused(capfd: pytest.CaptureFixture[str], *argv: Any) -> str:
    assert command.main([str(one) for one in argv]) == 2
    seen = capfd.readouterr()
    lines = [line for line in seen.err.splitlines() if "INFO" not in line]
    assert seen.out == "" and len(lines) == 1 and lines[0].startswith(f"{command.PROG}: error: ")
    return lines[0]


def test_loopback_unless_told_otherwise() -> None:
    args = command.parse_args([])
    assert args.host == "127.0.0.1" and command.is_loopback(args.host)
    listener = command.listen(args.host, 0)
    assert listener.getsockname()[0] == "127.0.0.1"
    listener.close()
    assert command.is_loopback("localhost") and command.is_loopback("::1")
    assert not command.is_loopback("0.0.0.0") and not command.is_loopback("my-computer")


def test_addresses() -> None:
    assert command.url("127.0.0.1", 7860) == "http://127.0.0.1:7860/"
    assert command.url("0.0.0.0", 1) == "http://127.0.0.1:1/"
    assert command.url("::", 1) == "http://[::1]:1/"


def test_the_address_for_the_phone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert command.phone_addresses("127.0.0.1") == command.phone_addresses("my-computer") == []
    for found in map(ipaddress.ip_address, command.phone_addresses("::")):
        assert not found.is_loopback and not found.is_unspecified

    class Wired(socket.socket):
        """A socket of a machine with one address of IPv4 and none of IPv6."""

        def connect(self, address: Any) -> None:
            """Send nothing; there is no way out by IPv6."""
            if self.family == socket.AF_INET6:
                raise OSError("no route")

        def getsockname(self) -> Any:
            """Return the address of the network's card."""
            return ("192.168.7.21", 40000)

    monkeypatch.setattr(socket, "socket", Wired)
    assert command.phone_addresses("0.0.0.0") == command.phone_addresses("::") == ["192.168.7.21"]


def test_the_next_port_where_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    first = command.listen("127.0.0.1", 0)
    taken = first.getsockname()[1]
    monkeypatch.setattr(command, "FIRST_PORT", taken)
    second = command.listen("127.0.0.1", None)
    assert taken < second.getsockname()[1] < taken + command.PORTS
    with pytest.raises(UsageError, match=f"port {taken}.*--port"):
        command.listen("127.0.0.1", taken)
    first.close()
    second.close()


def test_refuses(capfd: pytest.CaptureFixture[str], tiny_int8: Path, tmp_path: Path,
                 monkeypatch: pytest.MonkeyPatch) -> None:
    assert "70000" in _refused(capfd, "--model", tiny_int8, "--port", 70000)
    assert "--host" in _refused(capfd, "--model", tiny_int8, "--host", "no such host")
    assert "--port" in _refused(capfd, "--port", "abc")
    assert "threads" in _refused(capfd, "--model", tiny_int8, "--threads", 0)
    assert "none.tflite" in _refused(capfd, "--model", tmp_path / "none.tflite")
    assert "none.tflite" in _refused(capfd, "--model", tiny_int8, "--float",
                                     tmp_path / "none.tflite")
    assert "encoder" in _refused(capfd, "--model", tiny_int8, "--decoder", tiny_int8)
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec",
                        lambda name: None if name == "uvicorn" else found(name))
    assert "pip install" in _refused(capfd)


def test_help_ends_with_an_example_that_parses(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--help"])
    assert ended.value.code == 0
    last = capfd.readouterr().out.strip().splitlines()[-1]
    assert last.startswith("example: python -m oace_tf.demo ")
    args = command.parse_args(last.split()[4:])
    assert args.no_browser and args.port == 8000


def test_no_text_browser_takes_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not command.has_screen()
    monkeypatch.setenv("DISPLAY", ":0")
    assert command.has_screen()


def test_the_float_file_is_found_only_where_it_belongs(tmp_path: Path, tiny_int8: Path,
                                                       tiny_float32: Path,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("oace_tf.segmenter.DEFAULT_MODEL", tiny_int8)
    assert command.open_engine(command.parse_args([])).float_model is None
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "oace_float32.tflite").write_bytes(tiny_float32.read_bytes())
    belongs = command.open_engine(command.parse_args([])).float_model
    assert belongs is not None and not belongs.quantized
    monkeypatch.setattr("oace_tf.segmenter.DEFAULT_MODEL", command.Path(
        command.__file__).resolve().parents[1] / "weights" / "oace_int8.tflite")
    assert command.open_engine(command.parse_args([])).float_model is None  # of other weights


def test_from_start_to_ctrl_c(tiny_int8: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "oace_tf.demo", "--no-browser", "--port", "0", "--model",
         str(tiny_int8)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().split()[0]
        with urlopen(f"{address}facts", timeout=30) as answer:
            facts = json.load(answer)
        assert facts["model"] == "tiny_int8.tflite" and facts["has_float"] is False
        with pytest.raises(OSError):  # from elsewhere there is nobody
            socket.create_connection((_other_address(), int(address.split(":")[2].strip("/"))), 2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0 and err == ""  # also of the runtime
    finally:
        process.kill()
        process.communicate()


def _other_address() -> str:
    """Return another address than the loopback's first at which a wildcard would answer."""
    return "127.0.0.2"


NPM = """#!/bin/sh
[ "$1" = ci ] && exit 0
[ -n "$FAIL" ] && { echo "why it failed" >&2; exit 1; }
mkdir -p "$5" && printf '%s' "$OACE_MODEL$OACE_DECODER" >"$5/service-worker.js"
"""


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a stand-in of npm first on the PATH; the real build is `npm run build` in web_app."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "npm").write_text(NPM)
    (folder / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_the_static_site_is_built_around_the_model(
        npm: None, tmp_path: Path, tiny_int8: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = tmp_path / "site"
    for _ in range(2):  # an earlier site is replaced
        assert command.main(["--static", str(site), "--model", str(tiny_int8)]) == 0
    assert (site / "service-worker.js").read_text() == str(tiny_int8.resolve())
    assert "http.server" in capsys.readouterr().out
    pair = Path(__file__).resolve().parents[3] / "web_app" / "test"
    encoder, decoder = pair / "encoder.tflite", pair / "decoder.tflite"
    assert command.main(["--static", str(site), "--model", str(encoder), "--decoder",
                         str(decoder)]) == 0
    assert (site / "service-worker.js").read_text() == f"{encoder}{decoder}"


def test_the_static_site_is_refused_in_one_line(
        npm: None, tmp_path: Path, tiny_int8: Path, capfd: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch) -> None:
    model = ("--model", tiny_int8)
    assert "none.tflite" in _refused(capfd, "--static", tmp_path / "a", "--model",
                                     tmp_path / "none.tflite")
    assert "holds something else" in _refused(capfd, "--static", tmp_path, *model)
    assert "no folder" in _refused(capfd, "--static", tiny_int8, *model)
    monkeypatch.setenv("FAIL", "yes")
    assert "why it failed" in _refused(capfd, "--static", tmp_path / "a", *model)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "Node.js" in _refused(capfd, "--static", tmp_path / "a", *model)
    monkeypatch.setattr("oace_tf.demo.static.APP", tmp_path / "none")
    assert "clone" in _refused(capfd, "--static", tmp_path / "a", *model)
