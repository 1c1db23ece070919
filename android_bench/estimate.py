"""Estimate, no measurement: milliseconds of a .tflite file on a Galaxy S23, per unit.

`python android_bench/estimate.py FILE.tflite` counts multiplications and operators and sets them
against published figures of the phone (`s23_perf.csv`: a profiler's, of other models). Per unit the
time is GMAC x a + operators x b, neither below zero, of least squared logarithmic error. The range
is the worst that leaving every published model out in turn gives.
"""
from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np

from android_bench.graph import Graph, read_graph
from oace_tf.cli import Parser, data_root
from oace_tf.errors import OaceError, UsageError
from oace_tf.fileio import atomic_write, read_bytes, refuse_overwriting

PROG = "python android_bench/estimate.py"
FIGURES = "s23_perf.csv"
# int8 against float32 on this CPU, and HRNet's many small layers against a ResNet's large ones:
# assumptions, for the CPU has no published int8 figure through TFLite
INT8_GAIN = (2.0, 3.0)
HRNET_SHARE = (0.7, 1.0)
WARM = 1.3  # a warm phone loses 10 to 30 %
_OVERHEADS = np.concatenate(([0.0], np.logspace(-6, 2, 321)))  # an operator in GMAC


@dataclass(frozen=True, slots=True)
class Reference:
    """A published model: unit, names as in the csv, and its GMAC, which the csv does not state."""

    unit: str
    model: str
    component: str
    precisions: tuple[str, ...]
    gmac: float


def _refs(unit: str, precisions: tuple[str, ...], rows: str) -> tuple[Reference, ...]:
    references = []
    for row in rows.split():
        model, gmac = row.split("=")
        name, _, component = model.partition("/")
        references.append(Reference(unit, name, component, precisions, float(gmac)))
    return tuple(references)


# GMAC at the csv's resolution: torchvision's table and the models' papers; DETR scaled to 480x480;
# Whisper's encoders from their sizes (1,500 positions)
REFERENCES = (
    *_refs("gpu", ("fp16", "float"), "deeplabv3_resnet50=174 swin_tiny=4.49 swin_small=8.74 "
           "swin_base=15.43 whisper_tiny_en/WhisperEncoderInf=17.5 "
           "whisper_base_en/WhisperEncoderInf=42 whisper_small_en/WhisperEncoderInf=169"),
    *_refs("cpu", ("fp32",), "detr_resnet50=23 detr_resnet101=41 detr_resnet50_dc5=50 "
           "detr_resnet101_dc5=68"))


@dataclass(frozen=True, slots=True)
class Point:
    """One published figure that is fitted."""

    model: str
    gmac: float
    operators: int
    ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """ms = GMAC x `ms_per_gmac` + operators x `ms_per_operator`, times [`low`, `high`].

    `checked` counts the models that were left out in turn, `inside` those of them whose figure lay
    within the range that the others give.
    """

    ms_per_gmac: float
    ms_per_operator: float
    low: float
    high: float
    checked: int
    inside: int

    def predict(self, gmac: float, operators: int) -> float:
        """Return the middle of the prediction, ms."""
        return self.ms_per_gmac * gmac + self.ms_per_operator * operators


# the fit to the figures of 2026, for machines without the csv; the range is the smallest and
# largest published / predicted with each model left out
RECORDED = {
    "gpu": Fit(ms_per_gmac=3.62565, ms_per_operator=0.0121447, low=0.349619, high=1.69345,
               checked=0, inside=0),
    "cpu": Fit(ms_per_gmac=12.7660, ms_per_operator=0.0717883, low=0.937121, high=1.13589,
               checked=0, inside=0),
}


