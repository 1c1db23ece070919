"""Rebuild check (`--check REPORT`): the files of a report built again and compared by SHA-256."""
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
    recorded = _read(path)
    arguments = _arguments(recorded, args, path)
    with tempfile.TemporaryDirectory() as folder:
        result = make(arguments, Path(folder))
        before, now = recorded["calibration"].get("sha256"), result.calibration.get("sha256")
        if before != now:
            raise UsageError(f"{path}: was calibrated on images of SHA-256 {str(before)[:12]}, here"
                             f" are those of {str(now)[:12]}; give the same ones (--images DIR)")
        same = True
        for kind, name in _FILES.items():
            if kind in recorded:
                sha256 = fileio.sha256_file(Path(folder) / name)
                equal = sha256 == recorded[kind]["sha256"]
                same &= equal
                print(f"{kind:<8} {'the same' if equal else 'ANOTHER FILE'}: {sha256}"
                      + ("" if equal else f", the report has {recorded[kind]['sha256']}"))
    if not same:
        for line in _differences(recorded.get("versions", {}), report.versions()):
            print(line)
    print("passed" if same else "not passed")
    return 0 if same else 1


def _read(path: Path) -> dict[str, Any]:
    """Return a report that holds what a build follows from.

    Raises:
      UsageError: it is missing, or something of that is not in it.
    """
    recorded = fileio.read_json(path)
    fault = _fault(recorded)
    if fault:
        raise UsageError(f"{path}: is no report of export/quantize.py: {fault}")
    return recorded


def _fault(recorded: Any) -> str:
    """Return what of a report is missing or of another form; empty where it is whole."""
    if not isinstance(recorded, dict):
        return "it is no JSON object"
    for kind in ("int8", "float32", "weights"):
        entry = recorded.get(kind)
        sha256 = entry.get("sha256") if isinstance(entry, dict) else None
        if not isinstance(sha256, str) or len(sha256) != 64:
            return f"{kind} has no SHA-256"
    if not isinstance(recorded["weights"].get("path"), str):
        return "weights has no path"
    settings = recorded.get("settings")
    for key in ("seed", "max_points", "size"):
        if not isinstance(settings, dict) or type(settings.get(key)) is not int:
            return f"settings has no {key}"
    if not isinstance(recorded.get("recipe"), str):
        return "it names no recipe"
    if not isinstance(recorded.get("calibration"), dict):
        return "it says nothing of the calibration"
    if "float16" in recorded and not isinstance(recorded["float16"], dict):
        return "float16 is no object"
    versions = recorded.get("versions", {})
    if not isinstance(versions, dict) or not all(isinstance(v, str) for v in versions.values()):
        return "versions are no words"
    return ""


def _arguments(
    recorded: Mapping[str, Any], args: argparse.Namespace, path: Path
) -> argparse.Namespace:
    """Return the arguments that the report's build had, for what decides the files' bytes."""
    weights = args.weights or Path(recorded["weights"]["path"])
    if not weights.is_file():
        raise UsageError(f"{path}: its weights {weights} are not here; give --weights FILE")
    sha256 = fileio.sha256_file(weights)
    if sha256 != recorded["weights"]["sha256"]:
        raise UsageError(f"{weights}: has SHA-256 {sha256[:12]}, the report {path} was made of "
                         f"{recorded['weights']['sha256'][:12]}; give those with --weights FILE")
    settings = recorded["settings"]
    changed = {"weights": weights, "int8": True, "recipe": recorded["recipe"], "analyze": None,
               "seed": settings["seed"], "max_points": settings["max_points"],
               "size": settings["size"], "float16": "float16" in recorded,
               "record_statistics": False, "interface": []}  # their files follow from these
    return argparse.Namespace(**{**vars(args), **changed})


def _differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return what took part in the build in another version, one line each."""
    return [f"{name}: {before.get(name, 'none')} then, {now.get(name, 'none')} now"
            for name in sorted(set(before) | set(now)) if before.get(name) != now.get(name)]
