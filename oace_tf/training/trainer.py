"""Trainer: one run, its stages in order, checkpoints, resuming, validation, final weights."""
from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from oace_tf.errors import OaceError, UsageError
from oace_tf.fileio import make_folder, writing_alone
from oace_tf.networks.pair import Pair
from oace_tf.networks.weights import get_arrays, save_weights, set_arrays
from oace_tf.progress import Progress
from oace_tf.tensor_file import write_tensors
from oace_tf.training.batches import batches
from oace_tf.training.checkpoint import (
    CHECKPOINT,
    Checkpoint,
    keep_older,
    last_good,
    write_checkpoint,
)
from oace_tf.training.devices import Share, one_device
from oace_tf.training.distill import load_teacher
from oace_tf.training.moving_average import MovingAverage
from oace_tf.training.optimizer import get_state, set_state
from oace_tf.training.predictions import Predictions, picture
from oace_tf.training.quantize_aware import start_ranges
from oace_tf.training.run_log import LOG, RunLog
from oace_tf.training.settings import Phase, TrainSettings
from oace_tf.training.stage_runner import LossNotFinite, StageRunner
from oace_tf.training.validation import Validation, validate

__all__ = ["BAD_BATCH", "BEST", "CHECKPOINT", "LOG", "WEIGHTS", "Options", "Trainer"]
logger = logging.getLogger(__name__)
WEIGHTS = "weights.safetensors"
BEST = "best.safetensors"
BAD_BATCH = "bad_batch.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What does not change the weights of a step, and may differ when a run is resumed."""

    workers: int = 1  # processes that prepare scenes; 0: none
    keep: int = 3  # checkpoints
    pictures_every: int = 0  # steps; 0: none
    validation: Validation | None = None  # chooses the weights that are saved
    data: Sequence[Mapping[str, Any]] = ()  # records of the sources; compared on resuming
    share: Share = Share()  # of several hosts, this one's


