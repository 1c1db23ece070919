"""Figures of the main job: build/report.json -> docs/figures.json -> README.md, MODEL_CARD.md.

The report stays where it was built; what the documents show of it is kept in docs/figures.json, so
that they can be checked on a machine that has not run the main job.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from oace_tf import fileio
from oace_tf.cli import Parser
from oace_tf.errors import GateFailed, UsageError, guarded
from oace_tf.segmenter import DEFAULT_MODEL
from tools.docs import blocks

ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "build" / "report.json"
REMEDY = "python export/quantize.py --int8 and then python tools/docs/refresh.py"
MAX_CHANGE_POINTS = 1.0  # of mIoU, from machine to machine; other kernels round otherwise
MAX_CHANGE_AGREEMENT = 0.02
SET_SIZES = {"ecssd": 1000, "coco_mval": 800}  # published, where ours are a part


@dataclass(frozen=True, slots=True)
class Places:
    """The files that belong together."""

    model: Path = DEFAULT_MODEL
    figures: Path = ROOT / "docs" / "figures.json"
    documents: tuple[Path, ...] = (ROOT / "README.md", ROOT / "MODEL_CARD.md")


def figures_of(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the documents show of a report.

    Raises:
      UsageError: the report lacks an entry.
    """
    try:
        ms = report["host_latency_ms"]
        return {
            "int8": {key: report["int8"][key] for key in ("size_mb", "sha256")},
            "float32": {"size_mb": report["float32"]["size_mb"]},
            "weights_sha256": report["weights"]["sha256"],
            "recipe": report["recipe"],
            "params": report["params"], "gmac": report["gmac"],
            "outside": list(report["operators_outside_delegate"]),
            "drift": [{key: entry[key] for key in ("dataset", "n", "float_miou_at_1",
                                                   "int8_miou_at_1", "drop_points", "ci95")}
                      for entry in report["drift"]],
            "agreement": {key: report["agreement"][key] for key in ("n", "mean_iou", "worst")},
            "baselines": {name: {key: entry[key] for key in ("dataset", "n", "miou_at_1")}
                          for name, entry in report["baselines"].items()},
            "ms": {"int8": ms["int8"], "float32": ms["float32"], "threads": ms["threads"]},
            "machine": {key: report["versions"][key] for key in ("machine", "cpus")},
        }
    except (KeyError, TypeError) as error:
        raise UsageError(f"the report lacks {error}; make it with python export/quantize.py "
                         "--int8, where the labelled sets are") from error


def table(figures: Mapping[str, Any]) -> str:
    """Return the figures as Markdown."""
    lines = ["| | int8 | float32 |", "|---|---|---|"]
    pooled = None
    for entry in figures["drift"]:
        if entry["dataset"] == "pooled":
            pooled = entry
            continue
        lines.append(f"| mIoU@1, {_set_name(entry)} | {entry['int8_miou_at_1']:.1f} | "
                     f"{entry['float_miou_at_1']:.1f} |")
    if pooled is not None:
        low, high = pooled["ci95"]
        lines.append(f"| pooled drop, {pooled['n']} objects | {pooled['drop_points']:.2f} points "
                     f"({low:.2f} to {high:.2f}) | |")
    ms, machine = figures["ms"], figures["machine"]
    threads = "one thread" if ms["threads"] == 1 else f"{ms['threads']} threads"
    lines += [
        f"| agreement with float, mean IoU | {figures['agreement']['mean_iou']:.3f} | |",
        f"| size | {figures['int8']['size_mb']:.2f} MB | {figures['float32']['size_mb']:.1f} MB |",
        f"| one answer, {machine['cpus']}-core {machine['machine']} host, {threads} | "
        f"{ms['int8']:.1f} ms | {ms['float32']:.1f} ms |",
        "",
        f"{figures['params'] / 1e6:.1f} M parameters, {figures['gmac']:.1f} GMAC; outside the "
        f"XNNPACK delegate: {', '.join(figures['outside']) or 'nothing'}. "
        f"{_baselines(figures['baselines'])}",
        f"SHA-256 of the int8 file: `{figures['int8']['sha256']}`."]
    return "\n".join(lines)


