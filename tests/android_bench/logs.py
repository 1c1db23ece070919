"""Logs for the tests: a small one written here, and the recorded ones in OACE_DATA, if set."""
from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

LINKER = "WARNING: linker: ./benchmark_model: unsupported flags DT_FLAGS_1=0x8000001\n"
XNNPACK = ("INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"
           "VERBOSE: Replacing {taken} out of {total} node(s) with delegate "
           "(TfLiteXNNPackDelegate) node, yielding {parts} partitions for subgraph 0.\n")
GPU_FAILS = """INFO: Created TensorFlow Lite delegate for GPU.
VERBOSE: Replacing 14 out of 14 node(s) with delegate (TfLiteGpuDelegateV2) node, yielding 1 \
partitions for subgraph 0.
ERROR: TfLiteGpuDelegate Init: No EGL error, but eglBindAPI failed
ERROR: Node number 14 (TfLiteGpuDelegateV2) failed to prepare.
ERROR: Failed to apply GPU delegate.
ERROR: Benchmarking failed.
"""


def stdout(init_us: float = 21000, avg: str = "201500", n: int = 50, low: int = 198000,
           high: int = 231000, asked: str = "", memory: bool = True) -> str:
    """Return what the classic tool prints for one run of `n` timed inferences."""
    counted = (f"count={n} first=205000 curr=201000 min={low} max={high} avg={avg} std=2300 "
               f"p5={low} median={int((low + high) / 2)} p95={high}" if n > 1 else
               f"count={n} curr={avg} p5={avg} median={avg} p95={avg}" if n else
               "count=0 p5=0 median=0 p95=0")
    text = ("INFO: STARTING!\nINFO: Log parameter values verbosely: [0]\nINFO: Num threads: [4]\n"
            f"INFO: Graph: [model.tflite]\n{asked}INFO: Loaded model model.tflite\n"
            "INFO: The input model file size (MB): 15.2\n"
            f"INFO: Initialized session in {init_us / 1000}ms.\n"
            "INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but "
            "terminate if exceeding 150 seconds.\n"
            "INFO: count=3 first=260000 curr=205000 min=205000 max=260000 avg=225000 std=24000 "
            "p5=205000 median=210000 p95=260000\n\n"
            f"INFO: Running benchmark for at least {n} iterations and at least 1 seconds but "
            f"terminate if exceeding 150 seconds.\nINFO: {counted}\n\n"
            f"INFO: Inference timings in us: Init: {init_us:g}, First inference: 260000, "
            f"Warmup (avg): 225000, Inference (avg): {avg if n else 0}\n")
    if memory:
        text += ("INFO: Memory footprint delta from the start of the tool (MB): init=31.5 "
                 "overall=78.25\nINFO: Overall peak memory footprint (MB) via periodic monitoring: "
                 "96.5\n")
    return text


def stderr(taken: int = 14, total: int = 14, parts: int = 1) -> str:
    """Return what the runtime prints when XNNPACK takes `taken` of `total` nodes."""
    announced = XNNPACK.format(taken=taken, total=total, parts=parts)
    if not taken:
        announced = announced.splitlines(keepends=True)[0]
    return LINKER + "INFO: Initialized TensorFlow Lite runtime.\n" + announced


@dataclass(frozen=True)
class Case:
    """One recorded case: its texts and the row of index.csv."""

    row: dict[str, str]
    stdout: str
    stderr: str
    exit_code: int | None
    command: str

    def __str__(self) -> str:
        return f"{self.row['id']}_{self.row['name']}"


def folder() -> Path | None:
    """Return the folder of the recorded logs, None if OACE_DATA does not name one."""
    named = os.environ.get("OACE_DATA")
    found = Path(named).resolve() / "benchmark_logs" if named else None
    return found if found and (found / "index.csv").is_file() else None


def recorded() -> list[Case]:
    """Return all recorded cases; none if they are not at hand."""
    place = folder()
    if place is None:
        return []
    with open(place / "index.csv", encoding="utf-8", newline="") as file:
        return [_case(place / f"{row['id']}_{row['name']}", row) for row in csv.DictReader(file)]


def _case(stem: Path, row: dict[str, str]) -> Case:
    code = _read(stem, ".rc").strip()
    return Case(row, _read(stem, ".stdout.txt") or _read(stem, ".log"), _read(stem, ".stderr.txt"),
                int(code) if code else None, _read(stem, ".cmd"))


def _read(stem: Path, suffix: str) -> str:
    path = stem.with_name(stem.name + suffix)
    return path.read_bytes().decode("utf-8", "replace") if path.is_file() else ""
