"""Judge what a browser measured: the JSON that the button of web_app saves, as rows of the verdict.

Its figures are of WebAssembly or WebGPU in a browser, not of the native runtime: every row is named
web-... and says so. Every byte of a mask that differs from the golden one is said in words; a way
that puts more than 1 % of a mask's pixels on the other side of one half is no result.
"""
from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from android_bench.log.parse import FAILED, UNUSABLE
from android_bench.verdict import Budgets, Repetition, Row, absent, from_times, judge
from oace_tf.errors import UsageError
from oace_tf.fileio import read_bytes

FORMAT, VERSION = "oace web benchmark", 1
MAX_BYTES = 2**22
MOST_MOVED = 0.01  # share of a golden mask's pixels on the other side of one half
WHOLE_ANSWER = ("a time is one call from tensors to mask in the page's worker; resizing the "
                "photograph and the mask comes on top. Figures of a browser, not of the native "
                "runtime")


def replay(path: Path, budgets: Budgets) -> tuple[list[Row], dict[str, Any]]:
    """Return a row per way of the browser, and what the report shall say of it.

    Args:
      path: the record, JSON.
      budgets: to judge by.
    Raises:
      UsageError: the file cannot be read or is no such record.
    """
    record = _read(path)
    try:
        rows = [_row(way, budgets) for way in record["backends"]]
        device, model = record["device"], record["model"]
        about = {"device": {"model": str(device["user_agent"]), "cores": int(device["cores"]),
                            "cross_origin_isolated": bool(device["cross_origin_isolated"]),
                            "gpu": device["gpu"]},
                 "binary": {"source": str(record["runtime"]), "sha256": ""},
                 "models": {"int8": {"file": str(model["file"]), "sha256": str(model["sha256"])}},
                 "whole_answer": WHOLE_ANSWER, "log": str(path)}
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UsageError(f"{path} is damaged: {type(error).__name__} {error}; measure again and "
                         "save it with the button of the page") from error
    if not rows:
        raise UsageError(f"{path} holds no measurement; measure again")
    return rows, about


def _read(path: Path) -> dict[str, Any]:
    """Return the record; its figures are not looked at yet."""
    try:
        record = json.loads(read_bytes(path, MAX_BYTES))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise UsageError(f"{path} is not a record of the browser's benchmark; save one with the "
                         "button of the page")
    if record.get("version") != VERSION:
        raise UsageError(f"{path} is a record of version {record.get('version')!r}, expected "
                         f"{VERSION}; measure again with the page of this version")
    return record


def _row(way: Mapping[str, Any], budgets: Budgets) -> Row:
    name, unit, threads = f"web-{way['name']}", str(way["accelerator"]), int(way["threads"])
    status = way["status"]
    if status == "absent":
        return absent(name, str(way["reason"]), "int8", unit, threads)
    if status == "failed":
        repetition = Repetition(outcome=FAILED, reason=str(way["reason"]))
    elif status == "ok":
        repetition = _repetition(way)
    else:
        raise ValueError(f"status {status!r}")
    return judge(name, [repetition], budgets, model="int8", unit=unit, threads=threads,
                 notes=_notes(way) if status == "ok" else ())


def _repetition(way: Mapping[str, Any]) -> Repetition:
    times = [_milliseconds(value) for value in (way["first_ms"], *way["runs_ms"])]
    if len(times) < 2:
        raise ValueError("no timed run")
    moved = max((_count(mask["pixels"]) / max(1, _count(mask["bytes"])) for mask in way["masks"]),
                default=0.0)
    if moved > MOST_MOVED:
        return Repetition(outcome=UNUSABLE, reason="this way answers otherwise than the desk: "
                          f"{100 * moved:.1f} % of a mask's pixels are on the other side of one "
                          f"half, at most {100 * MOST_MOVED:g} % may be")
    return from_times(_milliseconds(way["load_ms"]), times)


def _notes(way: Mapping[str, Any]) -> list[str]:
    notes = [f"in a browser: loading its runtime took {_milliseconds(way['runtime_ms']):.0f} ms on "
             "top of the load; not to be compared with native figures"]
    for mask in way["masks"]:
        bytes_, differing, largest, pixels = (
            _count(mask[key]) for key in ("bytes", "differing_bytes", "largest", "pixels"))
        if differing:
            notes.append(f"mask {mask['name']}: {differing} of {bytes_} bytes differ from the "
                         f"golden one, by {largest} at most; {pixels} pixels are on the other side "
                         "of one half")
    if not way["masks"]:
        notes.append("the masks were not compared: the page has no golden ones of this file")
    return notes


def _milliseconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{value!r} is no time")
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{value!r} is no time")
    return float(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value