def _set_name(entry: Mapping[str, Any]) -> str:
    name = "GrabCut" if entry["dataset"] == "grabcut" else entry["dataset"]
    whole = SET_SIZES.get(entry["dataset"])
    if whole is None or whole == entry["n"]:
        return f"{name} ({entry['n']} objects)"
    return f"{name} ({entry['n']} of {whole:,})"


def _baselines(baselines: Mapping[str, Any]) -> str:
    if not baselines:
        return ""
    names = {"disk": "a disk around the tap", "opencv_grabcut": "OpenCV's grabCut from the tap"}
    sets = {entry["dataset"] for entry in baselines.values()}
    parts = [f"{names.get(name, name)} {entry['miou_at_1']:.1f}"
             for name, entry in baselines.items()]
    return f"Without a network, on {' and '.join(sorted(sets))}: {', '.join(parts)}."


def check(where: Places, report: Path | None) -> None:
    """Raise GateFailed unless the documents show the figures of the shipped file.

    Args:
      where: the files that belong together.
      report: a report of a main job, compared where it is given: its own machine's rounding is
        allowed, milliseconds are not compared.
    """
    figures = fileio.read_json(where.figures)
    shipped = fileio.sha256_file(where.model)
    if figures["int8"]["sha256"] != shipped:
        raise GateFailed(f"{where.figures} is of a file with the SHA-256 "
                         f"{figures['int8']['sha256'][:12]}..., the shipped one has "
                         f"{shipped[:12]}...; run {REMEDY}")
    for document in where.documents:
        blocks.check_blocks(document, {"figures": table(figures)}, "python tools/docs/refresh.py")
    if report is not None:
        _compare(figures, figures_of(fileio.read_json(report)))


def _compare(kept: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Raise GateFailed where a new report says something else than the kept figures."""
    for key in ("weights_sha256", "params", "gmac", "outside"):
        if kept[key] != found[key]:
            raise GateFailed(f"{key}: the documents say {kept[key]}, the report {found[key]}; run "
                             f"{REMEDY}")
    fresh = {entry["dataset"]: entry for entry in found["drift"]}
    for entry in kept["drift"]:
        other = fresh.get(entry["dataset"])
        if other is None or other["n"] != entry["n"]:
            continue  # the sets are not all at hand there
        for key in ("int8_miou_at_1", "float_miou_at_1"):
            if not abs(entry[key] - other[key]) <= MAX_CHANGE_POINTS:
                raise GateFailed(f"{entry['dataset']}, {key}: the documents say {entry[key]:.2f}, "
                                 f"the report {other[key]:.2f}; run {REMEDY}")
    ours, theirs = kept["agreement"], found["agreement"]
    if ours["n"] == theirs["n"] and not (abs(ours["mean_iou"] - theirs["mean_iou"])
                                         <= MAX_CHANGE_AGREEMENT):
        raise GateFailed(f"agreement: the documents say {ours['mean_iou']:.4f}, the report "
                         f"{theirs['mean_iou']:.4f}; run {REMEDY}")


def run(args: argparse.Namespace, where: Places = Places()) -> int:
    """Write or check; return 0."""
    if args.check:
        check(where, args.report)
        print("the figures are those of the shipped file")
        return 0
    figures = figures_of(fileio.read_json(args.report or REPORT))
    if figures["int8"]["sha256"] != fileio.sha256_file(where.model):
        raise UsageError(f"{args.report or REPORT} is not of the shipped file {where.model}; run "
                         "python export/quantize.py --int8, copy build/oace_int8.tflite there")
    fileio.write_json(where.figures, figures)
    for document in where.documents:
        blocks.write_blocks(document, {"figures": table(figures)})
    print(table(figures))
    return 0


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python tools/docs/figures.py --report build/report.json")
    add = parser.add_argument
    add("--report", type=Path, metavar="FILE",
        help="default: build/report.json; with --check: compared only where it is named")
    add("--check", action="store_true", help="exit 1 unless the documents are current")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command: 0 done or current, 1 not current, 2 bad input."""
    return guarded(lambda: run(parse_args(argv)), "python tools/docs/figures.py")


if __name__ == "__main__":
    raise SystemExit(main())
