"""Latency of TFLite files on this host, on a picture of noise."""
from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from oace_tf.runtime.interpreter import open_interpreter, timed_ms


def timing(
    files: Mapping[str, str | Path], threads: int = 1, runs: int = 11, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Return load time and latency of several files, measured in turns in one run.

    Args:
      files: name -> path.
      threads: of the interpreter, the same for all.
      runs: timed invocations of each file, after one warm-up.
      seed: of the input picture.
    Returns:
      name -> {"load_ms", "latency_ms", "latency_min_ms", "latency_max_ms"}; latency is the
      median of `runs`; loading is opening, preparing and the first invocation.
    """
    ready = {}
    load = {}
    for name, path in files.items():
        content = Path(path).read_bytes()
        begin = time.perf_counter()
        interpreter = open_interpreter(content, threads)
        fill(interpreter, seed)
        interpreter.invoke()
        load[name] = 1e3 * (time.perf_counter() - begin)
        ready[name] = interpreter
    times: dict[str, list[float]] = {name: [] for name in files}
    for _ in range(runs):
        for name, interpreter in ready.items():
            times[name] += timed_ms(interpreter.invoke)
    return {
        name: {
            "load_ms": round(load[name], 1),
            "latency_ms": round(float(np.median(ms)), 2),
            "latency_min_ms": round(min(ms), 2),
            "latency_max_ms": round(max(ms), 2),
        }
        for name, ms in times.items()
    }


def fill(interpreter: Any, seed: int) -> None:
    """Give a file (or a part of one) a picture of noise and one tap in its upper left corner."""
    rng = np.random.default_rng(seed)
    for entry in interpreter.get_input_details():
        shape = tuple(entry["shape"])
        if len(shape) == 4:
            low = 0 if entry["dtype"] == np.uint8 else -128
            byte = rng.integers(low, low + 256, shape)
            value = byte / 128 if entry["dtype"] == np.float32 else byte
        else:
            value = np.full(shape, -1.0)
            value.reshape(-1)[:3] = (0.5, 0.5, 1.0)[:value.size]
        interpreter.set_tensor(entry["index"], value.astype(entry["dtype"]))