class Trainer:
    """One run, in a folder of its own.

    Attributes:
      runner: of the stage that is trained now.
    Raises:
      UsageError: a stage that trains a prior, for a pair without one, or a batch that several
        devices cannot share.
    """

    def __init__(self, pair: Pair, stage: str, settings: TrainSettings, folders: list[Path],
                 out: Path, workers: int = 1, options: Options | None = None) -> None:
        self._options = Options(workers=workers) if options is None else options
        stages = {phase.stage or stage for phase in settings.phases}
        for name in sorted(stages - {"msfnet"}) if pair.prior is None else ():
            raise UsageError(f"stage {name!r} trains a prior, but this network has none")
        for phase in settings.phases:
            self._options.share.check(phase.batch // settings.accumulate, settings)
        self.pair, self._stage, self.settings = pair, stage, settings
        self._teacher = load_teacher(settings.distill, stage)
        self.folders, self._out = folders, out
        self._log = RunLog(out)
        self._predictions = Predictions(pair)
        self._forward: Any = None
        self._ranges: dict[str, tuple[float, float]] = {}
        if settings.quantize_aware is not None:
            # Of the weights the run starts from, so that a resumed run finds the same ranges.
            self._ranges = start_ranges(pair, settings, folders)
        self._average = MovingAverage(settings.ema)
        self._step = 0
        self._skipped: set[str] = set()
        self._notes: dict[str, Any] = {}
        self._run = {"stage": stage, "network": pair.config.to_json(),
                     "settings": settings.to_json(), "data": list(self._options.data),
                     **({} if self._teacher is None else {"teacher": self._teacher.sha256})}
        self._last_written: int | None = None  # the step of the newest checkpoint, if it is good
        self.runner = self._runner_of(settings.phases[0].stage or stage)

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """The ranges of the simulated int8 networks by layer; empty where there are none."""
        return dict(self._ranges)

    @property
    def average(self) -> dict[str, np.ndarray]:
        """The moving average of the weights; empty before its first update."""
        return self._average.arrays

    @property
    def step(self) -> int:
        """The number of steps done."""
        return self._step

    @property
    def teacher_sha256(self) -> str | None:
        """The SHA-256 of the teacher's weights, where one is followed."""
        return None if self._teacher is None else self._teacher.sha256

    @property
    def skipped(self) -> tuple[str, ...]:
        """The images that could not be read so far."""
        return tuple(sorted(self._skipped))

    @property
    def notes(self) -> Mapping[str, Any]:
        """What validation found: `best` (step, score) and `history`; empty without."""
        return self._notes

    def resume(self) -> None:
        """Take up the run in the folder where its last good checkpoint left it.

        Raises:
          UsageError: no checkpoint, only damaged ones, or one of another run.
        """
        path, state = last_good(self._out)
        self._compare(path, state.run)
        self._enter(state.optimizer_of or self._stage)
        set_state(self.runner.optimizer, state.optimizer, str(path))
        set_arrays(self.pair, state.weights, str(path))
        self._average.arrays = dict(state.average)
        self._step, self._skipped = state.step, set(state.skipped)
        self._notes = dict(state.notes)
        self._last_written = state.step if path.name == CHECKPOINT else None
        self._log.cut(self._step)

    def run(self, checkpoint_every: int = 200, stop_at: int | None = None) -> None:
        """Train to the last step (or to `stop_at`) and leave a checkpoint.

        Args:
          checkpoint_every: steps between checkpoints.
          stop_at: step to stop before, for runs in parts.
        Raises:
          OaceError: a step that is not finite; the batch is saved for inspection, and the state
            before it.
          UsageError: data of which no scene can be made, or a folder that cannot be written.
        """
        total = self.settings.steps
        end = total if stop_at is None else min(stop_at, total)
        if self._step >= end:
            return
        make_folder(self._out)
        source = batches(self.folders, self.settings, self.pair.config.click_channels,
                         self._step, self._options.workers, self._skipped, self._options.share)
        phase: Phase | None = None
        # Of several hosts the first one writes.
        alone = writing_alone(self._out) if self._options.share.first else nullcontext()
        with alone, closing(source), Progress(total, "training", "step", self._step) as bar:
            started = time.perf_counter()
            for step, batch in source:
                waited_s = time.perf_counter() - started
                if self.settings.phase_of(step) != phase:
                    phase = self.settings.phase_of(step)
                    self._enter(phase.stage or self._stage)
                    self.runner.begin(phase)
                try:
                    loss, rate = self.runner.logged_step(step, batch, started, waited_s)
                except LossNotFinite as error:
                    raise self._stopped(step, error) from None
                bar.update()
                bar.note(f"loss {loss:.4f}, {rate:.1f} images/s")
                self._step = step + 1
                self._look(batch)
                if self._step % checkpoint_every == 0 or self._step >= end:
                    self._checkpoint()
                if self._step >= end:
                    break
                started = time.perf_counter()

    def save(self, record: Mapping[str, Any], path: Path | None = None) -> Path:
        """Write the weights (their moving average where one is kept) and return the path.

        Where validation chose weights, those are written, and the record says of which step.
        """
        path = self._out / WEIGHTS if path is None else path
        best = self._out / BEST
        if "best" in self._notes and best.is_file():
            from oace_tf.networks.weights import read_arrays

            record = {**record, "validation": self._notes}
            self._with(read_arrays(best)[2], lambda: save_weights(path, self.pair, record))
        else:
            self._with(self.average, lambda: save_weights(path, self.pair, record))
        return path

    def _with(self, arrays: Mapping[str, np.ndarray], action: Any) -> Any:
        """Do something with other weights in the pair; empty ones stand for its own."""
        if not arrays:
            return action()
        live = get_arrays(self.pair)
        try:
            set_arrays(self.pair, arrays, "other weights")
            return action()
        finally:
            set_arrays(self.pair, live, "weights")

    def _enter(self, stage: str) -> None:
        if stage != self.runner.stage:
            self.runner = self._runner_of(stage)

    def _runner_of(self, stage: str) -> StageRunner:
        return StageRunner(stage, self.pair, self.settings, average=self._average,
                           predictions=self._predictions, teacher=self._teacher,
                           ranges=self._ranges,
                           log=self._log if self._options.share.first else None)

    def _stopped(self, step: int, error: LossNotFinite) -> OaceError:
        """Save the batch of a step that was not finite, and the state before it; say where."""
        path, last = self._out / BAD_BATCH, self._out / CHECKPOINT
        write_tensors(path, error.batch, {"format": "oace-batch-1", "step": str(step)})
        finite = all(np.isfinite(array).all() for array in get_arrays(self.pair).values())
        if error.first and finite:  # the step has left no trace
            self._checkpoint()
        return OaceError(f"{error}; its batch is in {path}, "
                         + (f"the last good state in {last}" if last.is_file()
                            else "no checkpoint was written yet"))

    def _look(self, batch: dict[str, np.ndarray]) -> None:
        """Draw a picture and validate, where it is time to."""
        options = self._options
        if not options.share.first:
            return
        if options.pictures_every and self._step % options.pictures_every == 0:
            few = {name: array[:4] for name, array in batch.items()}
            with one_device():
                self._log.picture(self._step, picture(few, self._predictions.of(few)))
        if options.validation is not None and (
                self._step % options.validation.every == 0 or self._step == self.settings.steps):
            self._validate(options.validation)

    def _validate(self, validation: Validation) -> None:
        """Measure the averaged weights; keep them where they are the best so far."""
        if self._forward is None:
            from oace_tf.networks.predictor import Forward

            self._forward = Forward(self.pair, validation.size)
        total = sum(len(groups) for groups in validation.sets.values())
        with (one_device(), Progress(total, "validation", "image", leave=False) as bar):
            figures = self._with(self.average, lambda: validate(
                self._forward.mask, validation.sets, bar.update))
        self._log.validation(self._step, figures)
        entry = {"step": self._step, **figures}
        self._notes.setdefault("history", []).append(entry)
        self._notes["sets"] = validation.record()
        best = self._notes.get("best")
        if best is None or figures["score"] > best["score"]:
            record = {"stage": self._stage, "steps": self._step, "validation": entry}
            path = self._out / BEST
            self._with(self.average, lambda: save_weights(path, self.pair, record))
            self._notes["best"] = {"step": self._step, "score": figures["score"]}

    def _checkpoint(self) -> None:
        if not self._options.share.first:
            return
        if self._last_written is not None and self._last_written != self._step:
            keep_older(self._out, self._last_written, self._options.keep)
        write_checkpoint(self._out / CHECKPOINT, Checkpoint(
            step=self._step, run=_plain(self._run), weights=get_arrays(self.pair),
            average=self.average, optimizer=get_state(self.runner.optimizer), skipped=self.skipped,
            notes=_plain(self._notes), optimizer_of=self.runner.stage))
        self._last_written = self._step

    def _compare(self, path: Path, theirs: Mapping[str, Any]) -> None:
        """Refuse a checkpoint of another run; settings that it lacks have their default."""
        for key, value in _plain(self._run).items():
            other = theirs.get(key)
            if key == "settings" and isinstance(other, dict):
                other = _plain(TrainSettings.from_json(other, str(path)).to_json())
            elif key == "data" and not (other and value):
                continue
            if other != value:
                raise UsageError(f"{path}: was made with another {key}; repeat the arguments of "
                                 "that run, or start without --resume")


def _plain(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON object as it comes back from a file: tuples as lists."""
    plain: dict[str, Any] = json.loads(json.dumps(run))
    return plain
