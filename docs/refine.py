"""Measure what --refine does to the edges: boundary IoU and IoU against plain enlarging.

Each object is tapped once. `own`: the photograph as it is. `large`: the mask of the network and the
picture beside it are shrunk until the photograph has as many pixels for each of theirs as 12
megapixels have for one of 512x512 (45.8), since the sets hold no large photographs; what is
compared is then the way back to the photograph alone, with windows of the same share of the
picture, but at least 3x3.
"""
from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from oace_tf import fileio
from oace_tf.cli import Parser
from oace_tf.clicker import first_click
from oace_tf.errors import UsageError, guarded
from oace_tf.evaluation.metrics import iou, paired_bootstrap_ci
from oace_tf.evaluation.shapes import boundary_iou
from oace_tf.geometry import Frame
from oace_tf.runtime.edge_refinement import Refinement, refine
from oace_tf.samples.layouts import find_dataset, list_samples
from oace_tf.samples.sample import Sample
from oace_tf.segmenter import THRESHOLD, TapSegmenter

SETS = ("grabcut", "ecssd", "coco_mval")
CHOSEN_ON = ("ecssd", "coco_mval")  # settings are never chosen on GrabCut
GRID = tuple(Refinement(radius, epsilon) for radius, epsilon in itertools.product(
    (2, 4, 8, 16), (1e-4, 1e-3, 1e-2)))
SIDES_12_MP = (4000, 3000)


@dataclass(frozen=True, slots=True)
class Row:
    """One object at one scale: boundary IoU and IoU, plain and by each setting."""

    dataset: str
    scale: str  # own or large
    boundary: tuple[float, ...]  # the first without refinement
    iou: tuple[float, ...]
    seconds: tuple[float, float]  # enlarging, refining by the first setting


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: OACE_DATA=data python docs/refine.py --json build/refine.json")
    add = parser.add_argument
    add("--data", type=Path, help="folder of the sets (default: what OACE_DATA names)")
    add("--model", type=Path, help="a .tflite file (default: the one in the package)")
    add("--every", type=int, default=1, metavar="K", help="every K-th object (default: all)")
    add("--grid", action="store_true", help="all settings, on val/ alone: to choose one")
    add("--json", type=Path, metavar="FILE", help="the figures as JSON")
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> int:
    """Measure and print; 0."""
    data = args.data or Path(os.environ.get("OACE_DATA", ""))
    names = [name for name in (CHOSEN_ON if args.grid else SETS)
             if find_dataset(name, data) is not None]
    if not names or args.every < 1:
        raise UsageError(f"no set of {', '.join(SETS)} in {data}, or --every below 1; name the "
                         "folder with --data or OACE_DATA")
    settings = GRID if args.grid else (Refinement(),)
    segmenter = TapSegmenter(args.model)
    files = [file for name in names for file in list_samples(name, data)[:: args.every]]
    rows = [row for file in tqdm(files, disable=None, unit="object")
            for row in measure(segmenter, file.read(), settings)]
    entries = list(summaries(rows, settings))
    print(table(entries))
    if args.json:
        fileio.write_json(args.json, entries)
    return 0


def measure(segmenter: TapSegmenter, sample: Sample,
            settings: Sequence[Refinement]) -> Iterator[Row]:
    """Yield the rows of one object."""
    height, width = sample.mask.shape
    frame = Frame(height, width, segmenter.model.size)
    seen = frame.image(sample.image)
    mask = segmenter.model.run(seen, segmenter.points(frame, [first_click(sample.mask)]))
    yield compare(sample, "own", mask, seen, settings)
    side = round(float(np.sqrt(height * width / np.prod(SIDES_12_MP))) * segmenter.model.size)
    small = (side, side)
    yield compare(sample, "large", cv2.resize(mask, small, interpolation=cv2.INTER_AREA),
                  cv2.resize(sample.image, small, interpolation=cv2.INTER_AREA), settings)


def compare(sample: Sample, scale: str, mask: np.ndarray, seen: np.ndarray,
            settings: Sequence[Refinement]) -> Row:
    """Return the row of one mask at one scale."""
    height, width = sample.mask.shape
    begin = time.perf_counter()
    plain = Frame(height, width, mask.shape[0]).mask_back(mask)
    between = time.perf_counter()
    refined = [refine(mask, seen, sample.image, settings[0])]
    end = time.perf_counter()
    refined += [refine(mask, seen, sample.image, setting) for setting in settings[1:]]
    masks = [probability >= THRESHOLD for probability in (plain, *refined)]
    return Row(sample.dataset, scale, tuple(boundary_iou(m, sample.mask) for m in masks),
               tuple(iou(m, sample.mask) for m in masks), (between - begin, end - between))


def summaries(rows: Sequence[Row], settings: Sequence[Refinement]) -> Iterator[dict[str, Any]]:
    """Yield the figures of each set, scale and setting; in points of 100."""
    names = list(dict.fromkeys(row.dataset for row in rows))
    for scale, name in itertools.product(("own", "large"), (*names, "pooled")):
        chosen = [row for row in rows if row.scale == scale and name in (row.dataset, "pooled")]
        for number, setting in enumerate(settings, 1):
            entry = {"scale": scale, "dataset": name, "n": len(chosen),
                     "radius": setting.radius, "epsilon": setting.epsilon}
            for metric in ("boundary", "iou"):
                plain, refined = (100 * np.array([getattr(row, metric)[k] for row in chosen])
                                  for k in (0, number))
                low, high = paired_bootstrap_ci(refined, plain, np.random.default_rng(0))
                entry[metric] = {
                    "plain": round(float(plain.mean()), 2),
                    "refined": round(float(refined.mean()), 2),
                    "gain": round(float((refined - plain).mean()), 2),
                    "ci95": [round(low, 2), round(high, 2)]}
            entry["ms"] = [round(1e3 * float(np.median([row.seconds[k] for row in chosen])), 1)
                           for k in (0, 1)]
            yield entry


def table(entries: Sequence[dict[str, Any]]) -> str:
    """Return the figures as text."""
    lines = [f"{'scale':<6} {'set':<10} {'n':>4} {'r':>2} {'eps':>7}  "
             f"{'boundary IoU':>15} {'gain (95 %)':>22}  {'IoU':>15} {'gain (95 %)':>22}"]
    for entry in entries:
        cells = [f"{entry[m]['plain']:>6.2f} -> {entry[m]['refined']:>5.2f} "
                 f"{entry[m]['gain']:>+7.2f} ({entry[m]['ci95'][0]:+.2f} to "
                 f"{entry[m]['ci95'][1]:+.2f})" for m in ("boundary", "iou")]
        lines.append(f"{entry['scale']:<6} {entry['dataset']:<10} {entry['n']:>4} "
                     f"{entry['radius']:>2} {entry['epsilon']:>7g}  {'  '.join(cells)}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command: 0 done, 2 bad input."""
    return guarded(lambda: run(parse_args(argv)), "refine")


if __name__ == "__main__":
    raise SystemExit(main())
