"""Candidates: a short run, what is refused."""
from __future__ import annotations

import keras
import numpy as np
import pytest

from experiments.candidates import candidates
from oace_tf.config import NetworkConfig
from oace_tf.networks.gesture_networks import build_gesture_networks
from oace_tf.networks.weights import get_arrays
from oace_tf.training.gesture_scenes import GestureSceneSettings
from oace_tf.training.gesture_settings import GestureTrainSettings
from tests.oace_tf.training.drawn import write_dataset


@pytest.mark.slow
def test_a_run_learns_and_counts_what_it_saw(tmp_path, monkeypatch, eager):
    monkeypatch.setattr(candidates, "SIZE", 64)
    keras.utils.set_random_seed(6)
    networks = build_gesture_networks(NetworkConfig.preset("tiny_one_trunk"), None)
    before = get_arrays(networks)
    settings = GestureTrainSettings(scenes=GestureSceneSettings(gestures=2, rows=16), warmup=1)
    found = candidates.train(networks, settings, [write_dataset(tmp_path / "drawn", 4)], 0.1,
                             photographs=2)
    after = get_arrays(networks)
    assert found["gestures"] == 4 * found["steps"]
    assert 2 <= found["photographs"] <= 2 * found["steps"]
    assert set(found["gestures_per_s"]) == {"frozen", "whole"}
    moved = {name for name in after if not np.array_equal(after[name], before[name])}
    assert [name for name in moved if name.startswith("shared.trunk.")]
    assert [name for name in moved if name.startswith("msfnet.")]


def test_a_pair_without_its_settings_is_refused(tmp_path, capsys):
    (tmp_path / "val").mkdir()
    words = ["--preset", "efficientnet_lite0", "--config", "c.json", "--train", str(tmp_path),
             "--data", str(tmp_path), "--out", str(tmp_path / "out")]
    assert candidates.main(words) == 2
    assert "--preset efficientnet_lite0 is a pair of networks" in capsys.readouterr().err
    words[1] = "one_trunk"
    assert candidates.main([*words, "--pair", "p.json"]) == 2
    assert "--preset one_trunk is of one trunk; leave out --pair" in capsys.readouterr().err


@pytest.mark.parametrize("minutes", ("0", "-1", "nan"))
def test_no_time_is_refused(tmp_path, capsys, minutes):
    words = ["--preset", "one_trunk", "--minutes", minutes, "--config", "c.json", "--train",
             str(tmp_path), "--data", str(tmp_path), "--out", str(tmp_path / "out")]
    assert candidates.main(words) == 2
    assert f"--minutes {float(minutes):g}: expected a number above 0" in capsys.readouterr().err


def test_no_photographs_are_refused(tmp_path, capsys):
    words = ["--preset", "one_trunk", "--photographs", "0", "--config", "c.json", "--train",
             str(tmp_path), "--data", str(tmp_path), "--out", str(tmp_path / "out")]
    assert candidates.main(words) == 2
    assert "--photographs 0: expected a number above 0" in capsys.readouterr().err


@pytest.mark.parametrize("more", (["--joined"], ["--plain"], ["--detector", "graph.pb"],
                                  ["--photographs", "12"]))
def test_what_changes_one_trunk_is_refused_for_a_pair(tmp_path, capsys, more):
    words = ["--preset", "efficientnet_lite0", "--pair", "p.json", "--config", "c.json", "--train",
             str(tmp_path), "--data", str(tmp_path), "--out", str(tmp_path / "out"), *more]
    assert candidates.main(words) == 2
    assert "leave out --joined, --plain, --detector and --photographs" in capsys.readouterr().err
