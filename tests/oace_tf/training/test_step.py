"""What a step computes: both passes of the prior, its trap, and which losses a stage adds up."""
from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from oace_tf.clicks import DISK_ON
from oace_tf.config import NetworkConfig
from oace_tf.networks.pair import Pair
from oace_tf.training import losses
from oace_tf.training.batches import SceneMaker
from oace_tf.training.settings import LossSettings, Phase, SceneSettings, TrainSettings
from oace_tf.training.sources import find_sources
from oace_tf.training.step import TrainingModel, lit

SIZE = 64


@pytest.fixture(scope="module")
def batch(dataset) -> dict[str, Any]:
    settings = TrainSettings(phases=(Phase(SIZE, 2, 1),))
    made = SceneMaker(find_sources([dataset], {}), settings, 2).batch(0)
    return {name: tf.constant(array) for name, array in made.items()}


def loss_of(model: TrainingModel, batch: dict[str, Any]) -> float:
    return float(model.compute_loss(x=batch, y_pred=model(batch, training=True)))


class Answers(keras.layers.Layer):
    """Knows nothing of the photograph: +c where few pixels are on in the disk map, else -c."""

    def call(self, disks):
        mean = keras.ops.mean(disks[..., :1], axis=(1, 2, 3), keepdims=True)
        colour = keras.ops.reshape(keras.ops.convert_to_tensor([0.1, -0.7, 0.4]), (1, 1, 1, 3))
        return keras.ops.sign(0.5 - mean) * colour * keras.ops.ones_like(disks[..., :1])


def constant_pair(channels: int) -> Pair:
    image = keras.Input((SIZE, SIZE, 3), name="image")
    disks = keras.Input((SIZE, SIZE, channels), name="disks")
    prior = keras.Model([image, disks], Answers()(disks), name="prior")
    msfnet = keras.Model([image], image, name="msfnet")
    return Pair(NetworkConfig.preset("tiny"), prior, msfnet)


@pytest.mark.parametrize(("background_from", "expected"), (
    ("pass2", -3.0),  # the least there is: the trap of equation (1) as the paper has it
    ("pass1", -1.0),  # objects like backgrounds: - 1 - 1 + 1
    ("both", -2.0)))  # the mean of the two; the least there is, again, is -3
def test_a_constant_prior_is_perfect_only_for_the_second_pass(batch, background_from, expected):
    settings = LossSettings(background_from=background_from)
    model = TrainingModel(constant_pair(2), "prior", settings)
    assert loss_of(model, batch) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("channels", (1, 2))
def test_the_second_pass_sees_the_disks_inside_out(batch, channels):
    seen = []

    class Prior:
        """Stands in for the network: notes what it is given, and answers with the disk map."""

        trainable = True

        def __call__(self, inputs, training):
            if tf.executing_eagerly():  # Keras calls once with symbols, to see what there is
                seen.append([np.array(array) for array in inputs])
            return keras.ops.concatenate([inputs[1][..., :1]] * 3, axis=-1)

    pair: Any = constant_pair(channels)
    batch = {**batch, "disks": batch["disks"][..., :channels]}
    TrainingModel(Pair(pair.config, Prior(), pair.msfnet), "prior",
                  LossSettings())(batch, training=True)
    (image, first), (again, second) = seen
    np.testing.assert_array_equal(image, (np.asarray(batch["image"], np.float32) - 128) / 128)
    np.testing.assert_array_equal(again, image)
    np.testing.assert_array_equal(first, np.asarray(batch["disks"]) * np.float32(DISK_ON))
    np.testing.assert_array_equal(second[..., 0], np.float32(DISK_ON) - first[..., 0])
    assert not second[..., 1:].any()
    assert set(np.unique(second[..., 0])) == {0, np.float32(DISK_ON)}


@pytest.fixture()
def pair(fresh_pair) -> Pair:
    """The tiny pair with seeded weights."""
    return fresh_pair()


@pytest.mark.parametrize(("stage", "mask"), (
    ("prior", "nfl"), ("msfnet", "nfl"), ("msfnet", "dice"), ("joint", "bce"), ("joint", "nfl")))
