"""Settings of one trunk's training: JSON both ways, faults named, the learning rate."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from oace_tf.errors import UsageError
from oace_tf.training.gesture_scenes import GestureSceneSettings
from oace_tf.training.gesture_settings import GesturePhase, GestureTrainSettings

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = GestureTrainSettings(
    phases=(GesturePhase(size=64, photographs=2, batches=2, frozen=True, later_taps=False),
            GesturePhase(size=64, photographs=2, batches=2, end=0.1)),
    learning_rate=0.003, warmup=2, ema=0.9, rounds=(0.0, 1.0), seed=5,
    scenes=GestureSceneSettings(gestures=2, rows=16))


def test_settings_are_json_both_ways_and_unknown_keys_are_named():
    assert GestureTrainSettings.from_json(SETTINGS.to_json(), "here") == SETTINGS
    for fields, message in (({"phase": []}, "unknown key 'phase'"),
                            ({"scenes": {"shares": {"tab": 1}}}, "unknown key 'scenes.shares.tab'"),
                            ({"phases": [{"size": 100}]}, "phase.size is 100"),
                            ({"phases": [{"sizes": [64, 100]}]}, "phase.sizes is 100"),
                            ({"seed": "x"}, "seed is 'x'"), ({"rounds": []}, "rounds is"),
                            ({"clip_norm": 0.0}, "clip_norm is 0.0"),
                            ({"optimizer": "sgd"}, "optimizer is .sgd., expected adamw or muon"),
                            ({"renewed": 1.5}, "renewed is 1.5"),
                            ({"scenes": {"min_object": 0}}, "min_object is 0"),
                            ({"scenes": {"paste_smallest": 0.9}}, "paste_smallest is 0.9"),
                            ({"scenes": {"shares": {"tap": -1}}}, "scenes.shares are")):
        with pytest.raises(UsageError, match=message):
            GestureTrainSettings.from_json(fields, "here")


def test_the_learning_rate_warms_up_and_moves_evenly_within_a_phase():
    rates = [SETTINGS.learning_rate_at(batch, step) for batch, step in ((0, 0), (1, 1), (2, 2),
                                                                        (3, 4))]
    assert rates == pytest.approx([0.0015, 0.003, 0.003, 0.003 * 0.55])


def test_the_batches_of_a_phase_take_its_sizes_in_turn():
    phase = GesturePhase(size=512, sizes=(64, 128, 192))
    assert [phase.size_of(batch) for batch in (0, 1, 2, 3, 7)] == [64, 128, 192, 64, 128]
    assert GesturePhase(size=128).size_of(7) == 128


def test_steadiness_needs_twins():
    fields = {"losses": {"steadiness": 0.3}}
    with pytest.raises(UsageError, match="losses.steadiness is 0.3, expected 0 where scenes.twins"):
        GestureTrainSettings.from_json(fields, "x.json")
    GestureTrainSettings.from_json({**fields, "scenes": {"twins": 0.5}}, "x.json")


def test_the_committed_configuration_can_be_read():
    fields = json.loads((ROOT / "configs" / "one_trunk.json").read_text(encoding="utf-8"))
    settings = GestureTrainSettings.from_json(fields, "one_trunk.json")
    assert settings.phases[0].frozen and not settings.phases[-1].frozen
    assert sum(share for _, share in settings.sources) == pytest.approx(1.0, abs=0.1)
    assert set(settings.exact) <= {name for name, _ in settings.sources}


def test_the_preset_is_the_network_of_the_shipped_weights():
    from oace_tf.config import NetworkConfig
    from oace_tf.networks.weights import read_record

    config, _ = read_record(ROOT / "oace_tf" / "weights" / "one_trunk.safetensors")
    assert config == NetworkConfig.preset("two_trunks")