def read_points(path: Path) -> dict[str, list[Point]]:
    """Return the figures of the reference models by unit: through TFLite, the newest each.

    Raises:
      UsageError: the file cannot be read, is no such table, or misses a reference model.
    """
    text = read_bytes(path, 2**26).decode("utf-8", "replace")
    try:
        rows = list(csv.DictReader(text.splitlines()))
    except csv.Error as error:
        raise UsageError(f"{path} is no table of figures: {error}; give the csv") from error
    points: dict[str, list[Point]] = {}
    for reference in REFERENCES:
        try:
            fitting = [row for row in rows if row["model"] == reference.model
                       and row["unit"] == reference.unit and row["runtime"] == "tflite"
                       and row["precision"] in reference.precisions
                       and row["component"].startswith(reference.component)
                       and _layers(row) > 0]
            newest = max(fitting, key=lambda row: row["version_date"])
            point = Point(reference.model, reference.gmac, _layers(newest), float(newest["ms"]))
        except (KeyError, ValueError, TypeError) as error:
            raise UsageError(f"{path} holds no figure of {reference.model} on the "
                             f"{reference.unit}: {error!r}") from error
        points.setdefault(reference.unit, []).append(point)
    return points


def fit(points: Sequence[Point]) -> Fit:
    """Return the fit of a unit, its range and its check by leaving models out.

    Args:
      points: at least four.
    """
    ratios = [_ratio(_without(points, k), point) for k, point in enumerate(points)]
    inside = 0
    for k, ratio in enumerate(ratios):
        others = _without(points, k)
        low, high = _bounds([_ratio(_without(others, j), other) for j, other in enumerate(others)])
        inside += int(low <= ratio <= high)
    a, b = _solve(points)
    low, high = _bounds(ratios)
    return Fit(ms_per_gmac=a, ms_per_operator=b, low=low, high=high, checked=len(points),
               inside=inside)


def predict(graph: Graph, fits: dict[str, Fit]) -> dict[str, dict[str, Any]]:
    """Return, per unit, low, middle and high in ms, and what the figures rest on.

    Args:
      graph: of the file.
      fits: by unit.
    """
    gmac, count = graph.macs / 1e9, len(graph.operators)
    predictions = {}
    for unit, fitted in fits.items():
        middle = fitted.predict(gmac, count)
        low, high = middle * fitted.low, middle * fitted.high
        if unit == "cpu" and graph.int8:
            middle /= (sum(INT8_GAIN) / 2) * (sum(HRNET_SHARE) / 2)
            low /= INT8_GAIN[1] * HRNET_SHARE[1]
            high /= INT8_GAIN[0] * HRNET_SHARE[0]
        elif unit == "cpu":
            middle, high = middle / (sum(HRNET_SHARE) / 2), high / HRNET_SHARE[0]
        predictions[unit] = {"low_ms": low, "middle_ms": middle, "high_ms": high,
                             "high_warm_ms": high * WARM, "assumes": _ASSUMES[unit],
                             "settled_by": _SETTLES[unit], "check": _check(fitted)}
    return predictions


_ASSUMES = {
    "cpu": f"4 threads, XNNPACK takes the whole graph; int8 is {INT8_GAIN[0]:g} to "
           f"{INT8_GAIN[1]:g} times as fast as float32, and this network reaches "
           f"{100 * HRNET_SHARE[0]:g} to {100 * HRNET_SHARE[1]:g} % of DETR's rate: both assumed",
    "gpu": "the GPU delegate takes the whole graph in fp16 (int8 brings nothing there)"}
