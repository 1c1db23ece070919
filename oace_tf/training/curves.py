"""Learning curve of a run: its log.csv, and validation.csv where there is one, as a PNG."""
from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from oace_tf.errors import UsageError
from oace_tf.fileio import atomic_write
from oace_tf.training.run_log import VALIDATION_LOG

CURVE = "curve.png"
_WINDOW = 25  # steps of the moving mean


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
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise UsageError(f"{path}: not a training log ({error}); expected the log.csv of "
                         "oace_tf.train") from error


def read_validation(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return (steps, mIoU@1) of each set in a validation log; nothing where there is no file.

    Raises:
      UsageError: it is no validation log.
    """
    if not path.is_file():
        return {}
    points: dict[str, list[tuple[float, float]]] = {}
    try:
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                points.setdefault(row["set"], []).append((float(row["step"]), float(row["miou"])))
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise UsageError(f"{path}: not a validation log ({error})") from error
    return {name: (np.array(rows)[:, 0], np.array(rows)[:, 1]) for name, rows in points.items()}


def draw_curve(log_path: Path, out: Path) -> Path:
    """Draw the loss of each step, and below it what validation found; returns the PNG.

    Raises:
      UsageError: not a log, or fewer than two steps.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    log = read_log(log_path)
    if len(log["step"]) < 2:
        raise UsageError(f"{log_path}: fewer than two steps")
    checks = read_validation(log_path.with_name(VALIDATION_LOG))
    figure, grid = pyplot.subplots(2 if checks else 1, squeeze=False, sharex=True,
                                   figsize=(8, 6.4 if checks else 3.6), layout="constrained")
    axes = grid[0, 0]
    axes.plot(log["step"], log["loss"], color="0.8", linewidth=0.7, label="each step")
    window = min(_WINDOW, len(log["loss"]))
    smooth = np.convolve(log["loss"], np.ones(window) / window, "valid")
    axes.plot(log["step"][window - 1:], smooth, color="C0", label=f"mean of {window} steps")
    for change in np.flatnonzero(np.diff(log["size"])) + 1:
        axes.axvline(log["step"][change], color="C1", linewidth=0.8)
        axes.text(log["step"][change], axes.get_ylim()[1], f" {log['size'][change]:.0f} px",
                  va="top", color="C1")
    axes.set(ylabel="loss", title=f"{len(log['loss'])} steps, from {log['size'][0]:.0f} px")
    axes.legend()
    for name, (steps, values) in checks.items():
        grid[1, 0].plot(steps, values, marker=".", label=name)
    if checks:
        grid[1, 0].set(ylabel="mIoU@1, points")
        grid[1, 0].legend()
    grid[-1, 0].set(xlabel="step")
    atomic_write(out, lambda file: figure.savefig(file, format="png", dpi=110))
    pyplot.close(figure)
    return out
