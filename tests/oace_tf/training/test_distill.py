"""Distilling: the two distances against numpy, a frozen teacher, a student that comes closer."""
from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from oace_tf.config import NetworkConfig
from oace_tf.errors import UsageError
from oace_tf.fileio import sha256_file
from oace_tf.networks.pair import build_pair
from oace_tf.networks.weights import get_arrays, save_weights, set_arrays
from oace_tf.training.batches import SceneMaker
from oace_tf.training.checkpoint import read_checkpoint
from oace_tf.training.distill import Teacher, embedding_distance, load_teacher, mask_divergence
from oace_tf.training.settings import DistillSettings, LossSettings, Phase, TrainSettings
from oace_tf.training.sources import find_sources
from oace_tf.training.step import TrainingModel
from oace_tf.training.trainer import CHECKPOINT, Trainer
from tests.oace_tf.networks.conftest import seeded_arrays

SMALL: dict[str, Any] = {"msf": False}  # half the layers


@pytest.fixture(scope="module")
def batch(dataset) -> dict[str, Any]:
    settings = TrainSettings(phases=(Phase(64, 2, 1),))
    made = SceneMaker(find_sources([dataset], {}), settings, 2).batch(0)
    return {name: tf.constant(array) for name, array in made.items()}


def loaded(settings: DistillSettings, stage: str = "joint") -> Teacher:
    teacher = load_teacher(settings, stage)
    assert teacher is not None
    return teacher


@pytest.fixture(scope="module")
def teacher_file(tmp_path_factory) -> Path:
    """Weights of a pair unlike any student here."""
    path = tmp_path_factory.mktemp("teacher") / "teacher.safetensors"
    pair = build_pair(dataclasses.replace(NetworkConfig.preset("tiny"), msfnet_width=12, **SMALL),
                      None)
    set_arrays(pair, seeded_arrays(pair, 9), "seeded")
    save_weights(path, pair, {})
    return path


def test_the_masks_divergence_is_kullbacks_and_leiblers():
    rng = np.random.default_rng(0)
    student, taught = rng.normal(0, 3, (2, 2, 4, 4, 1)).astype(np.float32)
    q, p = (1 / (1 + np.exp(-z.astype(np.float64))) for z in (student, taught))
    expected = np.mean(p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)))
    assert float(mask_divergence(student, taught)) == pytest.approx(expected, rel=1e-5)
    assert float(mask_divergence(taught, taught)) == 0
    assert float(mask_divergence(student, taught)) > 0.1
    far = tf.Variable([[[[200.0]]]])  # where float32 has no probability left
    with tf.GradientTape() as tape:
        loss = mask_divergence(far, -far * 1.0 + 0 * far)
    assert np.isfinite(float(loss)) and np.isfinite(tape.gradient(loss, far)).all()


def test_the_embeddings_distance_is_of_angles():
    rng = np.random.default_rng(1)
    a, b = rng.uniform(-1, 1, (2, 2, 4, 4, 3)).astype(np.float32)
    cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    assert float(embedding_distance(a, b)) == pytest.approx(np.mean(1 - cosine), rel=1e-5)
    assert float(embedding_distance(a, 0.3 * a)) == pytest.approx(0, abs=1e-6)
    assert float(embedding_distance(a, -a)) == pytest.approx(2, rel=1e-6)
    assert np.isfinite(float(embedding_distance(a, 0 * a)))


@pytest.mark.parametrize(("stage", "settings"), (
    ("joint", {}), ("joint", {"weight": 2.5, "oace": 0.5}), ("prior", {}), ("msfnet", {})))
def test_a_step_adds_the_teachers_loss_and_leaves_the_teacher(batch, fresh_pair, teacher_file,
                                                              stage, settings):
    distill = DistillSettings(str(teacher_file), **settings)
    teacher = loaded(distill, stage)
    before = get_arrays(teacher.pair)
    student = fresh_pair(**SMALL)
    losses = LossSettings(background_from="pass1")
    start = get_arrays(student)
    alone = TrainingModel(student, stage, losses)
    plain = float(alone.compute_loss(x=batch, y_pred=alone(batch, training=True)))
    set_arrays(student, start, "again")
    model = TrainingModel(student, stage, losses, teacher)
    with tf.GradientTape() as tape:
        outputs = model(batch, training=True)
        loss = model.compute_loss(x=batch, y_pred=outputs)
    tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    assert float(loss) == pytest.approx(plain + distill.weight * float(outputs["untaught"]),
                                        rel=1e-5)
    own = {id(v) for network in student.models() for v in network.trainable_variables}
    assert {id(v) for v in model.trainable_variables} == own
    for name, array in get_arrays(teacher.pair).items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    # what it is made of, by hand
    image = tf.constant((np.asarray(batch["image"], np.float32) - 128) / 128)
    disks = tf.constant(np.asarray(batch["disks"], np.float32) * np.float32(127 / 128))
    taught_oace, taught = teacher.pair.forward(image, disks)
    set_arrays(student, start, "again")
    of_prior = stage != "msfnet"
    seen = student.seen(image, of_prior)
    oace = student.embed(seen, disks, of_prior)
    expected = 0.0
    if stage != "prior":
        expected += float(mask_divergence(student.segment(seen, oace, disks, True), taught))
    if stage != "msfnet":
        expected += distill.oace * float(embedding_distance(oace, taught_oace))
    assert float(outputs["untaught"]) == pytest.approx(expected, rel=1e-4) and expected > 0


