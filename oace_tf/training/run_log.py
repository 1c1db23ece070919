"""Log of a run: CSV files of steps and validations, and pictures."""
from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from oace_tf.fileio import atomic_write
from oace_tf.images import write_image

LOG = "log.csv"
VALIDATION_LOG = "validation.csv"
PICTURES = "pictures"
COLUMNS = ("step", "size", "loss", "images_per_second", "waiting_share")
VALIDATION_COLUMNS = ("step", "set", "n", "miou", "own_minus_other", "confusion")


class RunLog:
    """Writes what is seen of a run into its folder.

    Args:
      folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def step(self, step: int, size: int, loss: float, rate: float, waiting: float) -> None:
        """Note a step: side of the frame, loss, images/s, share of time waiting for data."""
        _append(self._folder / LOG, COLUMNS,
                [[step, size, f"{loss:.5f}", f"{rate:.3f}", f"{waiting:.4f}"]], step == 0)

    def validation(self, step: int, figures: Mapping[str, Any]) -> None:
        """Note the figures of `validation.validate` after `step` steps."""
        rows = [[step, name, *(row.get(key, "") for key in VALIDATION_COLUMNS[2:])]
                for name, row in figures["sets"].items()]
        _append(self._folder / VALIDATION_LOG, VALIDATION_COLUMNS, rows, False)

    def picture(self, step: int, picture: np.ndarray) -> None:
        """Keep a picture, (H, W, 3) uint8."""
        write_image(self._folder / PICTURES / f"{step:08d}.png", picture)

    def cut(self, step: int) -> None:
        """Take out what comes after `step` steps: it is made again."""
        for name, columns, last in ((LOG, COLUMNS, step - 1),
                                    (VALIDATION_LOG, VALIDATION_COLUMNS, step)):
            path = self._folder / name
            if path.is_file():
                with path.open(newline="") as file:
                    rows = [row for row in csv.DictReader(file) if _number(row["step"]) <= last]
                whole = [list(row.values()) for row in rows if None not in row.values()]
                atomic_write(path, _csv([columns, *whole]))


def _number(text: str | None) -> float:
    """Return a step; what is cut in the middle comes after everything."""
    return float(text) if text is not None and text.isdigit() else float("inf")


def _append(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]],
            fresh: bool) -> None:
    if fresh or not path.is_file():
        atomic_write(path, _csv([columns, *rows]))
        return
    with path.open("a", newline="") as file:
        csv.writer(file).writerows(rows)


def _csv(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
