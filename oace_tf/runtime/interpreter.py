"""Interpreter of whichever LiteRT runtime is installed: opened, and its calls timed."""
from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable
from typing import Any

from oace_tf.errors import UsageError

MOST_THREADS = 256  # more than any processor that this runs on has use for


def check_threads(threads: int) -> None:
    """Raise UsageError unless a number of threads is one that an interpreter can have."""
    if not 1 <= threads <= MOST_THREADS:
        raise UsageError(f"threads must be from 1 to {MOST_THREADS}, got {threads}; as many as the "
                         "processor has cores are enough")


def interpreter_module() -> Any:
    """Return the module of the installed runtime: ai-edge-litert, else tflite-runtime.

    Raises:
      UsageError: neither is installed.
    """
    for name in ("ai_edge_litert.interpreter", "tflite_runtime.interpreter"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise UsageError("no LiteRT runtime is installed; pip install ai-edge-litert")


def open_interpreter(
    model: bytes | str | os.PathLike[str], threads: int = 1, **options: Any
) -> Any:
    """Return an interpreter of a file with its tensors allocated.

    Args:
      model: the file's content, or its path.
      threads: of the interpreter.
      options: further arguments of the runtime's `Interpreter`.
    Raises:
      UsageError: no runtime is installed.
      ValueError, RuntimeError: the runtime refuses the file.
    """
    source = {"model_content": model} if isinstance(model, bytes) else {
        "model_path": os.fspath(model)}
    interpreter = interpreter_module().Interpreter(**source, num_threads=threads, **options)
    interpreter.allocate_tensors()
    return interpreter


def timed_ms(call: Callable[[], Any], runs: int = 1) -> list[float]:
    """Return the milliseconds of each of `runs` calls, one after the other."""
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - begin))
    return times
