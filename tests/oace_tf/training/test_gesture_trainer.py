"""The trainer of one trunk: it learns, a resumed run equals one that was not stopped, settings."""
from __future__ import annotations

import csv
import dataclasses

import keras
import numpy as np
import pytest

from oace_tf.config import NetworkConfig
from oace_tf.errors import UsageError
from oace_tf.networks.gesture_networks import build_gesture_networks
from oace_tf.networks.weights import get_arrays, read_arrays, set_arrays
from oace_tf.tensor_file import read_tensors
from oace_tf.training.checkpoint import read_checkpoint
from oace_tf.training.exchange import FORMAT, Exchange
from oace_tf.training.gesture_scenes import GestureSceneSettings
from oace_tf.training.gesture_settings import GesturePhase, GestureTrainSettings
from oace_tf.training.gesture_step import GestureStep
from oace_tf.training.gesture_trainer import CHECKPOINT, LOG, GestureTrainer, _Log

SETTINGS = GestureTrainSettings(
    phases=(GesturePhase(size=64, photographs=2, batches=2, frozen=True, later_taps=False),
            GesturePhase(size=64, photographs=2, batches=2, end=0.1)),
    learning_rate=0.003, warmup=2, ema=0.9, rounds=(0.0, 1.0), seed=5,
    scenes=GestureSceneSettings(gestures=2, rows=16))


@pytest.fixture(scope="module")
def built():
    keras.utils.set_random_seed(1)
    networks = build_gesture_networks(NetworkConfig.preset("tiny_one_trunk"), None)
    return networks, get_arrays(networks)


@pytest.fixture()
def trainer(built, dataset, tmp_path, eager):
    def make(out="run", settings=SETTINGS):
        networks, arrays = built
        set_arrays(networks, arrays, "fresh")
        return GestureTrainer(networks, settings, [dataset], tmp_path / out, workers=0)

    return make


@pytest.mark.slow
def test_a_resumed_run_equals_one_that_was_not_stopped(built, trainer, tmp_path):
    networks, fresh = built
    trainer("whole").run()
    whole = get_arrays(networks)
    frozen = [name for name in fresh if name.startswith("shared.trunk.")]
    assert any(not np.array_equal(whole[name], fresh[name]) for name in frozen)
    trainer("parts").run(stop_at=2)
    stopped = get_arrays(networks)
    assert all(np.array_equal(stopped[name], fresh[name]) for name in frozen)
    resumed = trainer("parts")
    resumed.resume()
    assert resumed.batch == 2
    resumed.run()
    for name, array in get_arrays(networks).items():
        assert np.array_equal(array, whole[name]), name
    states = [read_checkpoint(tmp_path / out / CHECKPOINT) for out in ("whole", "parts")]
    assert states[0].step == states[1].step == 6  # two batches of one step, two of two
    for name, array in states[0].average.items():
        assert np.array_equal(array, states[1].average[name]), name
    with (tmp_path / "whole" / LOG).open() as file:
        rows = list(csv.DictReader(file))
    assert [row["round"] for row in rows] == ["0", "0", "0", "1", "0", "1"]
    assert all(np.isfinite(float(row["total"])) for row in rows)
    resumed.save(tmp_path / "weights.safetensors", {"steps": 6})
    config, record, arrays = read_arrays(tmp_path / "weights.safetensors")
    assert config.one_trunk and record == {"steps": 6} and set(arrays) == set(fresh)


def test_sizes_in_turn_make_a_step_of_each_once(trainer, tmp_path, monkeypatch):
    import oace_tf.training.gesture_trainer as module

    made = []

    def make(*args):
        made.append(args[4:])
        return GestureStep(*args)

    monkeypatch.setattr(module, "GestureStep", make)
    phases = (GesturePhase(sizes=(128, 64), photographs=1, batches=3, later_taps=False),
              GesturePhase(size=64, photographs=1, batches=1, later_taps=False, frozen=True))
    trainer("turns", dataclasses.replace(SETTINGS, phases=phases)).run()
    with (tmp_path / "turns" / LOG).open() as file:
        assert [row["size"] for row in csv.DictReader(file)] == ["128", "64", "128", "64"]
    assert [(size, frozen) for size, frozen, *_ in made] == [
        (128, False), (64, False), (64, True)]


