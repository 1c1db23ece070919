"""Command: the loss over all gestures of a training in several stretches, as CSV and picture.

A stretch is one run of `oace train gestures`, or several side by side. Runs differ in seed and
size; what is compared is the Dice loss of first answers, in means of ten batches.
"""
from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from oace_tf.cli import Parser
from oace_tf.errors import UsageError, guarded
from oace_tf.fileio import atomic_write

PROG = "python tools/docs/gesture_curve.py"
EXAMPLE = ("example: %(prog)s docs/images/one_trunk_run.csv --stretch fourth "
           "--add build/a/log.csv build/b/log.csv")
MEAN_OF = 10  # batches a row
SMOOTH = 6  # rows in a point of the picture
COLUMNS = ("stretch", "gestures", "size", "dice_of_first_answers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Ten batches of a stretch."""

    stretch: str
    gestures: int  # seen until its end, in all stretches
    sizes: tuple[int, ...]  # sides of the frame that its batches have, px
    dice: float  # mean Dice loss of first answers, in [0, 1]


def read_curve(path: Path) -> list[Row]:
    """Return the rows of a curve; none where there is no file.

    Raises:
      UsageError: it is no curve.
    """
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [Row(stretch=row["stretch"], gestures=int(row["gestures"]),
                        sizes=tuple(map(int, row["size"].split())),
                        dice=float(row["dice_of_first_answers"]))
                    for row in csv.DictReader(file)]
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path}: no curve of this command ({error})") from error


def stretch_rows(logs: Sequence[Path], stretch: str, start: int, per_step: int,
                 dice_weight: float) -> list[Row]:
    """Return the rows of a stretch.

    Args:
      logs: the `log.csv` of each of its runs, which have the same batches.
      stretch: its name.
      start: gestures seen before it.
      per_step: gestures in a step of one run.
      dice_weight: `losses.dice` of the runs, by which the logs' column is multiplied.
    Raises:
      UsageError: a file that is no log of a training of gestures.
    """
    runs = [_first_answers(path) for path in logs]
    batches = sorted(set.intersection(*(set(run) for run in runs)))
    rows = []
    for first in range(0, len(batches) - MEAN_OF + 1, MEAN_OF):
        chosen = batches[first:first + MEAN_OF]
        loss = np.mean([run[batch][2] for run in runs for batch in chosen]) / dice_weight
        steps = sum(run[chosen[-1]][0] for run in runs)
        sizes = tuple(sorted({runs[0][batch][1] for batch in chosen}))
        rows.append(Row(stretch=stretch, gestures=start + per_step * steps, sizes=sizes,
                        dice=float(loss)))
    return rows


def _first_answers(path: Path) -> dict[int, tuple[int, int, float]]:
    """Return batch -> (steps until then, size, weighted Dice loss) of a log."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return {int(row["batch"]): (int(row["step"]), int(row["size"]), float(row["dice"]))
                    for row in csv.DictReader(file) if row["round"] == "0"}
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path}: no log of `oace train gestures` ({error})") from error


def write_curve(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([row.stretch, row.gestures, " ".join(map(str, row.sizes)),
                         f"{row.dice:.4f}"])
    atomic_write(path, text.getvalue().encode())


def draw(rows: Sequence[Row], out: Path) -> None:
    """Draw the curve as a PNG, a colour for each stretch."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(10.5, 3.8), layout="constrained")
    for stretch in dict.fromkeys(row.stretch for row in rows):
        chosen = [row for row in rows if row.stretch == stretch]
        window = min(SMOOTH, len(chosen))
        smooth = np.convolve([row.dice for row in chosen], np.ones(window) / window, "valid")
        sizes = " ".join(dict.fromkeys(str(size) for row in chosen for size in row.sizes))
        axes.plot([row.gestures / 1000 for row in chosen[window - 1:]], smooth,
                  label=f"{stretch}: {sizes} px")
    axes.set(xlabel="gestures, thousands",
             ylabel=f"Dice loss of first answers,\nmean of {SMOOTH * MEAN_OF} batches")
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize="small")
    atomic_write(out, lambda file: figure.savefig(file, format="png", dpi=110))
    pyplot.close(figure)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return guarded(lambda: _run(_parse_args(argv)), PROG)


def _parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(prog=PROG, epilog=EXAMPLE,
                    description="Add a stretch of a training to its curve, and draw the curve.")
    parser.add_argument("curve", type=Path, metavar="CSV",
                        help="the curve; its picture lies beside it, as .png")
    parser.add_argument("--add", type=Path, nargs="+", default=[], metavar="LOG",
                        help="log.csv of each run of the stretch (default: only draw)")
    parser.add_argument("--stretch", metavar="NAME", help="its name in the picture")
    parser.add_argument("--per-step", type=int, default=36, metavar="N",
                        help="gestures in a step: photographs x scenes.gestures (default: 36)")
    parser.add_argument("--dice-weight", type=float, default=0.5, metavar="X",
                        help="losses.dice of the runs (default: 0.5)")
    return parser.parse_args(argv)


def _run(args: argparse.Namespace) -> int:
    rows = read_curve(args.curve)
    if args.add:
        if not args.stretch:
            raise UsageError("--add needs the name of the stretch: --stretch NAME")
        start = rows[-1].gestures if rows else 0
        rows += stretch_rows(args.add, args.stretch, start, args.per_step, args.dice_weight)
        write_curve(args.curve, rows)
    if not rows:
        raise UsageError(f"{args.curve}: no rows; add a stretch with --add")
    picture = args.curve.with_suffix(".png")
    draw(rows, picture)
    print(f"{args.curve}: {len(rows)} rows, {rows[-1].gestures} gestures; drawn in {picture}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