def test_a_teacher_agrees_with_itself(batch, teacher_file):
    teacher = loaded(DistillSettings(str(teacher_file)))
    image = (keras.ops.cast(batch["image"], "float32") - 128) / 128
    disks = keras.ops.cast(batch["disks"], "float32")
    oace, logits = teacher.pair.forward(image, disks)
    assert float(teacher.loss(image, disks, oace, logits)) == pytest.approx(0, abs=1e-6)
    assert float(teacher.loss(image, disks, -oace, logits)) == pytest.approx(2, rel=1e-4)


@pytest.mark.parametrize("channels", (1, 2))
def test_teacher_and_student_may_draw_other_maps(batch, tmp_path, channels):
    pair = build_pair(dataclasses.replace(NetworkConfig.preset("tiny"), click_channels=channels,
                                          **SMALL), None)
    set_arrays(pair, seeded_arrays(pair), "seeded")  # fresh ones give embeddings of length 0
    save_weights(tmp_path / "t.safetensors", pair, {})
    teacher = loaded(DistillSettings(str(tmp_path / "t.safetensors")))
    image = (keras.ops.cast(batch["image"], "float32") - 128) / 128
    both = keras.ops.cast(batch["disks"], "float32")
    first = both[..., :1]
    oace, logits = teacher.pair.forward(
        image, first if channels == 1 else keras.ops.concatenate([first, 0 * first], -1))
    given = both if channels == 1 else first  # as many as the teacher does not take
    assert float(teacher.loss(image, given, oace, logits)) == pytest.approx(0, abs=1e-6)


@pytest.mark.slow
def test_a_student_comes_closer(batch, fresh_pair, teacher_file):
    student = fresh_pair(**SMALL)
    teacher = loaded(DistillSettings(str(teacher_file)))
    model = TrainingModel(student, "joint", LossSettings(contrastive=0.0), teacher)
    optimizer = keras.optimizers.Adam(0.01)
    seen = []
    for _ in range(12):
        with tf.GradientTape() as tape:
            distance = model(batch, training=True)["untaught"]
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(distance, [v.value for v in variables]), variables)
        seen.append(float(distance))
    assert seen[-1] < 0.6 * seen[0]


def test_what_cannot_teach_is_refused(tmp_path, teacher_file):
    assert load_teacher(None, "joint") is None
    with pytest.raises(UsageError, match="missing.safetensors: no such weights file"):
        load_teacher(DistillSettings(str(tmp_path / "missing.safetensors")), "joint")
    pair = build_pair(dataclasses.replace(NetworkConfig.preset("tiny"), click_input="disk",
                                          **SMALL), None)
    save_weights(tmp_path / "disk.safetensors", pair, {})
    without = DistillSettings(str(tmp_path / "disk.safetensors"))
    assert load_teacher(without, "msfnet") is not None
    for settings in (without, DistillSettings(str(teacher_file), oace=0.0)):
        with pytest.raises(UsageError, match="teaches no OACE"):
            load_teacher(settings, "prior")


@pytest.mark.parametrize(("fields", "named"), (
    ({}, "distill.teacher"), ({"teacher": ""}, "distill.teacher"),
    ({"teacher": 3}, "distill.teacher"), ({"teacher": "t", "weight": 0.0}, "distill.weight"),
    ({"teacher": "t", "weight": True}, "distill.weight"),
    ({"teacher": "t", "oace": -1.0}, "distill.oace"), ({"pupil": "t"}, "pupil"),
    ([], "distill is")))
def test_bad_settings_are_named(fields, named):
    with pytest.raises(UsageError, match=f"^here: .*{named}"):
        TrainSettings.from_json({"distill": fields}, "here")


def test_settings_both_ways():
    settings = TrainSettings.from_json({"distill": {"teacher": "t", "weight": 2}}, "here")
    assert settings.distill == DistillSettings("t", 2)
    assert TrainSettings.from_json(settings.to_json(), "again") == settings
    assert "distill" not in TrainSettings().to_json()  # as in checkpoints made before
    assert TrainSettings.from_json({"distill": None}, "here").distill is None


def test_a_run_knows_its_teacher(eager, dataset, fresh_pair, teacher_file, tmp_path):
    kept = tmp_path / "teacher.safetensors"
    kept.write_bytes(teacher_file.read_bytes())
    settings = TrainSettings(phases=(Phase(64, 1, 2),), losses=LossSettings(
        background_from="pass1"), distill=DistillSettings(str(kept)))

    def trainer() -> Trainer:
        return Trainer(fresh_pair(**SMALL), "joint", settings, [dataset], tmp_path / "run",
                       workers=0)

    first = trainer()
    first.run(stop_at=1)
    assert first.teacher_sha256 == sha256_file(kept)
    state = read_checkpoint(tmp_path / "run" / CHECKPOINT)
    assert state.run["teacher"] == sha256_file(kept)
    assert set(state.weights) == set(get_arrays(fresh_pair(**SMALL)))  # the student's alone
    second = trainer()
    second.resume()
    second.run()
    assert second.step == 2
    pair = build_pair(dataclasses.replace(NetworkConfig.preset("tiny"), **SMALL), None)
    save_weights(kept, pair, {})
    with pytest.raises(UsageError, match="made with another teacher"):
        trainer().resume()
