"""`oace train gestures`: from the arguments to the weights, and what it refuses."""
from __future__ import annotations

import json

import pytest

from oace_tf import train
from oace_tf.config import NetworkConfig
from oace_tf.networks.gesture_networks import build_gesture_networks
from oace_tf.networks.weights import get_arrays, read_arrays, save_weights

CONFIG = {"phases": [{"size": 64, "photographs": 1, "batches": 2, "later_taps": False}],
          "scenes": {"gestures": 2, "rows": 16}}


@pytest.fixture()
def call(dataset, tmp_path):
    """Return a function that trains the tiny network in a folder of its own."""
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))

    def run(*more: str) -> int:
        return train.main(["gestures", "--data", str(dataset), "--preset", "tiny_one_trunk",
                           "--config", str(tmp_path / "config.json"), "--workers", "0",
                           "--out", str(tmp_path / "run"), *more])

    return run


@pytest.mark.slow
def test_a_run_in_two_parts(call, eager, tmp_path, capsys):
    assert call("--stop-at", "1") == 0
    assert "weights after 1 batches" in capsys.readouterr().out
    assert call() == 2 and "add --resume" in capsys.readouterr().err
    assert call("--resume") == 0
    config, record, _ = read_arrays(tmp_path / "run" / "weights.safetensors")
    assert config.one_trunk and record["stage"] == "gestures" and record["batches"] == 2
    assert [source["name"] for source in record["data"]] == ["drawn"]
    assert call("--init", str(tmp_path / "run" / "weights.safetensors"), "--out",
                str(tmp_path / "next"), "--stop-at", "1") == 0


@pytest.mark.slow
def test_parts_that_older_weights_lack_start_fresh(call, eager, dataset, tmp_path, capsys):
    older = NetworkConfig(trunk="tiny", one_trunk=True)
    path = tmp_path / "older.safetensors"
    save_weights(path, build_gesture_networks(older, None), {"steps": 7})
    assert call("--init", str(path), "--stop-at", "1") == 0
    assert "tensors of tiny_one_trunk are not in it and start fresh" in capsys.readouterr().out
    config, record, _ = read_arrays(tmp_path / "run" / "weights.safetensors")
    assert config == NetworkConfig.preset("tiny_one_trunk") and record["start"]["steps"] == 7
    added = (".found.", ".found8.", ".deep16.", ".deep32.")
    assert set(record["start"]["fresh"]) == {
        name for name in get_arrays(build_gesture_networks(config, None))
        if any(part in name for part in added)}


@pytest.mark.slow
def test_a_refiner_that_older_weights_lack_starts_as_msfnet(call, eager, tmp_path, capsys):
    path = tmp_path / "older.safetensors"
    save_weights(path, build_gesture_networks(NetworkConfig.preset("tiny_one_trunk"), None), {})
    _, _, older = read_arrays(path)
    assert call("--init", str(path), "--preset", "tiny_one_trunk_refined", "--stop-at", "1") == 0
    assert "of the refiner start as MSFNet's" in capsys.readouterr().out
    config, record, arrays = read_arrays(tmp_path / "run" / "weights.safetensors")
    assert config.refiner
    assert record["start"]["fresh"]
    assert all(name.startswith(("refiner.deep4.", "refiner.deep8."))
               for name in record["start"]["fresh"])
    # One step moves a weight by about the learning rate.
    for name in ("a16.conv.weight", "mask.bias"):
        assert abs(arrays[f"refiner.{name}"] - older[f"msfnet.{name}"]).max() < 0.01


@pytest.mark.parametrize(("arguments", "words"), [
    (("--val", "somewhere"), "--val belongs to the training of pairs"),
    (("--preset", "tiny"), "--preset tiny is a pair of networks"),
    (("--init", "a", "b"), "--init takes one word or file here")])
def test_what_is_refused(call, capsys, arguments, words):
    assert call(*arguments) == 2
    printed = capsys.readouterr().err
    assert words in printed and printed.count("\n") == 1


def test_a_pair_is_not_trained_by_gestures_nor_one_trunk_as_a_pair(dataset, capsys, tmp_path):
    assert train.main(["joint", "--data", str(dataset), "--preset", "tiny_one_trunk", "--out",
                       str(tmp_path / "run")]) == 2
    assert "train it with the stage `gestures`" in capsys.readouterr().err
