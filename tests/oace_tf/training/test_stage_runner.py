"""Runner of one stage: steps, gradients of parts, average, log, losses that are no number.

The steps are eager: tracing one takes longer than a few steps do.
"""
from __future__ import annotations

import csv
import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oace_tf.networks.weights import get_arrays, pair_variables
from oace_tf.training.batches import SceneMaker
from oace_tf.training.moving_average import MovingAverage
from oace_tf.training.predictions import Predictions
from oace_tf.training.run_log import LOG, RunLog
from oace_tf.training.settings import LossSettings, Phase, SceneSettings, TrainSettings
from oace_tf.training.sources import find_sources
from oace_tf.training.stage_runner import LossNotFinite, StageRunner

SETTINGS = TrainSettings(
    phases=(Phase(64, 2, 8),), learning_rate=0.01, schedule="cosine", warmup_steps=2,
    weight_decay=0.01, clip_norm=1.0, ema=0.9, seed=3,
    scenes=SceneSettings(crop=0.5, paste=0.5, background_tap=0.5),
    losses=LossSettings(dice=0.5, background_from="pass1"))
DISK = {"msf": False, "click_input": "disk"}  # no prior

Batch = dict[str, np.ndarray]


@pytest.fixture
def runner(fresh_pair: Callable[..., Any]) -> Callable[..., tuple[StageRunner, Any]]:
    """Return a function that makes a runner of the stage msfnet, and its networks."""
    def make(average: MovingAverage | None = None, log: RunLog | None = None,
             **changes: Any) -> tuple[StageRunner, Any]:
        pair = fresh_pair(0, **DISK)
        average = MovingAverage(0.0) if average is None else average
        return StageRunner("msfnet", pair, dataclasses.replace(SETTINGS, **changes),
                           average=average, predictions=Predictions(pair), log=log), pair
    return make


@pytest.fixture
def batches(dataset: Path) -> list[Batch]:
    """Return the batches of the first steps."""
    maker = SceneMaker(find_sources([dataset], {}), SETTINGS, 2)
    return [maker.batch(step) for step in range(3)]


def test_gradients_of_parts_add_up(eager: None, runner: Any, batches: list[Batch]) -> None:
    # Both halves of the batch are the same scene twice: then the statistics are those of one half.
    once, pair = runner(phases=(Phase(64, 2, 3),))
    losses = [once.step(step, batch) for step, batch in enumerate(batches)]
    weights = get_arrays(pair)
    added, pair = runner(phases=(Phase(64, 4, 3),), accumulate=2)
    doubled = [{name: np.concatenate([array, array]) for name, array in batch.items()}
               for batch in batches]
    again = [added.step(step, batch) for step, batch in enumerate(doubled)]
    assert again == pytest.approx(losses, rel=1e-4)
    for name, array in get_arrays(pair).items():
        if "running" not in name:  # these have moved twice
            np.testing.assert_allclose(array, weights[name], atol=2e-4, err_msg=name)
    assert int(added.optimizer.iterations) == 3


def test_the_average_takes_in_every_fourth_step(eager: None, runner: Any,
                                                batches: list[Batch]) -> None:
    average = MovingAverage(0.9)
    stage, pair = runner(average)
    stage.step(2, batches[0])
    assert not average.arrays
    stage.step(3, batches[1])
    for name, array in get_arrays(pair).items():
        np.testing.assert_array_equal(average.arrays[name], array, err_msg=name)


def test_steps_are_logged_where_there_is_a_log(eager: None, runner: Any, batches: list[Batch],
                                               tmp_path: Path) -> None:
    stage, _ = runner(log=RunLog(tmp_path))
    stage.begin(SETTINGS.phases[0])
    started = time.perf_counter() - 8.0
    loss, rate = stage.logged_step(0, batches[0], started, 4.0)
    assert np.isfinite(loss) and 0 < rate < 2 / 8
    with (tmp_path / LOG).open(newline="") as file:
        row, = csv.DictReader(file)
    assert (row["step"], row["size"], row["loss"]) == ("0", "64", f"{loss:.5f}")
    assert float(row["images_per_second"]) == pytest.approx(rate, abs=1e-3)
    assert 0 < float(row["waiting_share"]) <= 0.5
    (tmp_path / LOG).unlink()
    stage, _ = runner()
    assert stage.logged_step(0, batches[0], time.perf_counter(), 0.0)[0] == pytest.approx(loss)
    assert not (tmp_path / LOG).exists()


def test_a_repeated_step_goes_on_with_the_same_batch(eager: None, runner: Any,
                                                     batches: list[Batch]) -> None:
    average = MovingAverage(0.9)
    stage, _ = runner(average, warmup_steps=0)
    losses = [stage.repeat(batches[0]) for _ in range(8)]
    assert losses[-1] < losses[0] and not average.arrays


@pytest.mark.parametrize("first", (True, False))
def test_a_loss_of_no_number_comes_with_its_batch(eager: None, runner: Any, batches: list[Batch],
                                                  first: bool,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    stage, pair = runner(accumulate=2)
    if first:
        pair_variables(pair)["msfnet.head.mask.bias"].assign([np.nan])
    else:
        losses = iter((1.0, float("nan")))
        monkeypatch.setattr(stage.model, "train_on_batch", lambda batch: next(losses))
    with pytest.raises(LossNotFinite, match="the loss of step 5 is nan") as caught:
        stage.step(5, batches[0])
    assert caught.value.first is first
    part = 0 if first else 1
    for name, array in caught.value.batch.items():
        np.testing.assert_array_equal(array, batches[0][name][part:part + 1], err_msg=name)
