"""What each remedy against the loss of int8 brings, measured: one row per recipe, resumable.

Every recipe makes its int8 file of the same weights and meets the float file on the same objects of
`ecssd` and `coco_mval` (never GrabCut: remedies are chosen on val alone), one click each. The float
file's masks are computed once and kept. A row that is in the output for these weights, objects and
recipe is not made again.
"""
from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import cv2
import numpy as np

from export.calibration import images as calibration_images
from export.convert import keras_pair
from export.quantization import calibrate, int8, recipe
from export.quantization.on_objects import SETS, bar, compare, fill, float_masks, objects
from export.tflite import metadata
from export.tflite.delegation import delegation
from oace_tf import __version__, fileio
from oace_tf.cli import Parser
from oace_tf.errors import UsageError, guarded
from oace_tf.samples.sample import SampleFile
from oace_tf.segmenter import TapSegmenter
from oace_tf.workers import apart

ROOT = Path(__file__).resolve().parents[1]
WEIGHTS = ROOT / "oace_tf" / "weights" / "efficientnet_lite0.safetensors"
MAX_POINTS, SIZE = 20, 512
_log = logging.getLogger("remedies")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command's arguments."""
    parser = Parser(
        prog="remedies", description=__doc__.split("\n")[0],
        epilog="example: python export/remedies.py --out docs/remedies.json --objects 40")
    add = parser.add_argument
    add("--out", type=Path, default=ROOT / "docs" / "remedies.json", metavar="FILE",
        help="JSON of rows; those of other weights are dropped (default: docs/remedies.json)")
    add("--weights", type=Path, default=WEIGHTS, metavar="FILE", help="default: the shipped pair")
    add("--data", type=Path, metavar="DIR", help="data sets (default: what OACE_DATA names)")
    add("--recipe", nargs="*", metavar="NAME", help="which recipes (default: all)")
    add("--objects", type=int, default=60, metavar="N", help="of each set (default: %(default)s)")
    add("--keep", type=Path, default=ROOT / "build" / "remedies", metavar="DIR",
        help="float file and its masks (default: build/remedies)")
    add("--page", type=Path, metavar="FILE",
        help="also put the table between the page's `remedies` markers")
    add("--table", action="store_true", help="print the table of the output and end")
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> int:
    """Make the missing rows and print the table.

    Raises:
      UsageError: no weights, no data, an unknown recipe.
    """
    digest = fileio.sha256_file(args.weights)
    rows = _earlier(args.out, digest, args.objects)
    if args.table:
        return _show(args.page, rows)
    data = args.data or (Path(os.environ["OACE_DATA"]) if os.environ.get("OACE_DATA") else None)
    if data is None:
        raise UsageError("the remedies are measured on photographs: set OACE_DATA or give --data")
    recipes = [recipe.load(name) for name in (args.recipe or recipe.names())]
    photographs, notes = calibration_images.choose(None, data, 0)
    if photographs is None:
        raise UsageError(f"no calibration images ({'; '.join(notes)})")
    files = objects(data, args.objects)
    float_path, about = _float_file(args, digest)
    truth = float_masks(float_path, files, args.keep / f"masks-{digest[:12]}-{args.objects}.npz")
    memo: dict[Any, Any] = {}  # passes over the photographs that several recipes share
    for chosen in recipes:
        if any(row["recipe"] == chosen.to_json() for row in rows):
            _log.info("%s: there already", chosen.name)
            continue
        row = measure(chosen, float_path, about, photographs, files, truth, memo)
        rows = [old for old in rows if old["name"] != chosen.name] + [row]
        fileio.write_json(args.out, {
            "weights_sha256": digest, "objects": args.objects, "sets": list(SETS),
            "rows": sorted(rows, key=lambda row: row["name"])})
        _log.info("%s", table([row]).splitlines()[-1])
    return _show(args.page, rows)


def _show(page: Path | None, rows: Sequence[dict[str, Any]]) -> int:
    print(table(rows))
    if page is not None:
        fill(page, "remedies", table(rows))
    return 0


def measure(
    chosen: recipe.Recipe, float_path: Path, about: metadata.Description,
    photographs: calibration_images.CalibrationSet, files: Sequence[SampleFile],
    truth: Sequence[np.ndarray], memo: dict[Any, Any],
) -> dict[str, Any]:
    """Return the row of one recipe: agreement and drop with their intervals, delegate, size."""
    begin = time.process_time()
    some = calibrate.chosen(photographs, chosen, 0)
    decided = calibrate.make_plan(float_path, some.photographs, chosen, SIZE, MAX_POINTS, 1, bar,
                                  memo)
    edited = decided.edit(float_path.read_bytes(), chosen.float_layers)
    content = int8.quantize(edited, decided.ranges, chosen)
    making = time.process_time() - begin
    found = delegation(content)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.tflite"
        path.write_bytes(metadata.add_metadata(content, about, compact=True))
        size = path.stat().st_size
        scores = compare(TapSegmenter(path).probability, files, truth)
    return {
        "name": chosen.name, "recipe": chosen.to_json(), **scores,
        "images": len(some.photographs), "cpu_seconds": round(making, 1),
        "size_mb": round(size / 1e6, 3), "delegates": list(found.partitions),
        "outside": {name: found.outside.count(name) for name in sorted(set(found.outside))},
    }


def table(rows: Iterable[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table, best agreement first."""
    heads = "recipe", "agreement", "95 %", "worst", "drop", "95 %", "MB", "delegates", "outside"
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in sorted(rows, key=lambda row: -row["agreement"]):
        outside = ", ".join(f"{n} {name}" for name, n in row["outside"].items())
        low, high = row["agreement_ci95"]
        down, up = row["drop_ci95"]
        lines.append(
            f"| {row['name']} | {row['agreement']:.4f} | {low:.4f} to {high:.4f} | "
            f"{row['worst']:.3f} | {row['drop_points']:.2f} | {down:.2f} to {up:.2f} | "
            f"{row['size_mb']:.2f} | {len(row['delegates'])} | {outside} |")
    return "\n".join(lines)


def _earlier(out: Path, digest: str, count: int) -> list[dict[str, Any]]:
    if not out.is_file():
        return []
    content = fileio.read_json(out)
    if content.get("weights_sha256") != digest or content.get("objects") != count:
        return []
    return list(content["rows"])


def _float_file(args: argparse.Namespace, digest: str) -> tuple[Path, metadata.Description]:
    """Return the float file, made where it is missing, and the description of its int8 twins."""
    path = args.keep / f"float-{digest[:12]}.tflite"
    if not path.is_file():
        _log.info("converting %s", args.weights)
        args.keep.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".new")
        made = apart(keras_pair.convert_weights, args.weights, None, MAX_POINTS, SIZE, beside)
        about = _about(digest, made.click_channels, made.network)
        beside.write_bytes(metadata.add_metadata(beside.read_bytes(), about))
        os.replace(beside, path)
    model = TapSegmenter(path).model
    return path, _about(digest, model.click_channels, model.metadata["network"])


def _about(digest: str, channels: int, network: Any) -> metadata.Description:
    return metadata.Description("points", channels, MAX_POINTS, digest, "as weights", __version__,
                                "for measuring", network)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command: 0 done, 2 bad input."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    _log.setLevel(logging.INFO)
    cv2.setNumThreads(1)
    return guarded(lambda: run(parse_args(argv)), "remedies")


if __name__ == "__main__":
    raise SystemExit(main())
