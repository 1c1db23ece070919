"""Draw the learning curve of a run: its log.csv -> a PNG."""
from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np

from oace_tf.errors import UsageError, guarded
from oace_tf.fileio import atomic_write

_WINDOW = 25  # steps of the moving mean


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python docs/plot_training.py", description=__doc__,
        epilog="example: python docs/plot_training.py build/train/log.csv -o docs/images/curve.png",
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path, help="log.csv of a training run")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the PNG")
    return parser.parse_args(argv)


def read_log(path: Path) -> dict[str, np.ndarray]:
    """Return the columns of a training log as float arrays, by name.

    Raises:
      UsageError: no such file, or not a training log.
    """
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        return {name: np.array([float(row[name]) for row in rows])
                for name in ("step", "size", "loss", "images_per_second")}
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path}: not a training log ({error}); expected the log.csv of "
                         "oace_tf.train") from error


def run(args: argparse.Namespace) -> int:
    """Draw the curve; returns the exit code."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    log = read_log(args.log)
    if len(log["step"]) < 2:
        raise UsageError(f"{args.log}: fewer than two steps")
    figure, axes = pyplot.subplots(figsize=(8, 3.6), layout="constrained")
    axes.plot(log["step"], log["loss"], color="0.8", linewidth=0.7, label="each step")
    window = min(_WINDOW, len(log["loss"]))
    smooth = np.convolve(log["loss"], np.ones(window) / window, "valid")
    axes.plot(log["step"][window - 1:], smooth, color="C0", label=f"mean of {window} steps")
    for change in np.flatnonzero(np.diff(log["size"])) + 1:
        axes.axvline(log["step"][change], color="C1", linewidth=0.8)
        axes.text(log["step"][change], axes.get_ylim()[1], f" {log['size'][change]:.0f} px",
                  va="top", color="C1")
    axes.set(xlabel="step", ylabel="loss", title=f"{len(log['loss'])} steps, from "
             f"{log['size'][0]:.0f} px")
    axes.legend()
    atomic_write(args.out, lambda file: figure.savefig(file, format="png", dpi=110))
    print(args.out)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    args = parse_args(argv)
    return guarded(lambda: run(args), "plot_training")


if __name__ == "__main__":
    raise SystemExit(main())
