"""The trainer: stopping and resuming, frozen parts, stages, weights that are kept, failures.

Most runs are eager: tracing the step takes longer than a few steps do.
"""
from __future__ import annotations

import csv
import dataclasses
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from oace_tf.clicks import Click
from oace_tf.errors import OaceError, UsageError
from oace_tf.images import read_image
from oace_tf.networks.weights import get_arrays, load_weights, pair_variables
from oace_tf.tensor_file import read_tensors
from oace_tf.training import moving_average
from oace_tf.training import trainer as module
from oace_tf.training.batches import SceneMaker
from oace_tf.training.checkpoint import read_checkpoint
from oace_tf.training.optimizer import get_state, named_state
from oace_tf.training.settings import LossSettings, Phase, SceneSettings, TrainSettings
from oace_tf.training.sources import find_sources
from oace_tf.training.trainer import BAD_BATCH, CHECKPOINT, LOG, WEIGHTS, Options, Trainer
from oace_tf.training.validation import find_validation
from tests.oace_tf.training.drawn import write_dataset

SETTINGS = TrainSettings(
    phases=(Phase(64, 2, 4),), learning_rate=0.01, schedule="cosine", warmup_steps=2,
    weight_decay=0.01, clip_norm=1.0, ema=0.9, seed=3,
    scenes=SceneSettings(crop=0.5, paste=0.5, background_tap=0.5),
    losses=LossSettings(dice=0.5, background_from="pass1"))
SMALL = {"msf": False}  # half the layers
DISK = {"msf": False, "click_input": "disk"}  # no prior


@pytest.fixture()
def trainer(dataset, fresh_pair, tmp_path):
    """Return a function that makes a trainer in a folder of its own.

    Trainers of one seed share a network: it is filled anew when the next one is made.
    """

    def make(out="run", stage="joint", seed=0, settings=SETTINGS, fields=None, options=None,
             **changes):
        pair = fresh_pair(seed, **(SMALL if fields is None else fields))
        return Trainer(pair, stage, dataclasses.replace(settings, **changes), [dataset],
                       tmp_path / out, options=Options(workers=0) if options is None else options)

    return make


def weights_of(trainer):
    return get_arrays(trainer.pair)


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def changed(before, after, prefix):
    """The share of tensors under a prefix that are not what they were."""
    names = [name for name in before if name.startswith(prefix)]
    return np.mean([not np.array_equal(before[name], after[name]) for name in names])


def logged(out):
    with (out / LOG).open(newline="") as file:
        return list(csv.DictReader(file))


def assert_same_state(one: Path, other: Path):
    found, expected = (read_checkpoint(out / CHECKPOINT) for out in (one, other))
    assert (found.step, found.run, found.skipped) == (expected.step, expected.run,
                                                      expected.skipped)
    assert_same(found.weights, expected.weights)
    assert_same(found.average, expected.average)
    assert len(expected.optimizer) > 50
    assert_same(found.optimizer, expected.optimizer)


@pytest.mark.slow
def test_stop_and_resume_equals_not_stopping(eager, trainer, tmp_path):
    # Exactly: one thread, one order of sums. The second half starts from another network.
    straight = trainer("straight")
    straight.run(checkpoint_every=100)
    final = weights_of(straight)
    first = trainer("parts")
    first.run(checkpoint_every=100, stop_at=2)
    assert (straight.step, first.step) == (4, 2)
    second = trainer("parts", seed=1)
    second.resume()
    assert second.step == 2
    assert_same(weights_of(second), weights_of(first))
    second.run(checkpoint_every=2)
    assert second.step == 4
    assert_same_state(tmp_path / "parts", tmp_path / "straight")
    assert second.skipped == straight.skipped
    for name in ("step", "size", "loss"):
        assert [row[name] for row in logged(tmp_path / "parts")] == [
            row[name] for row in logged(tmp_path / "straight")]
    # a finished run has nothing left to do
    third = trainer("parts")
    third.resume()
    third.run()
    assert_same(weights_of(third), final)


@pytest.mark.slow
def test_stop_and_resume_across_sizes_with_traced_steps(trainer, tmp_path):
    arguments = {"stage": "msfnet", "fields": DISK, "phases": (Phase(64, 2, 3), Phase(128, 1, 3))}
    trainer("straight", **arguments).run()
    trainer("parts", **arguments).run(stop_at=4)
    second = trainer("parts", seed=1, **arguments)
    second.resume()
    second.run()
    assert_same_state(tmp_path / "parts", tmp_path / "straight")
    assert [row["size"] for row in logged(tmp_path / "parts")] == 3 * ["64"] + 3 * ["128"]


