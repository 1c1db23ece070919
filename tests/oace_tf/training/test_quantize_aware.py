"""Fine-tuning for int8: it learns, keeps the statistics, and leaves its ranges in the record."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from oace_tf.networks.fake_quant import wiring
from oace_tf.networks.weights import get_arrays, read_record
from oace_tf.training.settings import QuantizeAware, TrainSettings
from oace_tf.training.trainer import Trainer

FIELDS = {"phases": [{"size": 64, "batch": 2, "steps": 2}], "learning_rate": 0.003, "seed": 3,
          "quantize_aware": {"scenes": 2, "consistency": 0.5}}


def test_a_short_run(dataset: Path, fresh_pair, tmp_path: Path, eager) -> None:
    pair = fresh_pair(0)
    before = get_arrays(pair)
    settings = TrainSettings.from_json(FIELDS, "here")
    assert settings.quantize_aware == QuantizeAware(2, 0.5)
    trainer = Trainer(pair, "msfnet", settings, [dataset], tmp_path / "run", workers=0)
    assert set(wiring(pair.msfnet).stored) <= set(trainer.ranges)
    assert all(np.isfinite(ends).all() and ends[0] <= ends[1] for ends in trainer.ranges.values())
    trainer.run()
    after = get_arrays(pair)
    moved = {name for name in before if not np.array_equal(before[name], after[name])}
    # Everything of MSFNet that can be trained, nothing of the frozen prior, no statistics.
    wanted = {name for name in before
              if name.startswith("msfnet.") and "running" not in name}
    assert moved == wanted


@pytest.mark.slow
def test_the_step_learns(dataset: Path, fresh_pair, tmp_path: Path, eager) -> None:
    """The same batch again and again: the loss through the rounding falls."""
    pair = fresh_pair(1)
    settings = TrainSettings.from_json({**FIELDS, "learning_rate": 0.01}, "here")
    trainer = Trainer(pair, "joint", settings, [dataset], tmp_path / "run", workers=0)
    from oace_tf.training.batches import SceneMaker
    from oace_tf.training.sources import find_sources

    batch = SceneMaker(find_sources([dataset], {}), settings, 2).batch(0)
    runner = trainer.runner
    runner.optimizer.learning_rate.assign(0.01)
    losses = []
    for _ in range(8):
        runner.model.reset_metrics()
        losses.append(float(runner.model.train_on_batch(batch)))
    assert np.mean(losses[-2:]) < losses[0] - 0.03


@pytest.mark.slow
def test_resumed_runs_have_the_same_ranges_and_weights(
    dataset: Path, fresh_pair, tmp_path: Path, eager
) -> None:
    settings = TrainSettings.from_json(FIELDS, "here")
    whole = Trainer(fresh_pair(2), "joint", settings, [dataset], tmp_path / "whole", workers=0)
    whole.run()
    wanted = get_arrays(whole.pair)  # copies: the next trainer fills the same pair anew
    parts = tmp_path / "parts"
    Trainer(fresh_pair(2), "joint", settings, [dataset], parts, workers=0).run(stop_at=1)
    second = Trainer(fresh_pair(2), "joint", settings, [dataset], parts, workers=0)
    second.resume()
    second.run()
    assert second.ranges == whole.ranges
    found = get_arrays(second.pair)
    assert all(np.array_equal(wanted[name], found[name]) for name in wanted)


@pytest.mark.slow
def test_the_command_writes_the_ranges(dataset: Path, tmp_path: Path) -> None:
    from oace_tf import train

    config = tmp_path / "config.json"
    config.write_text(json.dumps({**FIELDS, "phases": [{"size": 64, "batch": 2, "steps": 1}]}))
    assert train.main(["joint", "--data", str(dataset), "--config", str(config), "--preset",
                       "tiny", "--out", str(tmp_path / "out"), "--workers", "0"]) == 0
    _, record = read_record(tmp_path / "out" / "weights.safetensors")
    ranges = record["quantize_aware"]["ranges"]
    assert record["settings"]["quantize_aware"]["scenes"] == 2
    assert "msfnet.head.mask" in ranges and "prior.decoder.block1.relu" in ranges


def test_float_runs_are_as_before() -> None:
    assert "quantize_aware" not in TrainSettings().to_json()
    aware = TrainSettings.from_json(FIELDS, "here")
    assert TrainSettings.from_json(aware.to_json(), "again") == aware