_SETTLES = {
    "cpu": "bench.py FILE --settings 'int8-cpu-*'", "gpu": "bench.py FILE --settings int8-gpu"}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the arguments of the command."""
    parser = Parser(
        prog=PROG, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Predict the time of a .tflite file on a Galaxy S23; no measurement.",
        epilog="Example:\n  python android_bench/estimate.py build/oace_int8.tflite")
    parser.add_argument("model", type=Path, help="a .tflite file")
    parser.add_argument("--figures", type=Path, metavar="CSV",
                        help=f"published figures (default: {FIGURES} in OACE_DATA, else the fit "
                             "recorded from it)")
    parser.add_argument("--json", metavar="FILE", help="- for stdout")
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> int:
    """Predict and print; return the exit code."""
    refuse_overwriting([None if args.json == "-" else args.json], [args.model, args.figures])
    graph = read_graph(read_bytes(args.model), str(args.model))
    fits, source = _fits(args.figures)
    units = predict(graph, fits)
    report = {"kind": "prediction, not a measurement", "file": str(args.model),
              "gmac": graph.macs / 1e9, "operators": len(graph.operators), "int8": graph.int8,
              "figures": source, "units": units, "load": _LOAD,
              "fits": {unit: asdict(entry) for unit, entry in fits.items()}}
    text = json.dumps(report, indent=2, allow_nan=False) + "\n"
    if args.json == "-":
        sys.stdout.write(text)
        return 0
    print(f"PREDICTION, not a measurement: {args.model}, {graph.macs / 1e9:.2f} GMAC, "
          f"{len(graph.operators)} operators, {'int8' if graph.int8 else 'float'}")
    for unit, entry in units.items():
        print(f"{unit}: {entry['low_ms']:.1f} to {entry['high_ms']:.1f} ms, middle "
              f"{entry['middle_ms']:.1f}; up to {entry['high_warm_ms']:.1f} on a warm phone")
        for key in ("assumes", "check", "settled_by"):
            print(f"  {key.replace('_', ' ')}: {entry[key]}")
    print(f"load: {_LOAD}\nfigures: {source}")
    if args.json:
        atomic_write(Path(args.json), text.encode())
    return 0


_LOAD = ("not predicted: no published figure; 25 ms needs one partition and the XNNPACK weight "
         "cache on the CPU, a serialised graph on the GPU")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    try:
        return run(parse_args(argv))
    except OaceError as error:
        print(f"{PROG}: error: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code


def _fits(path: Path | None) -> tuple[dict[str, Fit], str]:
    root = data_root()
    if path is None and root is not None and (root / FIGURES).is_file():
        path = root / FIGURES
    if path is None:
        return dict(RECORDED), f"the fit recorded from {FIGURES}"
    return {unit: fit(points) for unit, points in read_points(path).items()}, str(path)


def _check(fitted: Fit) -> str:
    if not fitted.checked:
        return "recorded fit; give --figures to check it by leaving models out"
    return (f"{fitted.inside} of {fitted.checked} published models lie in the range that the "
            f"others give; published / predicted {fitted.low:.2f} to {fitted.high:.2f}")


def _layers(row: dict[str, str]) -> int:
    return sum(int(row[f"layers_{unit}"] or 0) for unit in ("npu", "gpu", "cpu"))


def _without(points: Sequence[Point], place: int) -> list[Point]:
    return [point for k, point in enumerate(points) if k != place]


def _ratio(others: Sequence[Point], point: Point) -> float:
    """Return published / predicted of a model from a fit of the others."""
    a, b = _solve(others)
    return point.ms / (a * point.gmac + b * point.operators)


def _bounds(ratios: Sequence[float]) -> tuple[float, float]:
    """Return the smallest and the largest ratio: the worst miss of a published model counts."""
    return min(ratios), max(ratios)


def _solve(points: Sequence[Point]) -> tuple[float, float]:
    """Return ms per GMAC and per operator, neither below zero, of least squared logarithmic error.

    For every ratio of the two on a fine grid the scale follows from the mean of the logarithms.
    """
    gmac, operators, ms = (np.array([getattr(point, key) for point in points], np.float64)
                           for key in ("gmac", "operators", "ms"))
    logs = np.log(ms) - np.log(gmac + _OVERHEADS[:, None] * operators)  # (grid, n)
    best = int(np.argmin(logs.var(axis=1)))
    scale = float(np.exp(logs[best].mean()))
    return scale, scale * float(_OVERHEADS[best])


if __name__ == "__main__":
    raise SystemExit(main())