@pytest.mark.slow
def test_training_learns(trainer, tmp_path):
    trainer(stage="msfnet", fields=DISK, phases=(Phase(64, 8, 80),), scenes=SceneSettings(),
            losses=LossSettings(mask="bce")).run()
    losses = [float(row["loss"]) for row in logged(tmp_path / "run")]
    # measured: 0.57 -> 0.30
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])


@pytest.mark.slow
def test_resume_after_a_crash_repeats_the_lost_steps(eager, trainer, tmp_path, monkeypatch):
    # The moving average is begun before the checkpoint and goes on after it.
    monkeypatch.setattr(moving_average, "EVERY", 2)
    arguments = {"stage": "msfnet", "fields": DISK, "phases": (Phase(64, 1, 5),)}
    trainer("straight", **arguments).run()
    broken = trainer("run", **arguments)
    step = broken.runner.step

    def crash(number, batch):
        if number == 4:
            raise RuntimeError("power cut")
        return step(number, batch)

    monkeypatch.setattr(broken.runner, "step", crash)
    with pytest.raises(RuntimeError, match="power cut"):
        broken.run(checkpoint_every=3)
    with (tmp_path / "run" / LOG).open("a") as file:
        file.write("4,64")  # cut in the middle of a line
    assert len(logged(tmp_path / "run")) == 5
    second = trainer("run", seed=1, **arguments)
    second.resume()
    assert second.step == 3
    second.run(checkpoint_every=100)
    assert_same_state(tmp_path / "run", tmp_path / "straight")
    assert [row["step"] for row in logged(tmp_path / "run")] == [str(n) for n in range(5)]
    assert None not in logged(tmp_path / "run")[-1].values()


def test_resume_with_anything_else_is_an_error(eager, trainer, tmp_path):
    first = trainer()
    with pytest.raises(UsageError, match="no checkpoint to resume from"):
        first.resume()
    first.run(stop_at=1)
    for changes, named in ((dict(learning_rate=0.02), "settings"), (dict(stage="prior"), "stage"),
                           (dict(seed=1, settings=dataclasses.replace(SETTINGS, seed=4)),
                            "settings"),
                           (dict(fields={**SMALL, "click_channels": 1}), "network")):
        other = trainer(**changes)
        before = weights_of(other)
        with pytest.raises(UsageError, match=f"made with another {named}.*--resume"):
            other.resume()
        assert_same(weights_of(other), before)
        assert other.step == 0


def test_a_checkpoint_of_another_optimizer_is_an_error(eager, trainer, tmp_path):
    trainer().run(stop_at=1)
    path = tmp_path / "run" / CHECKPOINT
    state = read_checkpoint(path)
    names = sorted(state.optimizer)
    assert "iteration" in names and any(name.endswith("_velocity") for name in names)
    for changed_state, words in (
            ({name: state.optimizer[name] for name in names[1:]}, f"{names[0]} missing"),
            ({**state.optimizer, "more": np.zeros(1)}, "variable more unknown"),
            ({**state.optimizer, names[0]: np.zeros((3, 3))}, f"{names[0]} has shape")):
        module.write_checkpoint(path, dataclasses.replace(state, optimizer=changed_state))
        with pytest.raises(UsageError, match=re.escape(words)):
            trainer().resume()
    # of another order, and by number as older checkpoints have it
    run = trainer()
    variables = named_state(run.runner.optimizer)
    module.write_checkpoint(path, dataclasses.replace(state, optimizer={
        str(number): state.optimizer[name] for number, name in enumerate(variables)}))
    run.resume()
    assert_same(get_state(run.runner.optimizer), state.optimizer)


@pytest.mark.parametrize("stage", ("prior", "msfnet"))
def test_the_other_network_is_not_touched(eager, trainer, stage, monkeypatch):
    monkeypatch.setattr(moving_average, "EVERY", 1)
    run = trainer(stage=stage, ema=0.5)
    before = weights_of(run)
    run.run(stop_at=2)
    after = weights_of(run)
    other = {"prior": "msfnet", "msfnet": "prior"}[stage]
    assert changed(before, after, f"{other}.") == 0  # its statistics included
    assert changed(before, after, f"{stage}.") == 1
    assert changed(before, run.average, f"{other}.") == 0


def test_joint_training_changes_both(eager, trainer):
    run = trainer(fields={})
    before = weights_of(run)
    run.run(stop_at=1)
    assert changed(before, weights_of(run), "") == 1