@pytest.mark.slow
def test_it_learns_a_drawn_set(built, dataset, tmp_path):
    networks, arrays = built
    set_arrays(networks, arrays, "fresh")
    settings = dataclasses.replace(
        SETTINGS, scenes=GestureSceneSettings(gestures=4, rows=16),
        phases=(GesturePhase(size=64, photographs=3, batches=80, later_taps=False),))
    GestureTrainer(networks, settings, [dataset], tmp_path / "run", workers=0).run()
    with (tmp_path / "run" / LOG).open() as file:
        dice = [float(row["dice"]) for row in csv.DictReader(file)]
    assert np.mean(dice[-16:]) < 0.8 * np.mean(dice[:16])


def test_another_network_is_not_resumed(trainer, tmp_path):
    run = trainer("other")
    run._out.mkdir()
    run._run = {**run._run, "network": {}}
    run._checkpoint()
    with pytest.raises(UsageError, match="another network"):
        trainer("other").resume()


def test_other_settings_are_not_resumed_and_other_phases_are(trainer):
    run = trainer("changed")
    run._out.mkdir()
    run._checkpoint()
    with pytest.raises(UsageError, match="another settings"):
        trainer("changed", dataclasses.replace(SETTINGS, seed=6)).resume()
    longer = dataclasses.replace(SETTINGS, phases=(*SETTINGS.phases, GesturePhase(size=64)))
    trainer("changed", longer).resume()


def test_a_checkpoint_that_knows_fewer_settings_is_resumed(trainer):
    run = trainer("older")
    run._out.mkdir()
    older = {**run._run["settings"]}
    older["losses"] = {key: value for key, value in older["losses"].items() if key != "steadiness"}
    run._run, run._step = {**run._run, "settings": older}, 7
    run._checkpoint()
    resumed = trainer("older")
    resumed.resume()
    assert resumed.step == 7


def test_rows_of_a_killed_run_are_cut_off(tmp_path):
    path = tmp_path / LOG
    path.write_text("step,batch,total\n1,0,0.5\n2,0,0.4\n3,1,0.3\n")
    with _Log(path, 2) as log:
        log.row(3, 1, 0, 64, {"total": 0.25}, 9.0)
    assert path.read_text().splitlines() == ["step,batch,total", "1,0,0.5", "2,0,0.4",
                                             "3,1,0,64,9.0,0.25000"]


@pytest.mark.parametrize("content, kept", [
    (b"", ""), (b"step,bat", "step,bat\n"),
    (b"step,batch\n1,0\n\n,0\n\xff\0,1\n2", "step,batch\n1,0\n"),
    (b"step,batch\n1,0\n1\n", "step,batch\n1,0\n")])
def test_a_log_that_was_cut_anywhere(tmp_path, content, kept):
    path = tmp_path / LOG
    path.write_bytes(content)
    with _Log(path, 5):
        pass
    assert path.read_text() == kept


@pytest.mark.slow
def test_runs_side_by_side_leave_the_same_weights(built, trainer, tmp_path):
    networks, _ = built
    settings = dataclasses.replace(SETTINGS, phases=SETTINGS.phases[1:])
    folders = [tmp_path / "one", tmp_path / "two"]
    ends = []
    for seed, (own, other) in enumerate((folders, folders[::-1])):
        run = trainer(own.name, dataclasses.replace(settings, seed=seed))
        run._exchange = Exchange(own, [other], patience=0.0)
        run.run()  # the first goes on without the second, which is not there yet
        ends.append(get_arrays(networks))
    mean = read_checkpoint(folders[1] / CHECKPOINT).weights
    published, _ = read_tensors(folders[0] / "exchange-00000002.safetensors", FORMAT)
    own, _ = read_tensors(folders[1] / "exchange-00000002.safetensors", FORMAT)
    assert any(not np.array_equal(ends[0][name], ends[1][name]) for name in mean)
    for name, array in mean.items():
        key = f"weights/{name}"
        np.testing.assert_allclose(array, (published[key] + own[key]) / 2, atol=1e-6)
