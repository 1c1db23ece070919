"""The paper's pair as a candidate: prior and MSFNet, one gesture a scene."""
from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from experiments.candidates.schedule import SIZE, learning_share
from oace_tf.clicks import Click
from oace_tf.errors import OaceError
from oace_tf.networks.pair import Pair
from oace_tf.networks.predictor import Forward
from oace_tf.training.settings import Phase, TrainSettings

BATCH = 16  # scenes a step, as in the pair's own runs
_STEPS = 1_000_000  # more than the minutes allow


class PairPredictor:
    """Answers like `GesturePredictor`; a pair knows no mask before, only all taps so far.

    Args:
      pair: networks of any size.
      size: side of their frame, px.
      taps: at most.
    """

    def __init__(self, pair: Pair, size: int, taps: int) -> None:
        self._forward = Forward(pair, size, taps)

    def answer(self, image: np.ndarray, clicks: Sequence[Click],
               previous: np.ndarray | None) -> tuple[np.ndarray, None]:
        """Return the probability (H, W) float32, and no mask in the frame."""
        return self._forward.mask(image, clicks), None


def train_pair(pair: Pair, settings: TrainSettings, folders: Sequence[Path],
               minutes: float) -> dict[str, Any]:
    """Train a pair in place for minutes of the processor; it ends with the average's weights.

    Both stages at once, from the first step on: a pair has no part that could stay frozen.

    Args:
      pair: built for any size.
      settings: sources, scenes, losses and the peak learning rate; its phases do not count.
      folders: where the sources lie.
      minutes: of the processor, for steps.
    Returns:
      `gestures`, `photographs` (one gesture each), `steps`, and `gestures_per_s`.
    Raises:
      UsageError: no data.
      OaceError: a loss that is not finite.
    """
    from oace_tf.networks.weights import set_arrays
    from oace_tf.training.batches import batches
    from oace_tf.training.moving_average import MovingAverage
    from oace_tf.training.predictions import Predictions
    from oace_tf.training.stage_runner import StageRunner

    phase = Phase(size=SIZE, batch=BATCH, steps=_STEPS)
    settings = dataclasses.replace(settings, phases=(phase,))
    average = MovingAverage(settings.ema)
    runner = StageRunner("joint", pair, settings, average=average, predictions=Predictions(pair))
    runner.begin(phase)
    seconds, steps, timed = 0.0, 0, 0
    with closing(batches(list(folders), settings, pair.config.click_channels, 0, 1,
                         set())) as source:
        for step, batch in source:
            done = seconds / (60.0 * minutes)
            if done >= 1.0:
                break
            rate = settings.learning_rate * learning_share(done)
            rate *= min(1.0, (step + 1) / max(1, settings.warmup_steps))
            runner.optimizer.learning_rate.assign(rate)
            begin = time.process_time()
            runner.model.reset_metrics()
            loss = float(runner.model.train_on_batch(batch))
            if step > 0:  # the first step is traced
                seconds += time.process_time() - begin
                timed += 1
            if not np.isfinite(loss):
                raise OaceError(f"the loss of step {step} is {loss}")
            average.update(step, pair)
            steps = step + 1
            if step % 20 == 0:
                print(f"{100 * done:.0f} % of {minutes:g} minutes, loss {loss:.3f}",
                      file=sys.stderr, flush=True)
    if average.arrays:  # none after fewer than four steps
        set_arrays(pair, average.arrays, "average")
    return {"gestures": BATCH * steps, "photographs": BATCH * steps, "steps": steps,
            "gestures_per_s": {"whole": round(BATCH * timed / seconds, 2)}}