def test_a_stage_that_needs_a_prior(trainer):
    for stage in ("prior", "joint"):
        with pytest.raises(UsageError, match=f"stage '{stage}' trains a prior"):
            trainer(stage=stage, fields={"click_input": "disk"})


def test_the_moving_average(eager, trainer, tmp_path, monkeypatch):
    assert moving_average.EVERY == 4
    monkeypatch.setattr(moving_average, "EVERY", 2)
    run = trainer(ema=0.5, stage="msfnet", fields=DISK)
    run.run(stop_at=1)
    assert not run.average
    run.run(stop_at=2)
    second = weights_of(run)
    assert_same(run.average, second)
    run.run()
    fourth = weights_of(run)
    # step 3 is the fourth: of the old, min(0.5, (1 + 3) / (10 + 3)) squared is kept
    keep = (4 / 13) ** 2
    for name, average in run.average.items():
        np.testing.assert_allclose(average, keep * second[name] + (1 - keep) * fourth[name],
                                   rtol=1e-4, atol=1e-6, err_msg=name)
    assert_same(read_checkpoint(tmp_path / "run" / CHECKPOINT).average, run.average)

    path = run.save({"steps": 4})
    assert path == tmp_path / "run" / WEIGHTS
    assert_same(weights_of(run), fourth)  # the run could go on
    assert load_weights(path, run.pair) == {"steps": 4}
    for name, array in weights_of(run).items():
        np.testing.assert_array_equal(array, run.average[name].astype(np.float16))


def test_a_failed_save_leaves_weights_and_file(eager, trainer, monkeypatch):
    monkeypatch.setattr(moving_average, "EVERY", 1)
    run = trainer(stage="msfnet", fields=DISK)
    run.run(stop_at=1)
    path = run.save({})
    live, before = weights_of(run), path.read_bytes()
    run.average["msfnet.head.mask.bias"][:] = 1e6
    with pytest.raises(UsageError, match="msfnet.head.mask.bias does not fit float16"):
        run.save({})
    assert_same(weights_of(run), live)
    assert path.read_bytes() == before


def test_without_an_average_the_weights_are_saved(eager, trainer, tmp_path):
    run = trainer(ema=0.0, weight_decay=0.0, clip_norm=0.0, stage="msfnet", fields=DISK)
    run.run(stop_at=1)
    live = weights_of(run)
    load_weights(run.save({}, tmp_path / "elsewhere.safetensors"), run.pair)
    for name, array in weights_of(run).items():
        np.testing.assert_array_equal(array, live[name].astype(np.float16))


@pytest.mark.parametrize("bad", (float("nan"), float("inf")))
def test_a_loss_that_is_not_finite_stops_the_run(eager, trainer, dataset, tmp_path, monkeypatch,
                                                 bad):
    run = trainer(stage="msfnet", fields=DISK)
    run.run(stop_at=2)
    good = read_checkpoint(tmp_path / "run" / CHECKPOINT)
    monkeypatch.setattr(run.runner.model, "train_on_batch", lambda batch: bad)
    with pytest.raises(OaceError, match=f"the loss of step 2 is {bad}") as caught:
        run.run(checkpoint_every=1)
    assert not isinstance(caught.value, UsageError)
    assert BAD_BATCH in str(caught.value) and CHECKPOINT in str(caught.value)
    kept = read_checkpoint(tmp_path / "run" / CHECKPOINT)
    assert kept.step == 2
    for part in ("weights", "average", "optimizer"):
        assert_same({name: array for name, array in getattr(kept, part).items()
                     if name != "learning_rate"},  # set before the step was made
                    {name: array for name, array in getattr(good, part).items()
                     if name != "learning_rate"})
    assert [row["step"] for row in logged(tmp_path / "run")] == ["0", "1"]
    batch, metadata = read_tensors(tmp_path / "run" / BAD_BATCH, "oace-batch-1")
    assert metadata["step"] == "2"
    assert_same(batch, SceneMaker(find_sources([dataset], {}), SETTINGS, 2).batch(2))


def test_weights_that_are_not_finite_are_noticed(eager, trainer, tmp_path):
    run = trainer(stage="msfnet", fields=DISK)
    pair_variables(run.pair)["msfnet.head.mask.bias"].assign([np.nan])
    with pytest.raises(OaceError, match="the loss of step 0 is nan.*no checkpoint was written"):
        run.run()
    assert (tmp_path / "run" / BAD_BATCH).is_file()


