"""Settings of a run: the paper's by default, strict in keys, types and ranges."""
from __future__ import annotations

import dataclasses
import json

import pytest

from oace_tf.errors import UsageError
from oace_tf.fileio import read_json
from oace_tf.training.settings import LossSettings, Phase, SceneSettings, TrainSettings

FIRST = "configs/train.json"


def test_the_defaults_are_the_papers():
    settings = TrainSettings()
    assert settings.phases == (Phase(512, 64, 210 * 1560),)
    assert (settings.learning_rate, settings.schedule) == (5e-4, "constant")
    assert (settings.losses.mask, settings.losses.gamma, settings.losses.alpha) == ("nfl", 2.0, 0.5)
    assert settings.losses.background_from == "pass2"
    assert (settings.scenes.object_patches, settings.scenes.background_patches) == (10, 15)
    assert (settings.scenes.flip, settings.scenes.paste, settings.scenes.crop) == (0.5, 0, 0)


@pytest.mark.parametrize("settings", (
    TrainSettings(),
    TrainSettings(phases=(Phase(64, 2, 3), Phase(128, 1, 4)), sources=(("a", 0.5), ("b", 1.0)),
                  scenes=SceneSettings(paste=1.0), losses=LossSettings(mask="dice"), ema=0.9)))
def test_json_both_ways(settings):
    again = TrainSettings.from_json(json.loads(json.dumps(settings.to_json())), "x")
    assert again == settings


def test_the_settings_in_the_repository_are_valid(pytestconfig):
    settings = TrainSettings.from_json(read_json(pytestconfig.rootpath / FIRST), FIRST)
    assert settings.steps > 0 and settings.sources


@pytest.mark.parametrize(("fields", "words"), (
    ({"epochs": 3}, ("epochs", "known are")),
    ({"scenes": {"flips": 1}}, ("flips",)),
    ({"losses": {"focal": 1}}, ("focal",)),
    ({"phases": [{"height": 64}]}, ("height",)),
    ({"phases": []}, ("phases",)),
    ({"phases": 3}, ("phases is 3", "a list")),
    ({"phases": "all"}, ("phases is 'all'", "a list")),
    ({"phases": [{"size": 96}]}, ("phase.size", "96", "multiple of 64")),
    ({"phases": [{}, {"size": 96}]}, ("phases[1]: ", "phase.size is 96")),
    ({"phases": [{}, {"size": 64.0}]}, ("phases[1].size", "64.0", "int")),
    ({"phases": [{"batch": True}]}, ("phases[0].batch", "True")),
    ({"phases": [{"batch": 2.5}]}, ("phases[0].batch", "2.5")),
    ({"phases": [{"steps": 0}]}, ("phase.steps",)),
    ({"learning_rate": "fast"}, ("learning_rate", "'fast'")),
    ({"learning_rate": True}, ("learning_rate", "True")),
    ({"learning_rate": 10**400}, ("learning_rate is 1000", "…", "a float holds")),
    ({"seed": "7" * 5000}, ("seed is '777", "…, expected")),
    ({"x" * 5000: 1}, ("unknown key 'xxx", "…")),
    ({"learning_rate": 0.0}, ("learning_rate", "(0, 1)")),
    ({"learning_rate": float("nan")}, ("learning_rate", "nan")),
    ({"schedule": "linear"}, ("schedule", "cosine")),
    ({"warmup_steps": 10**9}, ("warmup_steps",)),
    ({"warmup_steps": 1.5}, ("warmup_steps",)),
    ({"ema": 1.0}, ("ema",)),
    ({"seed": -1}, ("seed",)),
    ({"seed": 1.0}, ("seed",)),
    ({"seed": 2**32}, ("seed",)),
    ({"clip_norm": -1.0}, ("clip_norm",)),
    ({"sources": {"cats": -1}}, ("sources.cats",)),
    ({"sources": {"cats": "all"}}, ("sources.cats is 'all'", "float")),
    ({"sources": "cats"}, ("sources is 'cats'", "a list")),
    ({"sources": [["cats"]]}, ("sources[0] is ['cats']", "a list of 2")),
    ({"scenes": None}, ("scenes is None", "SceneSettings")),
    ({"distill": 3}, ("distill is 3", "DistillSettings")),
    ({"scenes": {"flip": 1.5}}, ("scenes.flip", "1.5", "[0, 1]")),
    ({"scenes": {"deepest_tap": 0.6, "border_tap": 0.6}}, ("deepest_tap + border_tap",)),
    ({"scenes": {"object_patches": 0}}, ("scenes.object_patches",)),
    ({"losses": {"mask": "mse"}}, ("losses.mask", "'mse'")),
    ({"losses": {"background_from": "both passes"}}, ("losses.background_from",)),
    ({"losses": {"gamma": -1}}, ("losses.gamma",)),
    ([], ("the file is []", "TrainSettings")),
))
def test_bad_settings_are_named_with_their_file(fields, words):
    with pytest.raises(UsageError) as caught:
        TrainSettings.from_json(fields, "run.json")
    message = str(caught.value)
    assert message.startswith("run.json: ") and "\n" not in message
    for word in words:
        assert word in message


