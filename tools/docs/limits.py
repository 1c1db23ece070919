"""Command: a picture of what it does not do well, and the scores that say so.

Every picture shows the photograph with the tap above and the mask below; whoever trains better
weights runs this again and sees what has become of them.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from oace_tf import pictures
from oace_tf.cli import Parser
from oace_tf.clicks import Click
from oace_tf.errors import guarded
from oace_tf.evaluation.tables import number
from oace_tf.fileio import sha256_file
from oace_tf.images import read_image
from oace_tf.segmenter import TapSegmenter, model_file
from tools.docs.picture import draw_taps, side_by_side, write_recorded

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "docs" / "samples"
OUT = ROOT / "docs" / "images" / "limits.png"
HEIGHT = 220  # px of one panel


@dataclass(frozen=True, slots=True)
class Case:
    """One difficult tap."""

    photograph: str
    tap: Click
    what: str


CASES = (
    Case("camera.jpg", Click(290, 400), "thin: the tripod"),
    Case("camera.jpg", Click(422, 150), "tiny: the tower on the horizon"),
    Case("coffee.jpg", Click(420, 65), "a small part: the handle of the spoon"),
)
GROUPS = (("thinness", ("thin_parts", "middle", "solid")), ("size", ("small", "medium", "large")))


def columns(segmenter: TapSegmenter, cases: Sequence[Case] = CASES) -> np.ndarray:
    """Return the cases beside each other, each the photograph with its tap above its mask.

    Returns:
      (448, W, 3) uint8 RGB, white between the panels.
    """
    rows: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for case in cases:
        image = read_image(SAMPLES / case.photograph)
        mask = segmenter.segment(image, [case.tap])
        for row, panel in zip(rows, (draw_taps(image, [case.tap]),
                                     pictures.overlay(image, mask, [case.tap]))):
            width = round(image.shape[1] * HEIGHT / image.shape[0])
            row.append(cv2.resize(panel, (width, HEIGHT), interpolation=cv2.INTER_AREA))
    upper, lower = map(side_by_side, rows)
    return np.concatenate([upper, np.full((8, upper.shape[1], 3), 255, np.uint8), lower])


def table(scores: Mapping[str, Any]) -> str:
    """Return mIoU@1 of the int8 file by thinness and size as Markdown.

    Args:
      scores: what docs/scores.json holds.
    """
    heads = ["thin parts", "middle", "solid", "small", "medium", "large"]
    lines = ["| mIoU@1 (objects) | " + " | ".join(heads) + " |", "|---" * (1 + len(heads)) + "|"]
    for entry in scores["entries"]:
        if entry["kind"] != "int8":
            continue
        cells = []
        for group, parts in GROUPS:
            for part in parts:
                figure = (entry["groups"] or {}).get(group, {}).get(part)
                cells.append("-" if figure is None else
                             f"{number(figure['miou_at']['1'])} ({figure['n']})")
        lines.append(f"| {entry['dataset']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def run(args: argparse.Namespace) -> int:
    """Draw the picture; return 0."""
    model = model_file(args.model)
    picture = columns(TapSegmenter(model))
    write_recorded(args.out, picture, {
        "sha256": sha256_file(model),
        "cases": [[case.photograph, case.tap.x, case.tap.y, case.what] for case in CASES]})
    print(args.out)
    return 0


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python tools/docs/limits.py --out build/limits.png")
    add = parser.add_argument
    add("--model", type=Path, metavar="FILE", help="int8 file (default: the one in the package)")
    add("--out", type=Path, default=OUT, metavar="FILE.png", help="default: docs/images/limits.png")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return guarded(lambda: run(parse_args(argv)), "python tools/docs/limits.py")


if __name__ == "__main__":
    raise SystemExit(main())
