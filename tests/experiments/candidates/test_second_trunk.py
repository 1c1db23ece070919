"""A second trunk beside a trained one: the fit, the same answers, what is refused."""
from __future__ import annotations

import cv2
import keras
import numpy as np
import pytest

from experiments.candidates import second_trunk
from oace_tf.config import NetworkConfig
from oace_tf.networks.gesture_networks import build_gesture_networks
from oace_tf.networks.pair import build_pair
from oace_tf.networks.weights import build_gestures_from_weights, save_weights

SIDE = 64


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    for seed, name in enumerate(("first", "second")):
        keras.utils.set_random_seed(seed)
        networks = build_gesture_networks(NetworkConfig.preset("tiny_one_trunk"), None)
        save_weights(folder / f"{name}.safetensors", networks, {})
    rng = np.random.default_rng(2)
    (folder / "photographs").mkdir()
    for index in range(3):
        cv2.imwrite(str(folder / "photographs" / f"{index}.jpg"),
                    cv2.resize(rng.integers(0, 256, (9, 9, 3), np.uint8), (80, 60)))
    (folder / "photographs" / "bad.jpg").write_bytes(b"no photograph")
    return folder


def test_the_fit_is_that_of_least_squares():
    rng = np.random.default_rng(3)
    x = rng.normal(1, 2, (400, 5)).astype(np.float32)
    y = (x @ rng.normal(0, 1, (5, 3)) + 4 + rng.normal(0, 0.1, (400, 3))).astype(np.float32)
    ones = np.ones((400, 1))
    wanted = np.hstack([x, ones]) @ np.linalg.lstsq(np.hstack([x, ones]), y, rcond=None)[0]
    fit = second_trunk.fitted(x, y, 0.4)
    found = x @ fit["weight"][0, 0]
    assert found.mean(axis=0) == pytest.approx(fit["mean"], abs=1e-3)
    found = (found - fit["mean"]) / np.sqrt(fit["variance"] + second_trunk.EPSILON)
    # The ridge pulls by a thousandth.
    assert found * fit["gamma"] + fit["beta"] == pytest.approx(0.4 * wanted, rel=0.01, abs=0.02)
    assert second_trunk.explained(x, y) > 0.99
    assert abs(second_trunk.explained(x, rng.normal(0, 1, (400, 3)))) < 0.1


@pytest.fixture
def call(weights, monkeypatch):
    monkeypatch.setattr(second_trunk, "SIDE", SIDE)

    def run(*more: str, second: str = "second.safetensors", out: str = "out.safetensors") -> int:
        return second_trunk.main([str(weights / "first.safetensors"), str(weights / second),
                                  "--photographs", str(weights / "photographs"), "-o",
                                  str(weights / out), *more])

    return run


def test_a_share_of_nothing_changes_nothing(call, weights, capsys):
    assert call("--share", "0") == 0
    told = capsys.readouterr()
    assert "1/32:" in told.out and "bad.jpg: cannot be read; skipped" in told.err
    image = np.random.default_rng(1).uniform(-1, 1, (1, SIDE, SIDE, 3)).astype(np.float32)
    one, _ = build_gestures_from_weights(weights / "first.safetensors", size=None)
    two, record = build_gestures_from_weights(weights / "out.safetensors", size=None)
    assert two.config.second_trunk == "tiny" and record["share"] == 0
    for name, feature in one.encode(image).items():
        # The new normalisation has a scale of 0 and a shift of 0.
        assert np.array_equal(np.asarray(feature), np.asarray(two.encode(image)[name])), name


def test_a_share_makes_the_second_trunk_heard(call, weights):
    assert call("--share", "0.5") == 0
    two, _ = build_gestures_from_weights(weights / "out.safetensors", size=None)
    gamma = two.encoder.get_layer("shared.neck.second16_bn").gamma
    assert np.abs(np.asarray(gamma)).max() > 0
    one, _ = build_gestures_from_weights(weights / "first.safetensors", size=None)
    for part in ("in8_bn", "in16_bn", "in32.bn"):
        before, after = (np.asarray(each.encoder.get_layer(f"shared.neck.{part}").gamma)
                         for each in (one, two))
        assert after == pytest.approx(0.5 * before, rel=1e-3)


def test_what_is_refused(call, weights, capsys, tmp_path):
    assert call("--share", "1") == 2
    assert "--share 1: expected a number in [0, 1)" in capsys.readouterr().err
    pair = weights / "pair.safetensors"
    save_weights(pair, build_pair(NetworkConfig.preset("tiny"), None), {})
    assert call(second=pair.name) == 2
    assert "expected weights of one trunk each" in capsys.readouterr().err
    assert second_trunk.main([str(weights / "first.safetensors"),
                              str(weights / "second.safetensors"), "--photographs", str(tmp_path),
                              "-o", str(tmp_path / "out.safetensors")]) == 2
    assert "no .jpg file below it" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    (tmp_path / "bad.jpg").write_bytes(b"no photograph")
    words = [str(weights / "first.safetensors"), str(weights / "second.safetensors"),
             "--photographs", str(tmp_path), "-o", str(tmp_path / "out.safetensors")]
    assert second_trunk.main(words) == 2
    assert "none of its photographs can be read" in capsys.readouterr().err
    assert second_trunk.main([*words, "--limit", "0"]) == 2
    assert "--limit 0: expected at least 1" in capsys.readouterr().err
    keras.utils.set_random_seed(2)
    two = build_gesture_networks(NetworkConfig.preset("tiny_two_trunks"), None)
    save_weights(tmp_path / "two.safetensors", two, {})
    assert second_trunk.main([str(tmp_path / "two.safetensors"), *words[1:]]) == 2
    assert "has a second trunk already" in capsys.readouterr().err
