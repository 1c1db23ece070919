"""Rebuild check: the same bytes pass, others fail; wrong weights and images are named."""
from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from export import rebuild_check
from oace_tf import fileio
from oace_tf.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
FILES = {"int8": "oace_int8.tflite", "float32": "oace_float32.tflite"}


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """Return a report of two small files."""
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"weights")
    told: dict[str, Any] = {kind: {"path": name, "sha256": fileio.sha256_bytes(kind.encode())}
                            for kind, name in FILES.items()}
    told |= {"weights": {"path": str(weights), "sha256": fileio.sha256_file(weights)},
             "recipe": "plain", "calibration": {"sha256": "ab" * 32},
             "settings": {"seed": 3, "max_points": 7, "size": 64, "threads": 1},
             "versions": {"python": "0.1"}}
    path = tmp_path / "report.json"
    path.write_text(json.dumps(told))
    return path


def check(report: Path, change: bytes = b"", images: str = "ab" * 32, **more: Any) -> int:
    """Check a report with a maker that writes what the report has, plus `change` in one file."""
    seen = {}

    def make(given: argparse.Namespace, folder: Path) -> Any:
        seen.update(vars(given))
        for kind, name in FILES.items():
            (folder / name).write_bytes(kind.encode() + (change if kind == "int8" else b""))
        return SimpleNamespace(calibration={"sha256": images})

    code = rebuild_check.run(report, argparse.Namespace(weights=None, threads=2, **more), make)
    assert (seen["seed"], seen["max_points"], seen["size"], seen["threads"]) == (3, 7, 64, 2)
    assert seen["recipe"] == "plain" and seen["float16"] is False
    return code


def test_the_same_files_pass(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(report) == 0
    shown = capsys.readouterr().out
    assert shown.count("the same") == 2 and shown.endswith("passed\n")


def test_another_file_fails(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(report, change=b"!") == 1
    shown = capsys.readouterr().out
    assert "int8     ANOTHER FILE" in shown and "float32  the same" in shown
    assert "python: 0.1 then" in shown and shown.endswith("not passed\n")


def test_other_weights_and_images_are_named(report: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="calibrated on images"):
        check(report, images="cd" * 32)
    (tmp_path / "weights.safetensors").write_bytes(b"others")
    with pytest.raises(UsageError, match="give those with --weights"):
        check(report)
    (tmp_path / "weights.safetensors").unlink()
    with pytest.raises(UsageError, match="are not here"):
        check(report)


@pytest.mark.parametrize("change, fault", [
    ({"int8": None}, "int8 has no SHA-256"),
    ({"float32": {"sha256": "ab"}}, "float32 has no SHA-256"),
    ({"weights": {"sha256": "ab" * 32}}, "weights has no path"),
    ({"settings": {"seed": 3, "max_points": True, "size": 64}}, "settings has no max_points"),
    ({"settings": 7}, "settings has no seed"),
    ({"recipe": 1}, "names no recipe"),
    ({"calibration": []}, "nothing of the calibration"),
    ({"float16": True}, "float16 is no object"),
    ({"versions": ["keras"]}, "versions are no words"),
    ({"versions": {"keras": [3]}}, "versions are no words"),
])
def test_what_is_missing_is_named(report: Path, change: dict[str, Any], fault: str) -> None:
    report.write_text(json.dumps(json.loads(report.read_text()) | change))
    with pytest.raises(UsageError, match=f"is no report of export/quantize.py: .*{fault}"):
        check(report)


@pytest.mark.parametrize("content", ("{}", "[]", '{"passed": true}'))
def test_no_report_is_one_line_without_assertions(tmp_path: Path, content: str) -> None:
    """`python -O` removes every assert: what a user gives must be refused all the same."""
    path = tmp_path / "bogus.json"
    path.write_text(content)
    code = ("import argparse, pathlib, sys\n"
            "from export import rebuild_check\n"
            "from oace_tf.errors import guarded\n"
            "sys.exit(guarded(lambda: rebuild_check.run(pathlib.Path(sys.argv[1]), "
            "argparse.Namespace(weights=None), None), 'quantize'))\n")
    done = subprocess.run([sys.executable, "-O", "-c", code, str(path)], capture_output=True,
                          text=True, check=False, cwd=ROOT)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "is no report of export/quantize.py" in done.stderr
