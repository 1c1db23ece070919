"""Runner of one stage: its model and optimizer, its steps, the moving average, their log."""
from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType

import keras
import numpy as np

from oace_tf.errors import OaceError
from oace_tf.networks.pair import Pair
from oace_tf.training.batches import twin_pairs
from oace_tf.training.distill import Teacher
from oace_tf.training.error_taps import with_error_taps
from oace_tf.training.moving_average import MovingAverage
from oace_tf.training.optimizer import make_optimizer
from oace_tf.training.predictions import Predictions
from oace_tf.training.quantize_aware import QuantizeAwareModel
from oace_tf.training.run_log import RunLog
from oace_tf.training.settings import Phase, TrainSettings
from oace_tf.training.step import TrainingModel

_ERROR_TAPS = 1  # what a generator is for, beside the scenes


class LossNotFinite(OaceError):
    """A step whose loss is no number.

    Attributes:
      batch: the part of the step's batch that gave it.
      first: whether no other part of the step came before.
    """

    def __init__(self, step: int, loss: float, batch: Mapping[str, np.ndarray],
                 first: bool) -> None:
        super().__init__(f"the loss of step {step} is {loss}")
        self.batch, self.first = batch, first


class StageRunner:
    """One stage of a run, with an optimizer of its own.

    Args:
      stage: `prior`, `msfnet` or `joint`.
      pair: the networks; their weights are trained.
      settings: the run.
      average: takes in the weights; goes on from stage to stage.
      predictions: of the pair, where taps on its errors are drawn.
      teacher: followed, where there is one.
      ranges: of the simulated int8 networks by layer, where the settings ask for them.
      log: gets the steps, where there is one.
    """

    def __init__(self, stage: str, pair: Pair, settings: TrainSettings, *, average: MovingAverage,
                 predictions: Predictions, teacher: Teacher | None = None,
                 ranges: Mapping[str, tuple[float, float]] = MappingProxyType({}),
                 log: RunLog | None = None) -> None:
        self.stage = stage
        self._pair, self._settings, self._log = pair, settings, log
        self._average, self._predictions = average, predictions
        losses, aware = settings.losses, settings.quantize_aware
        self.model = (TrainingModel(pair, stage, losses, teacher) if aware is None
                      else QuantizeAwareModel(pair, stage, losses, teacher, aware, ranges))
        self.optimizer = make_optimizer(settings)
        self.model.compile(optimizer=self.optimizer,
                           jit_compile=keras.backend.backend() == "jax")
        self.optimizer.build(self.model.trainable_variables)

    def begin(self, phase: Phase) -> None:
        """Make ready for the batches of a phase."""
        self.model.twin_pairs = twin_pairs(phase.batch, self._settings.scenes.twins)
        self.model.make_train_function(force=True)  # one graph for each size

    def logged_step(self, step: int, batch: dict[str, np.ndarray], started: float,
                    waited_s: float) -> tuple[float, float]:
        """Make a step, log it, and return its loss and images/s.

        Args:
          step: its number.
          batch: as `SceneMaker.batch`.
          started: when the wait for the batch began, on `time.perf_counter`.
          waited_s: how long it was.
        Raises:
          LossNotFinite: the weights may have changed by then.
        """
        loss = self.step(step, batch)
        seconds = time.perf_counter() - started
        phase = self._settings.phase_of(step)
        rate = phase.batch / seconds
        if self._log is not None:
            self._log.step(step, phase.size, loss, rate, waited_s / seconds)
        return loss, rate

    def repeat(self, batch: dict[str, np.ndarray]) -> float:
        """Make a first step with a batch and return its loss, without any record of it."""
        self.model.twin_pairs = twin_pairs(len(batch["image"]), self._settings.scenes.twins)
        return self.step(0, batch)

    def step(self, step: int, batch: dict[str, np.ndarray]) -> float:
        """Make a step and return its loss; `logged_step` without the log."""
        settings = self._settings
        self.optimizer.learning_rate.assign(settings.learning_rate_at(step))
        if settings.scenes.error_taps > 0 and self.stage != "prior":
            seed = np.random.SeedSequence((settings.seed, step, _ERROR_TAPS))
            batch = with_error_taps(batch, lambda given: self._predictions.of(given)["logits"],
                                    settings.scenes.error_taps, np.random.default_rng(seed))
        losses = []
        for number in range(settings.accumulate):
            part = {name: np.split(array, settings.accumulate)[number]
                    for name, array in batch.items()}
            self.model.reset_metrics()
            losses.append(float(self.model.train_on_batch(part)))
            if not np.isfinite(losses[-1]):
                raise LossNotFinite(step, losses[-1], part, first=number == 0)
        self._average.update(step, self._pair)
        return float(np.mean(losses))
