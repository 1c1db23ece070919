"""Throughput: images/s of the data alone, of the step alone, and of both together."""
from __future__ import annotations

import csv
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np

from oace_tf.errors import UsageError
from oace_tf.training.batches import batches
from oace_tf.training.run_log import LOG
from oace_tf.training.settings import TrainSettings
from oace_tf.training.trainer import Options, Trainer

_WARM = 2  # first steps: compiling, starting workers


def measure(make: Callable[[Path], Trainer], settings: TrainSettings, folders: list[Path],
            click_channels: int, options: Options, steps: int) -> dict[str, float]:
    """Return images/s and shares; the trainer's weights are changed on the way.

    Args:
      make: gives a trainer that writes into a folder.
      settings: of the run; its first phase is measured.
      folders: the data.
      click_channels: 1 or 2.
      options: as the trainer's.
      steps: steps of each of the three parts, after two that are not counted.
    Returns:
      `data`, `model`, `together` (images/s), `waiting_share` (of the time together).
    Raises:
      UsageError: the first phase is shorter than that.
    """
    phase = settings.phases[0]
    if steps < 1 or steps + _WARM > phase.steps:
        raise UsageError(f"--measure {steps}: the first phase has {phase.steps} steps; expected 1 "
                         f"to {phase.steps - _WARM}")
    source = batches(folders, settings, click_channels, 0, options.workers, set(), options.share)
    batch: dict[str, np.ndarray] = {}
    started = 0.0
    with closing(source):
        for step, batch in source:
            if step == _WARM - 1:
                started = time.perf_counter()
            if step == _WARM + steps - 1:
                break
    data = steps * phase.batch / (time.perf_counter() - started)
    with tempfile.TemporaryDirectory() as folder:
        trainer = make(Path(folder))
        for step in range(_WARM + steps):
            if step == _WARM:
                started = time.perf_counter()
            trainer.runner.repeat(batch)
        model = steps * phase.batch / (time.perf_counter() - started)
        trainer.run(checkpoint_every=2**31, stop_at=_WARM + steps)
        with (Path(folder) / LOG).open(newline="") as file:
            rows = list(csv.DictReader(file))[_WARM:]
    seconds = [phase.batch / float(row["images_per_second"]) for row in rows]
    waited = [float(row["waiting_share"]) * all_of_it for row, all_of_it in zip(rows, seconds)]
    return {"data": data, "model": model, "together": steps * phase.batch / sum(seconds),
            "waiting_share": sum(waited) / sum(seconds)}
