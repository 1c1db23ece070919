"""Memory of a file at run time, each figure measured in a process of its own; and of a process.

`arena_mb` is computed: the tensors that must be held between operators, laid out by the order of
their sizes as the runtime does. With a delegate that takes the whole graph most of them live in
the delegate's workspace instead; what a process really needs is `peak_mb`.
"""
from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

from export.tflite import model as tflite
from oace_tf.runtime.interpreter import open_interpreter
from oace_tf.workers import apart

_ALIGNMENT = 64  # bytes
_BYTES = {"float32": 4, "int32": 4, "float16": 2, "int16": 2, "int8": 1, "uint8": 1, "bool": 1}


def resident_mb(peak: bool = False) -> float | None:
    """Return this process's resident memory now, or its peak, in 10^6 bytes; None off Linux."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    key = "VmHWM:" if peak else "VmRSS:"
    fields = [line.split() for line in lines if line.startswith(key)]
    return round(int(fields[0][1]) * 1024 / 1e6, 1) if fields else None


def measure(path: Path, threads: int = 1) -> dict[str, float | None]:
    """Return what loading and running a file takes, in a fresh process.

    Returns:
      {open_ms, first_ms, loaded_mb, peak_mb, arena_mb}: opening and preparing; the first answer;
      resident memory added by opening and preparing, and at the peak of one answer (both without
      what the process held before); the computed arena. MB of 10^6 bytes.
    """
    return {**apart(_measure, path, threads), "arena_mb": arena_mb(path.read_bytes())}


def _measure(path: Path, threads: int) -> dict[str, float | None]:
    import numpy as np

    before = resident_mb()
    begin = time.perf_counter()
    interpreter = open_interpreter(path, threads)
    opened = time.perf_counter()
    loaded = resident_mb()
    for entry in interpreter.get_input_details():
        value = np.full(entry["shape"], -1 if len(entry["shape"]) == 3 else 0)
        interpreter.set_tensor(entry["index"], value.astype(entry["dtype"]))
    interpreter.invoke()
    done = time.perf_counter()
    peak = resident_mb(peak=True)
    return {
        "open_ms": round(1e3 * (opened - begin), 1),
        "first_ms": round(1e3 * (done - opened), 1),
        "loaded_mb": None if loaded is None or before is None else round(loaded - before, 1),
        "peak_mb": None if peak is None or before is None else round(peak - before, 1),
    }


def arena_mb(content: bytes) -> float:
    """Return the arena of a file without delegate: largest tensors placed first, greedily."""
    model = tflite.parse(content)
    graph = tflite.graph(model)
    first: dict[int, int] = {int(i): -1 for i in graph.inputs}
    last = {int(i): len(graph.operators) for i in (*graph.inputs, *graph.outputs)}
    for step, operator in enumerate(graph.operators):
        for index in (int(i) for i in operator.outputs):
            first.setdefault(index, step)
            last[index] = max(last.get(index, step), step)
        for index in tflite.activations(model, operator.inputs):
            last[index] = max(last.get(index, step), step)
    sizes = {index: _aligned(graph.tensors[index]) for index in first}
    placed: list[tuple[int, int, int]] = []  # offset, size, tensor
    for index in sorted(first, key=lambda i: (-sizes[i], i)):
        offset = 0
        for start, size, other in sorted(placed):
            if first[other] > last[index] or last[other] < first[index]:
                continue
            if offset + sizes[index] <= start:
                break
            offset = max(offset, start + size)
        placed.append((offset, sizes[index], index))
    return round(max((start + size for start, size, _ in placed), default=0) / 1e6, 2)


def _aligned(tensor: Any) -> int:
    exact = math.prod(int(n) for n in tensor.shape) * _BYTES[tflite.type_name(tensor)]
    return -(-exact // _ALIGNMENT) * _ALIGNMENT
