"""Command: how well polygons of few points fit masks, as the table in docs/gestures.md.

The masks are the true ones of labelled sets, so the table does not depend on weights.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from oace_tf.cli import Parser, required_data_root
from oace_tf.errors import UsageError, guarded
from oace_tf.evaluation.metrics import mask_agreement
from oace_tf.polygons import mask_of, polygons_of
from oace_tf.samples.layouts import iter_samples

PROG = "python tools/docs/polygons.py"
POINTS = (10, 20, 40, 80)
SETS = ("grabcut", "ecssd", "coco_mval")


def scores(masks: Iterable[np.ndarray], points: Sequence[int] = POINTS) -> np.ndarray:
    """Return the IoU of each mask, (H, W) bool, with its polygons of so many points.

    Returns:
      (masks, len(points)) float64 in [0, 1].
    """
    return np.array([[mask_agreement(mask_of(polygons_of(mask, count), *mask.shape), mask)
                      for count in points] for mask in masks]).reshape(-1, len(points))


def table(by_set: dict[str, np.ndarray], points: Sequence[int] = POINTS) -> str:
    """Return the mean of each set and the share of masks below 90, as Markdown."""
    lines = ["| masks of | objects | " + " | ".join(f"N = {count}" for count in points) + " |",
             "|---|" + "---|" * (1 + len(points))]
    for name, values in by_set.items():
        cells = [f"{100 * column.mean():.1f} ({100 * np.mean(column < 0.9):.0f} %)"
                 for column in values.T]
        lines.append(f"| {name} | {len(values)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return guarded(lambda: _run(_parse_args(argv)), PROG)


def _parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(prog=PROG, epilog="example: %(prog)s --data DATA --dataset ecssd",
                    description="Measure how well polygons of few points fit true masks.")
    parser.add_argument("--data", type=Path, metavar="DIR",
                        help="where the labelled sets lie (default: OACE_DATA)")
    parser.add_argument("--dataset", nargs="+", default=list(SETS), metavar="NAME",
                        help=f"default: {' '.join(SETS)}")
    return parser.parse_args(argv)


def _run(args: argparse.Namespace) -> int:
    root = required_data_root(args.data, "labelled sets")
    by_set = {}
    for name in args.dataset:
        masks = (sample.mask == 1 for sample in iter_samples(name, root))
        values = scores(mask for mask in masks if mask.any())
        if not len(values):
            raise UsageError(f"{name}: no object has a mask; name another set")
        by_set[name] = values
    print(table(by_set), end="")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
