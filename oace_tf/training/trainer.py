"""The training loop: steps, schedule, moving average, checkpoints, a log."""
from __future__ import annotations

import csv
import io
import json
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from oace_tf.errors import OaceError, UsageError
from oace_tf.fileio import atomic_write
from oace_tf.networks.pair import Pair
from oace_tf.networks.weights import get_arrays, save_weights, set_arrays, value_of
from oace_tf.tensor_file import write_tensors
from oace_tf.training.batches import batches, twin_pairs
from oace_tf.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from oace_tf.training.distill import Teacher, load_teacher
from oace_tf.training.quantize_aware import QuantizeAwareModel, start_ranges
from oace_tf.training.settings import Phase, TrainSettings
from oace_tf.training.step import TrainingModel

logger = logging.getLogger(__name__)
CHECKPOINT = "checkpoint.safetensors"
WEIGHTS = "weights.safetensors"
LOG = "log.csv"
BAD_BATCH = "bad_batch.safetensors"
_COLUMNS = ("step", "size", "loss", "images_per_second", "waiting_share")
_AVERAGE_EVERY = 4  # steps between updates of the moving average


class Trainer:
    """One run of one stage, in a folder of its own.

    Raises:
      UsageError: a stage that trains a prior, for a pair without one.
    """

    def __init__(self, pair: Pair, stage: str, settings: TrainSettings, folders: list[Path],
                 out: Path, workers: int = 1) -> None:
        if stage != "msfnet" and pair.prior is None:
            raise UsageError(f"stage {stage!r} trains a prior, but this network has none")
        self._pair, self._stage, self._settings = pair, stage, settings
        self._folders, self._out, self._workers = folders, out, workers
        teacher = load_teacher(settings.distill, stage)
        self._ranges: dict[str, tuple[float, float]] = {}
        self._model = self._training_model(teacher)
        self._optimizer = _optimizer(settings)
        self._model.compile(optimizer=self._optimizer,
                            jit_compile=keras.backend.backend() == "jax")
        self._average: dict[str, np.ndarray] = {}
        self._step = 0
        self._skipped: set[str] = set()
        self._run = {"stage": stage, "network": pair.config.to_json(),
                     "settings": settings.to_json(),
                     **({} if teacher is None else {"teacher": teacher.sha256})}
        self._teacher_sha256 = None if teacher is None else teacher.sha256

    def _training_model(self, teacher: Teacher | None) -> TrainingModel:
        losses, aware = self._settings.losses, self._settings.quantize_aware
        if aware is None:
            return TrainingModel(self._pair, self._stage, losses, teacher)
        # Of the weights the run starts from, so that a resumed run finds the same ranges.
        self._ranges = start_ranges(self._pair, self._settings, self._folders)
        return QuantizeAwareModel(self._pair, self._stage, losses, teacher, aware, self._ranges)

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """The ranges of the simulated int8 networks by layer; empty where there are none."""
        return dict(self._ranges)

    @property
    def step(self) -> int:
        """The number of steps done."""
        return self._step

    @property
    def teacher_sha256(self) -> str | None:
        """The SHA-256 of the teacher's weights, where one is followed."""
        return self._teacher_sha256

    @property
    def skipped(self) -> tuple[str, ...]:
        """The images that could not be read so far."""
        return tuple(sorted(self._skipped))

    def resume(self) -> None:
        """Take up the run in the folder where its last checkpoint left it.

        Raises:
          UsageError: no checkpoint, a damaged one, or one of another run.
        """
        path = self._out / CHECKPOINT
        state = read_checkpoint(path)
        ours = _plain(self._run)
        for key, value in ours.items():
            if state.run.get(key) != value:
                raise UsageError(f"{path}: was made with another {key}; repeat the arguments of "
                                 "that run, or start without --resume")
        set_arrays(self._pair, state.weights, str(path))
        variables = self._optimizer_variables()
        shapes = [tuple(variable.shape) for variable in variables]
        if shapes != [array.shape for array in state.optimizer]:
            raise UsageError(f"{path}: its {len(state.optimizer)} optimizer tensors are not the "
                             f"{len(shapes)} of this version of Keras; start without --resume")
        for variable, array in zip(variables, state.optimizer):
            variable.assign(array)
        self._average = dict(state.average)
        self._step, self._skipped = state.step, set(state.skipped)
        self._cut_log()

    def run(self, checkpoint_every: int = 200, stop_at: int | None = None) -> None:
        """Train to the last step (or to `stop_at`) and leave a checkpoint.

        Args:
          checkpoint_every: steps between checkpoints.
          stop_at: step to stop before, for runs in parts.
        Raises:
          OaceError: a loss that is not finite; the batch is saved for inspection.
          UsageError: data of which no scene can be made, or a folder that cannot be written.
        """
        total = self._settings.steps
        end = total if stop_at is None else min(stop_at, total)
        if self._step >= end:
            return
        try:
            self._out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot write into {self._out}: {error.strerror}; "
                             "name another folder") from error
        source = batches(self._folders, self._settings, self._pair.config.click_channels,
                         self._step, self._workers, self._skipped)
        phase: Phase | None = None
        with (closing(source),
              tqdm(total=total, initial=self._step, unit="step", disable=None) as bar):
            started = time.perf_counter()
            for step, batch in source:
                waited = time.perf_counter() - started
                if self._settings.phase_of(step) != phase:
                    phase = self._settings.phase_of(step)
                    self._model.twin_pairs = twin_pairs(phase.batch, self._settings.scenes.twins)
                    self._model.make_train_function(force=True)  # one graph for each size
                loss = self._one_step(step, batch)
                seconds = time.perf_counter() - started
                rate = phase.batch / seconds
                bar.update()
                bar.set_postfix_str(f"loss {loss:.4f}, {rate:.1f} images/s", refresh=False)
                self._log(step, phase.size, loss, rate, waited / seconds)
                self._step = step + 1
                if self._step % checkpoint_every == 0 or self._step >= end:
                    self._checkpoint()
                if self._step >= end:
                    break
                started = time.perf_counter()

    def save(self, record: Mapping[str, Any], path: Path | None = None) -> Path:
        """Write the weights (their moving average where one is kept) and return the path."""
        path = self._out / WEIGHTS if path is None else path
        live = get_arrays(self._pair)
        try:
            if self._average:
                set_arrays(self._pair, self._average, "moving average")
            save_weights(path, self._pair, record)
        finally:
            if self._average:
                set_arrays(self._pair, live, "weights")
        return path

    def _one_step(self, step: int, batch: dict[str, np.ndarray]) -> float:
        self._optimizer.learning_rate.assign(self._settings.learning_rate_at(step))
        self._model.reset_metrics()
        loss = float(self._model.train_on_batch(batch))
        if not np.isfinite(loss):
            path, last = self._out / BAD_BATCH, self._out / CHECKPOINT
            write_tensors(path, batch, {"format": "oace-batch-1", "step": str(step)})
            raise OaceError(f"the loss of step {step} is {loss}; its batch is in {path}, "
                            + (f"the last good state in {last}" if last.is_file()
                               else "no checkpoint was written yet"))
        if self._settings.ema > 0 and (step + 1) % _AVERAGE_EVERY == 0:
            self._update_average(step)
        return loss

    def _update_average(self, step: int) -> None:
        # Early on the average is short, so that it forgets the untrained weights.
        keep = min(self._settings.ema, (1 + step) / (10 + step)) ** _AVERAGE_EVERY
        for name, value in get_arrays(self._pair).items():
            if name in self._average:
                self._average[name] += (1.0 - keep) * (value - self._average[name])
            else:
                self._average[name] = value

    def _optimizer_variables(self) -> list[Any]:
        if not self._optimizer.built:
            self._optimizer.build(self._model.trainable_variables)
        return list(self._optimizer.variables)

    def _checkpoint(self) -> None:
        optimizer = tuple(map(value_of, self._optimizer_variables()))
        write_checkpoint(self._out / CHECKPOINT, Checkpoint(
            self._step, _plain(self._run), get_arrays(self._pair), self._average, optimizer,
            self.skipped))

    def _log(self, step: int, size: int, loss: float, rate: float, waiting: float) -> None:
        path = self._out / LOG
        row = [step, size, f"{loss:.5f}", f"{rate:.3f}", f"{waiting:.4f}"]
        if step == 0 or not path.is_file():
            atomic_write(path, _csv([_COLUMNS, row]))
            return
        with path.open("a", newline="") as file:
            csv.writer(file).writerow(row)

    def _cut_log(self) -> None:
        """Take the steps out of the log that come after the checkpoint: they are made again."""
        path = self._out / LOG
        if path.is_file():
            with path.open(newline="") as file:
                rows = [row for row in csv.DictReader(file) if int(row["step"]) < self._step]
            whole = [list(row.values()) for row in rows if None not in row.values()]
            atomic_write(path, _csv([_COLUMNS, *whole]))


def _csv(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _optimizer(settings: TrainSettings) -> keras.optimizers.Optimizer:
    clip = settings.clip_norm or None
    if settings.weight_decay > 0:
        optimizer = keras.optimizers.AdamW(settings.learning_rate, global_clipnorm=clip,
                                           weight_decay=settings.weight_decay)
        optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
        return optimizer
    return keras.optimizers.Adam(settings.learning_rate, global_clipnorm=clip)


def _plain(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON object as it comes back from a file: tuples as lists."""
    plain: dict[str, Any] = json.loads(json.dumps(run))
    return plain
