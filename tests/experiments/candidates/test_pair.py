"""The pair as a candidate: a short run, and its answers."""
from __future__ import annotations

import keras
import numpy as np
import pytest

from experiments.candidates import pair as candidate
from oace_tf.clicks import Click
from oace_tf.config import NetworkConfig
from oace_tf.networks.pair import build_pair
from oace_tf.networks.predictor import Forward
from oace_tf.networks.weights import get_arrays
from oace_tf.training.settings import TrainSettings
from tests.oace_tf.training.drawn import write_dataset


@pytest.mark.slow
def test_a_run_learns_and_counts_what_it_saw(tmp_path, monkeypatch, eager):
    for name, value in (("SIZE", 64), ("BATCH", 2)):
        monkeypatch.setattr(candidate, name, value)
    keras.utils.set_random_seed(7)
    pair = build_pair(NetworkConfig.preset("tiny"), None)
    before = get_arrays(pair)
    settings = TrainSettings(learning_rate=0.01, warmup_steps=1)
    found = candidate.train_pair(pair, settings, [write_dataset(tmp_path / "drawn", 4)], 0.01)
    after = get_arrays(pair)
    assert found["gestures"] == found["photographs"] == 2 * found["steps"] >= 4
    moved = {name for name in after if not np.array_equal(after[name], before[name])}
    assert [name for name in moved if name.startswith("prior.")]
    assert [name for name in moved if name.startswith("msfnet.")]


def test_its_answer_is_that_of_all_taps_and_no_mask_before():
    pair = build_pair(NetworkConfig.preset("tiny"), None)
    photograph = np.random.default_rng(8).integers(0, 256, (48, 64, 3), np.uint8)
    taps = [Click(20.0, 20.0, True), Click(50.0, 40.0, False)]
    predictor = candidate.PairPredictor(pair, 64, 3)
    probability, mask = predictor.answer(photograph, taps, np.ones((64, 64), np.float32))
    assert mask is None
    assert probability == pytest.approx(Forward(pair, 64, 3).mask(photograph, taps))
    first, _ = predictor.answer(photograph, taps[:1], None)
    assert np.abs(first - probability).max() > 1e-4
