"""A step that is not finite leaves no trace."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from oace_tf.networks.pair import Pair
from oace_tf.networks.weights import get_arrays
from oace_tf.training.batches import SceneMaker
from oace_tf.training.optimizer import get_state, make_optimizer
from oace_tf.training.settings import LossSettings, Phase, TrainSettings
from oace_tf.training.sources import find_sources
from oace_tf.training.step import TrainingModel

SIZE = 64


@pytest.fixture(scope="module")
def batch(dataset) -> dict[str, Any]:
    settings = TrainSettings(phases=(Phase(SIZE, 2, 1),))
    made = SceneMaker(find_sources([dataset], {}), settings, 2).batch(0)
    return {name: tf.constant(array) for name, array in made.items()}


@pytest.fixture()
def pair(fresh_pair) -> Pair:
    """The tiny pair with seeded weights."""
    return fresh_pair()


@pytest.mark.parametrize("fault", ("loss", "weights"))
def test_a_step_that_is_not_finite_leaves_no_trace(eager, batch, fresh_pair, monkeypatch, fault):
    pair = fresh_pair(msf=False)
    model = TrainingModel(pair, "joint", LossSettings(background_from="pass1"))
    optimizer = make_optimizer(TrainSettings(learning_rate=0.01, clip_norm=1.0))
    model.compile(optimizer=optimizer)
    optimizer.build(model.trainable_variables)
    given = {name: np.array(array) for name, array in batch.items()}
    assert np.isfinite(model.train_on_batch(given))
    state: dict[str, Any] = {**get_arrays(pair), **get_state(optimizer)}
    if fault == "loss":
        compute = model.compute_loss
        monkeypatch.setattr(model, "compute_loss", lambda *a, **k: compute(*a, **k) * float("nan"))
    else:
        optimizer.learning_rate.assign(float("nan"))
        state["learning_rate"] = np.float32("nan")
    assert np.isnan(model.train_on_batch(given))
    after = {**get_arrays(pair), **get_state(optimizer)}
    for name, array in state.items():
        np.testing.assert_array_equal(after[name], array, err_msg=name)
    # and the next good step goes on from there
    monkeypatch.undo()
    optimizer.learning_rate.assign(0.01)
    assert np.isfinite(model.train_on_batch(given))
    assert not np.array_equal(get_arrays(pair)["msfnet.head.mask.bias"],
                              state["msfnet.head.mask.bias"])
