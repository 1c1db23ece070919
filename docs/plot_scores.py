"""Draw what the runs so far reached over the scenes seen: a CSV of scores -> a PNG."""
from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from oace_tf.cli import Parser
from oace_tf.errors import UsageError, guarded
from oace_tf.fileio import atomic_write

WANTED: Mapping[str, float] = {"grabcut": 85.0, "ecssd": 85.0, "coco_mval": 66.0}


@dataclass(frozen=True, slots=True)
class Point:
    """The scores of one set of weights."""

    run: str  # "mean": weights averaged, not trained, so no part of a line
    scenes: int  # seen by all runs up to here
    scores: Mapping[str, float]  # mIoU@1 in points by set; sets that were not measured are absent


def read_points(path: Path) -> list[Point]:
    """Return the rows of a CSV with the columns run, scenes, and one for each set.

    Raises:
      UsageError: no such file, a column is missing, a cell is no number, no row.
    """
    try:
        with path.open(newline="") as file:
            points = [Point(row["run"], int(row["scenes"]),
                            {name: float(row[name]) for name in WANTED if row[name].strip()})
                      for row in csv.DictReader(file)]
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{path}: not a table of scores ({error}); expected the columns "
                         f"run,scenes,{','.join(WANTED)}") from error
    if not points:
        raise UsageError(f"{path}: no row below the header")
    return points


def draw(points: Sequence[Point], out: Path) -> Path:
    """Draw a line a set over the scenes, with means as stars and what is wanted dashed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.4), layout="constrained")
    for colour, (name, wanted) in enumerate(WANTED.items()):
        of_set = [point for point in points if name in point.scores]
        for marker, line, chosen in ((".", "-", [p for p in of_set if p.run != "mean"]),
                                     ("*", "", [p for p in of_set if p.run == "mean"])):
            axes.plot([p.scenes / 1000 for p in chosen], [p.scores[name] for p in chosen],
                      color=f"C{colour}", marker=marker, linestyle=line,
                      markersize=10 if marker == "*" else 6,
                      label=f"{name} (wanted {wanted:.0f})" if marker == "." else None)
        axes.axhline(wanted, color=f"C{colour}", linestyle="--", linewidth=0.8)
    last = {point.run: point.scenes / 1000 for point in points if point.run != "mean"}
    for run, scenes in last.items():
        axes.axvline(scenes, color="0.85", linewidth=0.8, zorder=0)
        axes.text(scenes, axes.get_ylim()[0], f"{run} ", ha="right", va="bottom", color="0.5")
    axes.set(xlabel="scenes seen, thousands", ylabel="mIoU@1, points",
             title="Scores over training (stars: means of weights)")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 0.08))
    atomic_write(out, lambda file: figure.savefig(file, format="png", dpi=110))
    pyplot.close(figure)
    return out


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = Parser(
        prog="python docs/plot_scores.py", description=__doc__,
        epilog="example: python docs/plot_scores.py docs/learning_curve.csv "
        "-o docs/images/learning_curve.png",
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", type=Path, help="the CSV")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the PNG")
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> int:
    """Draw the picture; returns the exit code."""
    print(draw(read_points(args.scores), args.out))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return guarded(lambda: run(parse_args(argv)), "plot_scores")


if __name__ == "__main__":
    raise SystemExit(main())
