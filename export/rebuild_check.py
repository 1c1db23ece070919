"""`--check REPORT`: build again what a report tells of, and compare byte for byte."""
from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from export import report
from oace_tf import fileio
from oace_tf.errors import UsageError

_FILES = {"int8": "oace_int8.tflite", "float32": "oace_float32.tflite",
          "float16": "oace_float16.tflite"}


def run(path: Path, args: argparse.Namespace, make: Callable[[Any, Path], Any]) -> int:
    """Return 0 where every file of the report comes out again with its SHA-256, else 1.

    Args:
      path: a report.json.
      args: the command's; weights, images and data count where they are given.
      make: builds the files of some arguments in a folder and returns what was made.
    Raises:
      UsageError: no such report, or the weights or calibration images are not those of the report.
    """
    told = _read(path)
    given = _arguments(told, args, path)
    with tempfile.TemporaryDirectory() as folder:
        made = make(given, Path(folder))
        wanted, seen = told["calibration"].get("sha256"), made.calibration.get("sha256")
        if wanted != seen:
            raise UsageError(f"{path}: was calibrated on images of SHA-256 {str(wanted)[:12]}, here"
                             f" are those of {str(seen)[:12]}; give the same ones (--images DIR)")
        same = True
        for kind, name in _FILES.items():
            if kind in told:
                found = fileio.sha256_file(Path(folder) / name)
                equal = found == told[kind]["sha256"]
                same &= equal
                print(f"{kind:<8} {'the same' if equal else 'ANOTHER FILE'}: {found}"
                      + ("" if equal else f", the report has {told[kind]['sha256']}"))
    if not same:
        for line in _differences(told.get("versions", {}), report.versions()):
            print(line)
    print("passed" if same else "not passed")
    return 0 if same else 1


def _read(path: Path) -> dict[str, Any]:
    told = fileio.read_json(path)
    try:
        assert isinstance(told, dict)
        for kind in ("int8", "float32"):
            assert len(told[kind]["sha256"]) == 64
        assert {"seed", "max_points", "size"} <= set(told["settings"])
        assert told["recipe"] and told["weights"]["sha256"] and told["calibration"]
    except (AssertionError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: is no report of export/quantize.py") from error
    return told


def _arguments(told: Mapping[str, Any], args: argparse.Namespace, path: Path) -> argparse.Namespace:
    """Return the arguments that the report's build had, for what decides the files' bytes."""
    weights = args.weights or Path(told["weights"]["path"])
    if not weights.is_file():
        raise UsageError(f"{path}: its weights {weights} are not here; give --weights FILE")
    found = fileio.sha256_file(weights)
    if found != told["weights"]["sha256"]:
        raise UsageError(f"{weights}: has SHA-256 {found[:12]}, the report {path} was made of "
                         f"{told['weights']['sha256'][:12]}; give those with --weights FILE")
    settings = told["settings"]
    changed = {"weights": weights, "int8": True, "recipe": told["recipe"], "analyze": None,
               "seed": settings["seed"], "max_points": settings["max_points"],
               "size": settings["size"], "float16": "float16" in told, "record_statistics": False,
               "interface": []}  # the other interfaces' files follow from these
    return argparse.Namespace(**{**vars(args), **changed})


def _differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return what took part in the build in another version, one line each."""
    return [f"{name}: {before.get(name, 'none')} then, {now.get(name, 'none')} now"
            for name in sorted(set(before) | set(now)) if before.get(name) != now.get(name)]
