"""The training loop of one trunk: batches, rounds of later taps, moving average, checkpoints."""
from __future__ import annotations

import csv
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from oace_tf.errors import OaceError, UsageError
from oace_tf.fileio import atomic_write, make_folder, writing_alone
from oace_tf.networks.gesture_networks import GestureNetworks
from oace_tf.networks.weights import get_arrays, save_weights, set_arrays
from oace_tf.progress import Progress
from oace_tf.training.checkpoint import (
    CHECKPOINT,
    Checkpoint,
    keep_older,
    last_good,
    write_checkpoint,
)
from oace_tf.training.exchange import Exchange
from oace_tf.training.gesture_batches import BatchPlan, gesture_batches
from oace_tf.training.gesture_settings import GesturePhase, GestureTrainSettings
from oace_tf.training.gesture_step import GestureStep
from oace_tf.training.later_taps import empty_previous, next_round
from oace_tf.training.moving_average import MovingAverage
from oace_tf.training.optimizer import get_state, make_gesture_optimizer, set_state

WEIGHTS = "weights.safetensors"
LOG = "log.csv"
_LATER = 1  # what a generator is for, beside the scenes


class GestureTrainer:
    """One run, in a folder of its own.

    Args:
      networks: built for any size.
      settings: the run.
      folders: where the sources lie.
      out: the folder of the run.
      workers: processes that prepare scenes; 0: none.
      keep: checkpoints.
      data: records of the sources, for the checkpoints.
      partners: folders of runs side by side; at every checkpoint all go on from their mean.
    """

    def __init__(self, networks: GestureNetworks, settings: GestureTrainSettings,
                 folders: list[Path], out: Path, workers: int = 1, keep: int = 2,
                 data: Sequence[Mapping[str, Any]] = (), partners: Sequence[Path] = ()) -> None:
        self._networks, self._settings, self._out = networks, settings, out
        self._workers, self._keep = workers, keep
        self._exchange = Exchange(out, partners) if partners else None
        self._plan = BatchPlan(folders=tuple(folders), sources=settings.sources,
                               exact=settings.exact, scenes=settings.scenes, seed=settings.seed)
        for layer in (layer for model in networks.models() for layer in model.layers):
            layer.trainable = True  # an earlier run may have left the trunk frozen
        self._optimizer = make_gesture_optimizer(settings)
        self._optimizer.build([v for model in networks.models()
                               for v in model.trainable_variables])
        self._average = MovingAverage(settings.ema)
        self._batch, self._step = 0, 0
        self._skipped: set[str] = set()
        self._last_written: int | None = None
        self._run = json.loads(json.dumps({
            "stage": "gestures", "network": networks.config.to_json(),
            "settings": settings.to_json(), "data": list(data)}))

    @property
    def batch(self) -> int:
        """The number of batches done."""
        return self._batch

    @property
    def step(self) -> int:
        """The number of steps done."""
        return self._step

    @property
    def skipped(self) -> tuple[str, ...]:
        """The photographs that could not be read so far."""
        return tuple(sorted(self._skipped))

    def resume(self) -> None:
        """Take up the run in the folder where its last good checkpoint left it.

        Phases may have changed: what is done counts as done.

        Raises:
          UsageError: no checkpoint, only damaged ones, or one of another network, other settings
            or other data.
        """
        path, state = last_good(self._out)
        for key, ours in _fixed(self._run).items():
            theirs = _fixed(state.run).get(key)
            if key == "data" and not (theirs and ours):
                continue
            if theirs != ours:
                raise UsageError(f"{path}: was made with another {key}; repeat the arguments of "
                                 "that run (its phases may change), or start without --resume")
        set_state(self._optimizer, state.optimizer, str(path))
        set_arrays(self._networks, state.weights, str(path))
        self._average.arrays = dict(state.average)
        self._step, self._batch = state.step, int(state.notes["batch"])
        self._skipped = set(state.skipped)
        self._last_written = state.step if path.name == CHECKPOINT else None

    def run(self, checkpoint_every: int = 100, stop_at: int | None = None) -> None:
        """Train to the last batch (or to `stop_at`) and leave checkpoint and weights.

        Raises:
          OaceError: a loss that is not finite.
          UsageError: data of which no scene can be made, or a folder that cannot be written.
        """
        total = self._settings.batches
        end = total if stop_at is None else min(stop_at, total)
        if self._batch >= end:
            return
        make_folder(self._out)
        wanted = []
        for number in range(self._batch, end):
            phase, _ = self._settings.phase_of(number)
            wanted.append((number, phase.size_of(number), phase.photographs))
        steps: dict[int, GestureStep] = {}  # by size, all of one kind
        kind: tuple[Any, ...] = ()
        source = gesture_batches(self._plan, wanted, self._workers, self._skipped)
        with (writing_alone(self._out), closing(source), _Log(self._out / LOG, self._step) as log,
              Progress(total, "training", "batch", self._batch) as bar):
            for batch in source:
                phase, _ = self._settings.phase_of(self._batch)
                if kind != _kind_of(phase):
                    steps, kind = {}, _kind_of(phase)
                size = phase.size_of(self._batch)
                if size not in steps:
                    steps[size] = GestureStep(self._networks, self._optimizer,
                                              self._settings.losses, self._settings.clip_norm,
                                              size, *kind)
                self._rounds(steps[size], batch, phase, log)
                self._batch += 1
                bar.update()
                if self._batch % checkpoint_every == 0 or self._batch >= end:
                    self._meet()
                    self._checkpoint()
                    bar.note(log.means())

    def save(self, path: Path, record: Mapping[str, Any]) -> None:
        """Write the moving average of the weights."""
        live = get_arrays(self._networks)
        try:
            if self._average.arrays:
                set_arrays(self._networks, self._average.arrays, "average")
            save_weights(path, self._networks, record)
        finally:
            set_arrays(self._networks, live, "weights")

    def _rounds(self, step: GestureStep, batch: dict[str, np.ndarray], phase: GesturePhase,
                log: _Log) -> None:
        """Make the steps of one batch: first gestures, then taps on the errors."""
        settings = self._settings
        rng = np.random.default_rng(np.random.SeedSequence((settings.seed, self._batch, _LATER)))
        shares = np.array(settings.rounds)
        count = 1 + int(rng.choice(len(shares), p=shares / shares.sum()))
        self._optimizer.learning_rate.assign(settings.learning_rate_at(self._batch, self._step))
        previous = empty_previous(batch)
        for number in range(count if phase.later_taps else 1):
            started = time.perf_counter()
            losses, probability = step(batch, previous)
            if not np.isfinite(losses["total"]):
                raise OaceError(f"the loss of step {self._step} is {losses['total']}; the last "
                                f"good state is in {self._out / CHECKPOINT}")
            self._average.update(self._step, self._networks)
            self._step += 1
            log.row(self._step, self._batch, number, phase.size_of(self._batch), losses,
                    batch["points"].shape[0] * batch["points"].shape[1]
                    / (time.perf_counter() - started))
            if number + 1 < count:
                batch, previous = next_round(batch, probability, settings.renewed, settings.again,
                                             settings.scenes, rng)

    def _meet(self) -> None:
        """Go on from the mean of this run and its partners: weights, average and optimizer."""
        if self._exchange is None:
            return
        parts = {"weights": get_arrays(self._networks), "average": self._average.arrays,
                 "optimizer": get_state(self._optimizer)}
        mean = self._exchange.mean(self._batch, {
            f"{part}/{name}": array for part, arrays in parts.items()
            for name, array in arrays.items()})
        parts = {part: {name: mean[f"{part}/{name}"] for name in arrays}
                 for part, arrays in parts.items()}
        set_arrays(self._networks, parts["weights"], "mean")
        self._average.arrays = parts["average"]
        set_state(self._optimizer, parts["optimizer"], "mean")

    def _checkpoint(self) -> None:
        if self._last_written is not None and self._last_written != self._step:
            keep_older(self._out, self._last_written, self._keep)
        write_checkpoint(self._out / CHECKPOINT, Checkpoint(
            step=self._step, run=self._run, weights=get_arrays(self._networks),
            average=self._average.arrays, optimizer=get_state(self._optimizer),
            skipped=self.skipped, notes={"batch": self._batch}))
        self._last_written = self._step