def test_a_stage_adds_up_its_losses(batch, pair, stage, mask):
    settings = LossSettings(mask=mask, dice=0.25, contrastive=0.3, gamma=1.5, alpha=0.6)
    model = TrainingModel(pair, stage, settings)
    outputs = model(batch, training=False)
    found = float(model.compute_loss(x=batch, y_pred=outputs))
    target = keras.ops.cast(batch["mask"], "float32")
    rest, expected = set(outputs), 0.0
    if stage != "prior":
        arguments = outputs["logits"], target, keras.ops.ones_like(target)
        function = {"nfl": lambda *a: losses.normalized_focal_loss(*a, gamma=1.5, alpha=0.6),
                    "dice": losses.dice_loss, "bce": losses.bce_loss}[mask]
        expected += float(keras.ops.mean(function(*arguments)))
        expected += 0.25 * float(keras.ops.mean(losses.dice_loss(*arguments)))
        rest.remove("logits")
    if stage != "msfnet":
        expected += (1.0 if stage == "prior" else 0.3) * float(outputs["contrastive"])
        rest.remove("contrastive")
    assert not rest
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("stage", ("joint", "prior", "msfnet"))
def test_steadiness_compares_the_twins_and_nothing_else(batch, pair, stage):
    weight = 0.7
    plain, steady = (TrainingModel(pair, stage, LossSettings(background_from="pass1",
                                                             steadiness=w)) for w in (0.0, weight))
    steady.twin_pairs = 1
    four = {name: tf.concat([array, array[::-1]], axis=0) for name, array in batch.items()}
    outputs = steady(four, training=False)
    expected = 0.0
    oace = np.array(pair.prior([(tf.cast(four["image"], tf.float32) - 128) / 128,
                                tf.cast(four["disks"], tf.float32) * DISK_ON]))
    expected += np.mean((oace[0] - oace[1])**2)
    if stage != "prior":
        p = 1 / (1 + np.exp(-np.array(outputs["logits"])))
        expected += 1 - (np.minimum(p[0], p[1]).sum() + 1) / (np.maximum(p[0], p[1]).sum() + 1)
    assert float(outputs["unsteady"]) == pytest.approx(expected, rel=1e-4)
    difference = (float(steady.compute_loss(x=four, y_pred=outputs))
                  - float(plain.compute_loss(x=four, y_pred=plain(four, training=False))))
    assert difference == pytest.approx(weight * expected, rel=1e-3)
    assert expected > 1e-3


def test_joint_without_contrastive_weight_makes_no_second_pass(batch, pair):
    model = TrainingModel(pair, "joint", LossSettings(contrastive=0.0))
    assert set(model(batch, training=True)) == {"logits"}
    # alone, the prior has no other loss: the weight does not count
    alone = TrainingModel(pair, "prior", LossSettings(contrastive=0.0))
    assert loss_of(alone, batch) == pytest.approx(
        loss_of(TrainingModel(pair, "prior", LossSettings()), batch), abs=1e-6)


@pytest.mark.parametrize(("stage", "background_from"), (
    ("prior", "pass1"), ("prior", "pass2"), ("msfnet", "pass1"), ("joint", "both")))
def test_every_trained_parameter_gets_a_gradient(batch, pair, stage, background_from):
    model = TrainingModel(pair, stage, LossSettings(background_from=background_from))
    with tf.GradientTape() as tape:
        loss = model.compute_loss(x=batch, y_pred=model(batch, training=True))
    trained = {"prior": pair.prior, "msfnet": pair.msfnet}
    expected = [variable for name, network in trained.items() if stage in (name, "joint")
                for variable in network.trainable_variables]
    assert len(expected) == len(model.trainable_variables) > 30
    assert {id(v) for v in expected} == {id(v) for v in model.trainable_variables}
    gradients = tape.gradient(loss, [v.value for v in expected])
    for variable, gradient in zip(expected, gradients, strict=True):
        assert gradient is not None, variable.path
        assert np.isfinite(gradient).all() and np.any(gradient), variable.path


