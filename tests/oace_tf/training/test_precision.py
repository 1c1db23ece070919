"""bfloat16 computes nearly the same."""
from __future__ import annotations

from typing import Any

import keras
import pytest
import tensorflow as tf

from oace_tf.networks.pair import Pair, build_pair
from oace_tf.networks.weights import get_arrays, set_arrays
from oace_tf.training.batches import SceneMaker
from oace_tf.training.precision import computing_in
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


def test_bfloat16_computes_nearly_the_same(batch, fresh_pair):
    wide = fresh_pair()
    with computing_in("bfloat16"):
        narrow = build_pair(wide.config, None)
    assert keras.config.dtype_policy().name == "float32"
    set_arrays(narrow, get_arrays(wide), "copy")
    assert {variable.dtype for variable in narrow.msfnet.variables} == {"float32"}
    assert narrow.msfnet.get_layer("msfnet.head.mask").compute_dtype == "bfloat16"
    found = []
    for pair in (wide, narrow):
        model = TrainingModel(pair, "joint", LossSettings(background_from="pass1"))
        with tf.GradientTape() as tape:
            outputs = model(batch, training=True)
            loss = model.compute_loss(x=batch, y_pred=outputs)
        assert outputs["logits"].dtype == loss.dtype == tf.float32
        gradient = tape.gradient(loss, [v.value for v in model.trainable_variables])
        found.append((float(loss), tf.linalg.global_norm(gradient).numpy()))
    assert found[1][0] == pytest.approx(found[0][0], rel=0.05)
    # measured: 1.78 against 1.96; bfloat16 has 8 significant bits
    assert found[1][1] == pytest.approx(found[0][1], rel=0.25)
