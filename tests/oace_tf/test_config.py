"""Network configurations: what is refused, JSON both ways, the presets."""
from __future__ import annotations

import dataclasses
import json

import pytest

from oace_tf.config import PRESETS, NetworkConfig
from oace_tf.errors import UsageError


@pytest.mark.parametrize("name", PRESETS)
def test_json_both_ways(name):
    config = NetworkConfig.preset(name)
    assert NetworkConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_fields_added_later_are_left_out_at_their_default():
    first = {"trunk", "stem_stride", "prior_stem_stride", "click_channels", "msf", "click_input",
             "prior_fusion", "prior_width", "msfnet_width", "msf_width"}
    assert set(NetworkConfig().to_json()) == first  # what the first weights file says
    config = NetworkConfig(frame=384, tap_film=True, head_width=8, shared_trunk=True,
                           prior_stem_stride=None, prior_fusion="late")
    assert set(config.to_json()) - first == {"frame", "tap_film", "head_width", "shared_trunk"}


@pytest.mark.parametrize(("field", "value"), (
    ("prior_stem_stride", 4), ("prior_fusion", "early"), ("click_input", "disk")))
def test_a_shared_trunk_sees_the_photograph_alone(field, value):
    fields = {"shared_trunk": True, "prior_stem_stride": None, "prior_fusion": "late"}
    assert NetworkConfig.from_json(fields).shared_trunk
    with pytest.raises(UsageError, match=f"{field} is {value!r}"):
        NetworkConfig.from_json({**fields, field: value})


def test_missing_keys_keep_their_default():
    assert NetworkConfig.from_json({}) == NetworkConfig()
    assert NetworkConfig.from_json({"msf": False}) == NetworkConfig(msf=False)


def test_an_unknown_key_is_named_with_its_file():
    with pytest.raises(UsageError, match="^pair.json: .*unknown key 'stem'.*stem_stride"):
        NetworkConfig.from_json({"stem": 2}, "pair.json")


@pytest.mark.parametrize(("field", "value"), (
    ("trunk", "resnet"), ("trunk", None), ("stem_stride", 3), ("stem_stride", True),
    ("stem_stride", 2.0), ("stem_stride", None), ("prior_stem_stride", 8),
    ("prior_stem_stride", True), ("click_channels", True), ("click_channels", 3),
    ("click_channels", "1"), ("msf", 1), ("msf", None), ("click_input", "mask"),
    ("click_input", ["oace"]), ("prior_fusion", "middle"), ("prior_width", 63),
    ("prior_width", 2), ("prior_width", 514), ("prior_width", 64.0), ("msfnet_width", True),
    ("msf_width", "16"), ("msf_width", float("nan")), ("head_width", 7),
    ("head_width", 2.0), ("shared_trunk", 1)))
def test_a_bad_value_is_named_with_field_value_and_rule(field, value):
    with pytest.raises(UsageError) as caught:
        NetworkConfig.from_json({field: value}, "pair.json")
    message = str(caught.value)
    assert message.startswith("pair.json: network configuration: ") and "\n" not in message
    assert field in message and repr(value) in message and "expected" in message


def test_presets():
    assert NetworkConfig.preset("efficientnet_lite0") == NetworkConfig(frame=384, tap_film=True)
    assert NetworkConfig().click_channels == 2
    papers = {name: config for name, config in PRESETS.items() if name.startswith("paper_")}
    assert len(papers) == 3
    assert {config.click_channels for config in papers.values()} == {1}
    assert {config.trunk for config in papers.values()} == {"hrnet"}
    # the rows of the paper's table 2
    assert {name: (config.click_input, config.msf) for name, config in papers.items()} == {
        "paper_baseline": ("disk", False), "paper_msfnet": ("disk", True),
        "paper_msfnet_oace": ("oace", True)}
    with pytest.raises(UsageError, match="no preset 'b7'; there are efficientnet_lite0, one_trunk"):
        NetworkConfig.preset("b7")


def test_what_follows_from_the_fields():
    assert not NetworkConfig(click_input="disk").has_prior
    assert NetworkConfig(click_input="oace").has_prior
    assert NetworkConfig(click_input="oace+disk").has_prior
    assert NetworkConfig(stem_stride=2, prior_stem_stride=None).stride_of_prior == 2
    assert NetworkConfig(stem_stride=2, prior_stem_stride=4).stride_of_prior == 4


@pytest.mark.parametrize(("frame", "sides"), (
    (512, {512: 512, 96: 96, 64: 64}), (384, {512: 384, 256: 192, 448: 320, 64: 64}),
    (256, {512: 256, 128: 64})))
def test_the_networks_see_their_share_of_the_files_square(frame, sides):
    config = NetworkConfig(frame=frame)
    assert {side: config.network_side(side) for side in sides} == sides
    for side in (64, 192, 256, 320, 384):
        assert config.network_side(config.file_side(side)) == side


def test_configurations_are_values():
    config = NetworkConfig()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.trunk = "hrnet"  # type: ignore[misc]
    assert len({config, NetworkConfig()}) == 1


@pytest.mark.parametrize("fields", [None, 5, [], "trunk", {"trunk": []}, {"trunk": {}},
                                    {"click_channels": "2"}])
def test_json_of_another_form_is_one_error(fields):
    with pytest.raises(UsageError, match="^a.json: "):
        NetworkConfig.from_json(fields, "a.json")