def test_a_pair_without_prior_trains_its_mask(batch, fresh_pair):
    model = TrainingModel(fresh_pair(click_input="disk"), "msfnet", LossSettings())
    assert set(model(batch, training=True)) == {"logits"}
    assert np.isfinite(loss_of(model, batch))


def test_ignored_pixels_carry_no_loss(batch, pair):
    mask = np.array(batch["mask"])
    mask[:, 20:40, 20:40] = -1
    for settings in (LossSettings(dice=0.5), LossSettings(mask="bce", boundary=2.0),
                     LossSettings(mask="dice")):
        model = TrainingModel(pair, "msfnet", settings)
        outputs = model(batch, training=False)
        given = {**batch, "mask": tf.constant(mask)}
        before = float(model.compute_loss(x=given, y_pred=outputs))
        logits = np.array(outputs["logits"])
        logits[:, 24:36, 24:36] += 5.0  # inside what nobody labelled
        after = float(model.compute_loss(x=given, y_pred={"logits": tf.constant(logits)}))
        assert after == pytest.approx(before, rel=1e-6)
        logits[:, 10:15, 24:36] += 5.0
        elsewhere = float(model.compute_loss(x=given, y_pred={"logits": tf.constant(logits)}))
        assert elsewhere != pytest.approx(before, rel=1e-4)


def test_twins_need_not_agree_on_what_is_ignored(batch, pair):
    model = TrainingModel(pair, "msfnet", LossSettings(steadiness=1.0))
    model.twin_pairs = 1
    batch = {**batch, "mask": tf.constant(np.full(batch["mask"].shape, -1, np.int8))}
    p = tf.random.stateless_uniform((2, SIZE, SIZE, 1), (1, 2)) * 8 - 4
    valid = tf.cast(batch["mask"] >= 0, "float32")
    assert float(model._unsteady(None, p, valid)) == pytest.approx(0.0, abs=1e-6)
    assert float(model._unsteady(None, p, valid + 1.0)) > 0.1


def test_the_outline_weighs_more(batch, pair):
    target = np.array(batch["mask"], np.float32)
    model = TrainingModel(pair, "msfnet", LossSettings(mask="bce", boundary=3.0, boundary_px=2))
    outputs = model(batch, training=False)
    found = float(model.compute_loss(x=batch, y_pred=outputs))
    # slowly: a pixel is near where the 5 x 5 px around it, as far as in the frame, hold both
    near = np.zeros_like(target)
    for b, y, x in np.ndindex(target.shape[:3]):
        window = target[b, max(0, y - 2):y + 3, max(0, x - 2):x + 3]
        near[b, y, x] = window.min() != window.max()
    assert 0.01 < near.mean() < 0.6
    weight = 1.0 + 3.0 * near
    logits = np.array(outputs["logits"], np.float64)
    cross = np.log1p(np.exp(-np.where(target > 0, logits, -logits)))
    expected = ((weight * cross).sum(axis=(1, 2, 3)) / weight.sum(axis=(1, 2, 3))).mean()
    assert found == pytest.approx(expected, rel=1e-4)
    np.testing.assert_array_equal(np.array(losses.near_outline(tf.constant(target), 2)), near)


def test_photometric_work_on_the_device_is_that_of_the_workers(dataset):
    made = {}
    for where in ("worker", "device"):
        scenes = SceneSettings(colour=0.1, photometric=where)
        settings = TrainSettings(phases=(Phase(SIZE, 8, 1),), scenes=scenes)
        made[where] = SceneMaker(find_sources([dataset], {}), settings, 1).batch(0)
    found = np.array(lit({name: tf.constant(array) for name, array in made["device"].items()}))
    difference = np.abs(found - made["worker"]["image"])
    # a product that falls on a whole number may be cut to either side
    assert difference.max() <= 1 and (difference > 0).mean() < 1e-3
    np.testing.assert_array_equal(lit({"image": tf.constant(made["worker"]["image"])}),
                                  made["worker"]["image"])