def test_phases_follow_one_another():
    settings = TrainSettings(phases=(Phase(64, 2, 3), Phase(128, 1, 4)))
    assert settings.steps == 7
    assert [settings.phase_of(step).size for step in range(7)] == 3 * [64] + 4 * [128]
    with pytest.raises(IndexError):
        settings.phase_of(7)


def test_learning_rates():
    # Warm-up 1/4, 2/4, ... of the rate; the cosine starts at the rate and ends near a hundredth.
    settings = TrainSettings(phases=(Phase(64, 1, 104),), learning_rate=0.8, warmup_steps=4,
                             schedule="cosine")
    rates = [settings.learning_rate_at(step) for step in range(104)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8])
    assert rates[54] == pytest.approx(0.8 * (0.01 + 0.99 / 2))
    assert 0.008 < rates[-1] < 0.0085
    assert all(a > b for a, b in zip(rates[4:], rates[5:]))
    constant = TrainSettings(phases=(Phase(64, 1, 10),))
    assert {constant.learning_rate_at(step) for step in range(10)} == {5e-4}


def test_a_stage_of_its_own_warms_up_again():
    settings = TrainSettings(phases=(Phase(64, 1, 10, "prior"), Phase(64, 1, 4, "msfnet"),
                                     Phase(128, 1, 6, "msfnet"), Phase(64, 1, 5)),
                             learning_rate=0.1, warmup_steps=4)
    rates = [settings.learning_rate_at(step) / 0.1 for step in range(25)]
    ramp = [0.25, 0.5, 0.75, 1.0]
    assert rates == pytest.approx([*ramp, *6 * [1.0], *ramp, *6 * [1.0], *ramp, 1.0])
    cosine = dataclasses.replace(settings, schedule="cosine")
    plain = dataclasses.replace(cosine, phases=(Phase(64, 1, 25),))
    assert cosine.learning_rate_at(10) == pytest.approx(plain.learning_rate_at(10) / 4)
    assert cosine.learning_rate_at(9) == plain.learning_rate_at(9)


@pytest.mark.parametrize(("fields", "words"), (
    ({"phases": [{"stage": "both"}]}, "phase.stage is 'both'"),
    ({"phases": [{"batch": 6}], "accumulate": 4}, "phase.batch is 6, expected a multiple of"),
    ({"accumulate": 0}, "accumulate is 0"),
    ({"accumulate": 2, "scenes": {"twins": 0.5}, "losses": {"steadiness": 1.0}}, "accumulate is 2"),
    ({"precision": "float16"}, "precision is 'float16'"),
    ({"scenes": {"error_taps": 8}}, "scenes.error_taps is 8"),
    ({"scenes": {"photometric": "gpu"}}, "scenes.photometric is 'gpu'"),
    ({"losses": {"boundary": -1.0}}, "losses.boundary is -1.0"),
    ({"losses": {"boundary_px": 0}}, "losses.boundary_px is 0"),
))
def test_bad_values_of_the_switches(fields, words):
    with pytest.raises(UsageError) as caught:
        TrainSettings.from_json(fields, "run.json")
    assert words in str(caught.value) and str(caught.value).startswith("run.json: ")


def test_the_switches_are_off_by_default():
    settings = TrainSettings()
    assert (settings.accumulate, settings.precision, settings.losses.boundary) == (
        1, "float32", 0.0)
    assert (settings.scenes.error_taps, settings.scenes.photometric) == (0, "worker")
    assert [phase.stage for phase in settings.phases] == [""]
