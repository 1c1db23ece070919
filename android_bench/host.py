"""Host times: the same matrix on this machine, run by run, so that p90 is known.

Every repetition runs in a process of its own, so that load time and peak memory are its own. The
figures say nothing of a phone.
"""
from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from android_bench.log.parse import FAILED
from android_bench.settings import Setting, matrix, select
from android_bench.verdict import Budgets, Repetition, Row, absent, from_times, judge
from oace_tf.errors import OaceError, UsageError
from oace_tf.runtime.interpreter import timed_ms

_LIMIT_S = 600
_PHOTOGRAPH_HW = (3000, 4000)  # what a phone's camera gives


def measure(models: Mapping[str, bytes], threads: Sequence[int], runs: int, warmup: int,
            repetitions: int, budgets: Budgets, patterns: Sequence[str] = ()
            ) -> tuple[list[Row], dict[str, Any]]:
    """Return a row per setting, and what the report shall say of this machine.

    Args:
      models: bytes of the files, by int8 and float.
      threads: numbers of threads.
      runs, warmup, repetitions: as on the device.
      budgets: to judge by.
      patterns: only settings with such names.
    Raises:
      UsageError: no LiteRT runtime, or a pattern that fits nothing.
    """
    settings = select(matrix(tuple(models), threads, ()), patterns)
    able = [setting for setting in settings if setting.unit == "cpu" and not setting.cache]
    done: dict[str, list[Repetition]] = {setting.name: [] for setting in able}
    with tempfile.TemporaryDirectory() as folder:
        for kind, data in models.items():
            (Path(folder) / f"{kind}.tflite").write_bytes(data)
        for count in range(repetitions):
            for setting in able if count % 2 == 0 else reversed(able):
                path = Path(folder) / f"{setting.model}.tflite"
                done[setting.name].append(_repetition(path, setting, runs, warmup))
    rows = []
    for setting in settings:
        about = (setting.model, setting.unit, setting.threads)
        if setting in able:
            rows.append(judge(setting.name, done[setting.name], budgets, model=about[0],
                              unit=about[1], threads=about[2]))
        else:
            rows.append(absent(setting.name, "the interpreter on this machine has none", *about))
    device = {"model": f"this machine ({platform.machine()}, {platform.system()})"}
    return rows, {"device": device, "binary": {"source": "LiteRT interpreter", "sha256": ""},
                  "whole_answer": whole_answer()}


def whole_answer(size_hw: tuple[int, int] = _PHOTOGRAPH_HW, repeats: int = 5) -> str:
    """Return in words what comes on top of the mean: the photograph's resize and the mask's."""
    import numpy as np

    from oace_tf.geometry import Frame

    rng = np.random.default_rng(0)
    photograph = rng.integers(0, 256, (*size_hw, 3), np.uint8)
    frame = Frame(*size_hw)
    mask = rng.integers(0, 256, (frame.size, frame.size), np.uint8)
    resize = min(timed_ms(lambda: frame.image(photograph), repeats))
    back = min(timed_ms(lambda: frame.mask_back(mask), repeats))
    return (f"on this machine, on top of the mean: {resize:.1f} ms to resize a photograph "
            f"of {size_hw[1]}x{size_hw[0]}, {back:.1f} ms to resize the mask back")


def times(path: Path, threads: int, runs: int, warmup: int) -> dict[str, Any]:
    """Return the times of one repetition, measured in this process.

    Returns:
      `load_ms` from the file to allocated tensors; `times_ms`, the first inference, then the timed
      runs; `memory_mb`, the peak of the process.
    Raises:
      UsageError: the runtime is missing or refuses the file.
    """
    import resource

    import numpy as np

    from oace_tf.runtime.interpreter import open_interpreter, timed_ms

    start = time.perf_counter()
    try:
        interpreter = open_interpreter(path, threads)
        load = time.perf_counter() - start
        rng = np.random.default_rng(0)
        for detail in interpreter.get_input_details():
            value = rng.random(detail["shape"], np.float32)
            if np.issubdtype(detail["dtype"], np.integer):
                value = value * 256 - (128 if detail["dtype"] == np.int8 else 0)
            interpreter.set_tensor(detail["index"], value.astype(detail["dtype"]))
        times_ms = timed_ms(interpreter.invoke, warmup + runs)
    except (ValueError, RuntimeError) as error:
        raise UsageError(f"{path}: the runtime refuses this file: {error}") from error
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"load_ms": 1000 * load, "times_ms": [times_ms[0], *times_ms[warmup:]],
            "memory_mb": peak}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure one repetition and print it as JSON; `bench.py --host` calls this."""
    from oace_tf.cli import Parser  # no more than the standard library behind it

    parser = Parser(
        prog="python android_bench/host.py",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Time one file in the LiteRT interpreter of this machine.",
        epilog="Example:\n  python android_bench/host.py build/oace_int8.tflite --threads 2")
    parser.add_argument("model", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--warmup", type=int, default=3)
    try:
        args = parser.parse_args(argv)
        figures = times(args.model, args.threads, max(1, args.runs), max(1, args.warmup))
    except OaceError as error:
        print(f"{parser.prog}: error: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(figures))
    return 0


def _repetition(path: Path, setting: Setting, runs: int, warmup: int) -> Repetition:
    command = [sys.executable, str(Path(__file__).resolve()), str(path), "--threads",
               str(setting.threads), "--runs", str(runs), "--warmup", str(warmup)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S,
                              check=False)
    except subprocess.TimeoutExpired:
        return Repetition(outcome=FAILED, reason=f"did not end within {_LIMIT_S} s")
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        words = done.stderr.strip().splitlines()
        return Repetition(outcome=FAILED,
                          reason=f"exit code {done.returncode}: {words[-1] if words else ''}")
    figures = json.loads(lines[-1])
    named = "XNNPACK" if "XNNPACK delegate" in done.stderr else ""
    return from_times(figures["load_ms"], figures["times_ms"], memory_mb=figures["memory_mb"],
                      memory_kind="peak of the process", delegate=named)


if __name__ == "__main__":
    raise SystemExit(main())
