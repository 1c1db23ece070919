"""Draw the learning curve of a run: its log.csv -> a PNG."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from oace_tf.cli import Parser
from oace_tf.errors import guarded
from oace_tf.training.curves import draw_curve


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = Parser(
        prog="python docs/plot_training.py", description=__doc__,
        epilog="example: python docs/plot_training.py build/train/log.csv -o docs/images/curve.png",
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path, help="log.csv of a training run")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the PNG")
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> int:
    """Draw the curve; returns the exit code."""
    draw_curve(args.log, args.out)
    print(args.out)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return guarded(lambda: run(parse_args(argv)), "plot_training")


if __name__ == "__main__":
    raise SystemExit(main())
