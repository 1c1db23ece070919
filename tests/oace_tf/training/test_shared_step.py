"""Training with a shared trunk: what a stage trains, and what a second pass runs again."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from oace_tf.networks.pair import Pair
from oace_tf.networks.weights import get_arrays
from oace_tf.training.batches import SceneMaker, find_sources
from oace_tf.training.settings import LossSettings, Phase, TrainSettings
from oace_tf.training.step import TrainingModel
from tests.oace_tf.networks.test_shared_trunk import SHARED


@pytest.fixture(scope="module")
def batch(dataset) -> dict[str, Any]:
    settings = TrainSettings(phases=(Phase(64, 2, 1),))
    made = SceneMaker(find_sources([dataset], {}), settings, 2).batch(0)
    return {name: tf.constant(array) for name, array in made.items()}


@pytest.mark.parametrize(("stage", "trained"), (
    ("prior", {"shared", "prior"}), ("msfnet", {"msfnet"}),
    ("joint", {"shared", "prior", "msfnet"})))
def test_a_stage_trains_the_trunk_with_the_prior(batch, fresh_pair, stage, trained):
    pair = fresh_pair(**SHARED)
    model = TrainingModel(pair, stage, LossSettings())
    before = get_arrays(pair)
    with tf.GradientTape() as tape:
        loss = model.compute_loss(x=batch, y_pred=model(batch, training=True))
    variables = {id(v): v for network in pair.models() for v in network.trainable_variables}
    assert variables.keys() == {id(v) for v in model.trainable_variables}
    assert {network.name for network in pair.models() if network.trainable_variables} == trained
    gradients = tape.gradient(loss, [v.value for v in variables.values()])
    for variable, gradient in zip(variables.values(), gradients, strict=True):
        assert gradient is not None, variable.path
        assert np.isfinite(gradient).all() and np.any(gradient), variable.path
    after = get_arrays(pair)
    moved = {name.partition(".")[0] for name, array in after.items()
             if not np.array_equal(array, before[name])}
    assert moved == trained  # the statistics of what is frozen stay as well


def test_the_second_pass_does_not_run_the_trunk_again(batch, fresh_pair):
    pair = fresh_pair(**SHARED)
    calls = []

    class Counting(Pair):
        def seen(self, image, training=False):
            calls.append(training)
            return Pair.seen(self, image, training)

    counting = Counting(pair.config, pair.prior, pair.msfnet, pair.shared)
    TrainingModel(counting, "joint", LossSettings(background_from="both"))(batch, training=True)
    assert set(calls) == {True} and len(calls) <= 2  # Keras calls once more, with symbols