def _kind_of(phase: GesturePhase) -> tuple[bool, int, bool, bool]:
    """Return what makes the steps of a phase others, beside their size."""
    return phase.frozen, phase.frozen_blocks, phase.frozen_statistics, phase.refiner_only


def _fixed(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return what must stay the same when a run is resumed: all but the phases.

    Settings that an older checkpoint does not know have their defaults.
    """
    settings = run.get("settings", {})
    try:
        settings = GestureTrainSettings.from_json(settings, "").to_json()
    except UsageError:
        pass  # of another kind of training: compared as they are
    settings = {key: value for key, value in settings.items() if key != "phases"}
    return {**run, "settings": settings}


class _Log:
    """The losses of every step as CSV, and their means since they were last asked for.

    Args:
      path: the file; rows of later steps than `step`, of a run that was killed, are cut off.
      step: the steps done before.
    """

    FIELDS = ("step", "batch", "round", "size", "gestures_per_s")

    def __init__(self, path: Path, step: int) -> None:
        self._path, self._step = path, step
        self._file: Any = None
        self._rows: list[tuple[int, dict[str, float], float]] = []

    def __enter__(self) -> _Log:
        if self._path.is_file():
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
            kept = [*lines[:1], *(line for line in lines[1:] if self._is_done(line, lines[0]))]
            atomic_write(self._path, "".join(f"{line}\n" for line in kept).encode())
        self._file = self._path.open("a", newline="")
        return self

    def __exit__(self, *_: Any) -> None:
        self._file.close()

    def _is_done(self, line: str, head: str) -> bool:
        """Return whether a line is a whole one, of a step that is not made again."""
        step = line.partition(",")[0]
        return (step.isascii() and step.isdigit() and int(step) <= self._step
                and line.count(",") == head.count(","))

    def row(self, step: int, batch: int, number: int, size: int, losses: Mapping[str, float],
            rate: float) -> None:
        """Add a step."""
        writer = csv.writer(self._file)
        if self._file.tell() == 0:
            writer.writerow([*self.FIELDS, *losses])
        writer.writerow([step, batch, number, size, f"{rate:.1f}",
                         *(f"{value:.5f}" for value in losses.values())])
        self._rows.append((number, dict(losses), rate))

    def means(self) -> str:
        """Return the means of the rows since the last call, and flush the file."""
        rows, self._rows = self._rows, []
        self._file.flush()
        if not rows:
            return "no step"
        names = rows[0][1]
        text = ", ".join(f"{name} {np.mean([row[1][name] for row in rows]):.3f}" for name in names)
        first = [row[1]["dice"] for row in rows if row[0] == 0]
        return (f"{text}; dice of first answers {np.mean(first):.3f}; "
                f"{np.mean([row[2] for row in rows]):.1f} gestures/s")