def test_the_log(eager, trainer, tmp_path):
    run = trainer(stage="msfnet", fields=DISK)
    run.run(stop_at=2)
    rows = logged(tmp_path / "run")
    assert list(rows[0]) == ["step", "size", "loss", "images_per_second", "waiting_share"]
    assert [(row["step"], row["size"]) for row in rows] == [(str(n), "64") for n in range(2)]
    for row in rows:
        assert float(row["loss"]) != 0 and float(row["images_per_second"]) > 0
        assert 0 <= float(row["waiting_share"]) <= 1
    # unreadable images are counted across the run
    assert all(name.endswith("4.png") for name in run.skipped)
    # the rate is that of the step just made
    rate = float(run.runner.optimizer.learning_rate.numpy())
    assert rate == pytest.approx(SETTINGS.learning_rate_at(1))


def test_checkpoints_come_as_often_as_asked_and_at_the_end(eager, trainer, monkeypatch):
    run, steps = trainer(stage="msfnet", fields=DISK), []
    monkeypatch.setattr(module, "write_checkpoint", lambda path, state: steps.append(state.step))
    run.run(checkpoint_every=2, stop_at=3)
    assert steps == [2, 3]


def test_an_unwritable_folder_is_named_before_the_first_step(trainer, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    run = trainer("file/below", stage="msfnet", fields=DISK)
    monkeypatch.setattr(run.runner, "step", None)
    with pytest.raises(UsageError, match="cannot write into .*file/below"):
        run.run()


def test_a_step_that_spoils_the_weights_stops_with_the_state_before_it(eager, trainer, tmp_path):
    run = trainer(stage="msfnet", fields=DISK)
    run.run(stop_at=2)
    before = weights_of(run)
    optimizer = get_state(run.runner.optimizer)
    object.__setattr__(run.settings, "learning_rate", float("nan"))
    with pytest.raises(OaceError, match="the loss of step 2 is nan"):
        run.run(checkpoint_every=100)
    state = read_checkpoint(tmp_path / "run" / CHECKPOINT)
    assert state.step == 2
    assert_same(state.weights, before)
    assert_same({k: v for k, v in state.optimizer.items() if k != "learning_rate"},
                {k: v for k, v in optimizer.items() if k != "learning_rate"})


@pytest.mark.slow
def test_stages_follow_each_other_in_one_run(eager, trainer, tmp_path):
    phases = (Phase(64, 1, 1, "prior"), Phase(64, 1, 2, "msfnet"), Phase(64, 1, 1))
    run = trainer("straight", phases=phases)
    seen = [weights_of(run)]
    for step in (1, 3, 4):
        run.run(stop_at=step)
        seen.append(weights_of(run))
    for (before, after), moved in zip(zip(seen, seen[1:]), (("prior",), ("msfnet",),
                                                            ("prior", "msfnet"))):
        for name in ("prior", "msfnet"):
            assert changed(before, after, f"{name}.") == (name in moved)
    # in parts, stopped within a stage and between two
    for seed, stop in enumerate((1, 2, 4)):
        part = trainer("parts", seed=seed, phases=phases)
        if seed:
            part.resume()
        part.run(stop_at=stop)
    assert_same_state(tmp_path / "parts", tmp_path / "straight")
    with pytest.raises(UsageError, match="stage 'prior' trains a prior"):
        trainer(stage="msfnet", fields=DISK, phases=phases)


def test_error_taps_are_drawn_for_the_step(eager, trainer, tmp_path):
    settings = dataclasses.replace(SETTINGS.scenes, error_taps=3)
    arguments = {"stage": "msfnet", "fields": DISK, "scenes": settings}
    run = trainer("straight", **arguments)
    given = []
    step = run.runner.model.train_on_batch

    def noted(batch):
        given.append(batch)
        return step(batch)

    run.runner.model.train_on_batch = noted
    run.run()
    plain = SceneMaker(find_sources(run.folders, {}), SETTINGS, 2)
    more = [int(batch["disks"].sum()) - int(plain.batch(number)["disks"].sum())
            for number, batch in enumerate(given)]
    assert len(more) == 4 and min(more) >= 0 and max(more) > 0
    # a run in parts draws the same
    trainer("parts", **arguments).run(stop_at=2)
    second = trainer("parts", seed=1, **arguments)
    second.resume()
    second.run()
    assert_same_state(tmp_path / "parts", tmp_path / "straight")


def test_pictures_and_the_last_checkpoints(eager, trainer, tmp_path):
    run = trainer(options=Options(workers=0, keep=2, pictures_every=2))
    run.run(checkpoint_every=1)
    out = tmp_path / "run"
    assert sorted(path.name for path in out.glob("checkpoint*")) == [
        "checkpoint-00000003.safetensors", CHECKPOINT]
    assert [path.name for path in sorted((out / "pictures").iterdir())] == [
        "00000002.png", "00000004.png"]
    # two scenes of four panels: photograph, mask, OACE, prediction
    picture = read_image(out / "pictures" / "00000004.png")
    assert picture.shape == (2 * 192, 4 * 192, 3)
    batch = SceneMaker(find_sources(run.folders, {}), SETTINGS, 2).batch(3)
    mask = cv2.resize(batch["mask"][0, ..., 0] * np.uint8(255), (192, 192),
                      interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(picture[:192, 192:384, 0], mask, atol=1)
    # with the newest damaged, the run goes on from the one before, to the same end
    newest = read_checkpoint(out / CHECKPOINT)
    (out / CHECKPOINT).write_bytes(b"")
    second = trainer(seed=1)
    second.resume()
    assert second.step == 3
    second.run()
    again = read_checkpoint(out / CHECKPOINT)
    assert again.step == 4
    assert_same(again.weights, newest.weights)
    assert_same(again.optimizer, newest.optimizer)


def test_data_are_compared_on_resuming(eager, trainer, tmp_path):
    rows = [{"name": "drawn", "sha256": "a"}]
    trainer(stage="msfnet", fields=DISK, options=Options(workers=0, data=rows)).run(stop_at=1)
    for data, good in ((rows, True), ((), True), ([{"name": "drawn", "sha256": "b"}], False)):
        second = trainer(stage="msfnet", fields=DISK, options=Options(workers=0, data=data))
        if good:
            second.resume()
            assert second.step == 1
            continue
        with pytest.raises(UsageError, match="made with another data"):
            second.resume()


def test_settings_that_an_older_checkpoint_lacks_have_their_default(eager, trainer, tmp_path):
    trainer(stage="msfnet", fields=DISK).run(stop_at=1)
    path = tmp_path / "run" / CHECKPOINT
    state = read_checkpoint(path)
    older = dict(state.run["settings"])
    del older["precision"]
    module.write_checkpoint(path, dataclasses.replace(state, run={**state.run, "settings": older}))
    second = trainer(stage="msfnet", fields=DISK)
    second.resume()
    assert second.step == 1
    with pytest.raises(UsageError, match="another settings"):
        trainer(stage="msfnet", fields=DISK, precision="bfloat16").resume()


def test_validation_chooses_the_weights(eager, trainer, tmp_path, monkeypatch):
    write_dataset(tmp_path / "val" / "several", 2, seed=4)
    scores = iter((50.0, 70.0, 60.0, 65.0))

    def judge(predict, sets, progress):
        assert list(sets) == ["several"] and predict(np.zeros((9, 9, 3), np.uint8),
                                                     [Click(3, 3)]).shape == (9, 9)
        score = next(scores)
        return {"score": score, "sets": {"several": {"n": 4, "miou": score}}}

    monkeypatch.setattr(module, "validate", judge)
    monkeypatch.setattr(moving_average, "EVERY", 1)
    options = Options(workers=0, validation=find_validation(tmp_path / "val", 1, 64))
    run = trainer(stage="msfnet", fields=DISK, ema=0.5, options=options)
    run.run(stop_at=2)
    best = {name: value.copy() for name, value in run.average.items()}
    run.run(stop_at=3)
    assert run.notes["best"] == {"step": 2, "score": 70.0}
    # what was found before is not forgotten
    second = trainer(stage="msfnet", fields=DISK, ema=0.5, options=options, seed=1)
    second.resume()
    second.run()
    assert [entry["step"] for entry in second.notes["history"]] == [1, 2, 3, 4]
    live = weights_of(second)
    record = load_weights(second.save({"steps": 4}), second.pair)
    assert record["validation"]["best"] == {"step": 2, "score": 70.0}
    assert record["validation"]["sets"] == {"photographs": {"several": 2}, "size": 64}
    for name, array in weights_of(second).items():
        np.testing.assert_array_equal(array, best[name].astype(np.float16), err_msg=name)
    assert any(not np.array_equal(array, live[name].astype(np.float16))
               for name, array in weights_of(second).items())
    with (tmp_path / "run" / "validation.csv").open(newline="") as file:
        assert [float(row["miou"]) for row in csv.DictReader(file)] == [50.0, 70.0, 60.0, 65.0]
