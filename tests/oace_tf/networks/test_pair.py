"""Prior and MSFNet in every layout: shapes, ranges, and numbers against plain numpy."""
from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
import pytest

from oace_tf.config import NetworkConfig
from oace_tf.networks import layers as network_layers
from oace_tf.networks.layers import Scope
from oace_tf.networks.msfnet import FUSION_GAIN, build_msfnet, mask_head
from oace_tf.networks.pair import build_pair
from oace_tf.networks.tap_film import tap_film
from oace_tf.networks.trunks import stem_layout, trunk_features
from oace_tf.networks.weights import get_arrays, named_variables, pair_variables, set_arrays
from tests.oace_tf.networks import plain
from tests.oace_tf.networks.conftest import seeded_arrays

SIZE = 64
# float32 against float64 through some thirty layers; measured: 3e-6 of the largest value
TOLERANCE = 3e-5
LAYOUTS: tuple[dict[str, Any], ...] = (
    {},
    {"stem_stride": 1, "prior_stem_stride": None, "click_channels": 1, "click_input": "oace",
     "prior_fusion": "late"},
    {"stem_stride": 4, "prior_stem_stride": 2, "click_input": "disk", "msf": False},
    {"stem_stride": 4, "prior_stem_stride": None, "prior_fusion": "late", "msf": False,
     "click_input": "oace"},
    {"prior_stem_stride": 1, "click_channels": 1, "click_input": "oace+disk"},
    {"prior_stem_stride": 2, "prior_fusion": "late", "click_input": "oace+disk"},
    {"click_channels": 1, "click_input": "disk"},
    {"tap_film": True},
    {"tap_film": True, "click_input": "oace", "msf": False},
)


def named(layout: dict[str, Any]) -> str:
    return ",".join(f"{key}={value}" for key, value in layout.items()) or "default"


def scene(channels: int, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """A photograph in [-1, 1) and disk maps, float32, without batch axis."""
    rng = np.random.default_rng(seed)
    image = (rng.integers(0, 256, (SIZE, SIZE, 3)) - 128) / 128
    disks = np.zeros((SIZE, SIZE, channels))
    disks[20:31, 8:19, 0] = 127 / 128
    disks[50:60, 33:44, -1] = 127 / 128
    return image.astype(np.float32), disks.astype(np.float32)


def forward(pair: Any, image: np.ndarray, disks: np.ndarray) -> tuple[Any, np.ndarray]:
    oace, logits = pair.forward(*(keras.ops.convert_to_tensor(a[None]) for a in (image, disks)))
    to_numpy = keras.ops.convert_to_numpy
    return None if oace is None else to_numpy(oace)[0], to_numpy(logits)[0]


def plain_forward(pair: Any, image: np.ndarray, disks: np.ndarray) -> tuple[Any, np.ndarray]:
    config, weights = pair.config, get_arrays(pair)
    oace, clicks = None, [disks]
    if config.has_prior:
        oace = plain.prior(image, disks, weights, config.stride_of_prior,
                           config.prior_fusion == "late", config.tap_film)
        clicks = [oace, disks] if config.click_input == "oace+disk" else [oace]
    return oace, plain.msfnet(image, np.concatenate(clicks, 2), weights, config.stem_stride,
                              config.msf, disks if config.tap_film else None)


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=TOLERANCE * np.abs(expected).max(), rtol=0)


@pytest.mark.parametrize("layout", LAYOUTS, ids=named)
def test_the_networks_equal_plain_ones(tiny_pair, layout):
    pair = tiny_pair(**layout)
    config = pair.config
    inputs = ["image", *(["oace"] if "oace" in config.click_input else []),
              *(["disks"] if "disk" in config.click_input or config.tap_film else [])]
    assert [tensor.name for tensor in pair.msfnet.inputs] == inputs
    assert pair.msfnet.input_shape[-1][3] == (
        config.click_channels if inputs[-1] == "disks" else 3)
    assert pair.msfnet.output_shape == (None, SIZE, SIZE, 1)
    assert (pair.prior is not None) == config.has_prior
    assert len(list(pair.models())) == 1 + config.has_prior
    assert any(".msf." in name for name in pair_variables(pair)) == config.msf
    image, disks = scene(config.click_channels)
    (oace, logits), (expected_oace, expected) = (way(pair, image, disks)
                                                 for way in (forward, plain_forward))
    assert_close(logits, expected)
    assert logits.std() > 0.01
    if config.has_prior:
        assert pair.prior.output_shape == (None, SIZE, SIZE, 3)
        assert_close(oace, expected_oace)
        assert np.abs(oace).max() <= 1 and oace.std() > 0.01


def test_fresh_film_leaves_the_features_alone():
    features = keras.Input((16, 16, 6))
    disks = keras.Input((64, 64, 2))
    model = keras.Model([features, disks], tap_film(Scope("film"), features, disks))
    rng = np.random.default_rng(0)
    x = 6 * rng.random((2, 16, 16, 6), np.float32)
    found = keras.ops.convert_to_numpy(model([x, rng.random((2, 64, 64, 2), np.float32)]))
    np.testing.assert_allclose(found, x, atol=1e-6)


def test_film_carries_the_tap_across_the_whole_frame(tiny_pair):
    # One object tap moved in a corner: without film the far corner of a wide frame cannot change.
    image = np.random.default_rng(2).normal(0, 0.5, (1, 512, 512, 3)).astype(np.float32)
    changes = {}
    for film in (False, True):
        config = tiny_pair(tap_film=film).config
        config = dataclasses.replace(config, click_input="disk", msf=False)
        pair = build_pair(config, None)
        set_arrays(pair, seeded_arrays(pair), "seeded")
        logits = []
        for at in (16, 32):
            disks = np.zeros((1, 512, 512, 2), np.float32)
            disks[0, at:at + 11, 8:19, 0] = 127 / 128
            logits.append(pair.forward(image, disks)[1])
        changes[film] = np.abs(np.asarray(logits[0] - logits[1])[0, 448:, 448:]).max()
    assert changes[False] == 0.0 and changes[True] > 1e-3


def test_the_oace_stays_within_its_range(tiny_pair):
    pair = tiny_pair()
    weights = seeded_arrays(pair)
    try:
        set_arrays(pair, {name: 50 * array if name.startswith("prior.decoder.embed") else array
                          for name, array in weights.items()}, "large")
        oace, _ = forward(pair, *scene(2))
    finally:
        set_arrays(pair, weights, "seeded")
    assert oace.min() >= -1 and oace.max() <= 1 and np.abs(oace).max() > 0.999


def test_swapped_channels_are_noticed(tiny_pair):
    # Colours, click channels, and the order of OACE and disks.
    pair = tiny_pair()
    image, disks = scene(2)
    expected_oace, expected = plain_forward(pair, image, disks)
    limit = 1000 * TOLERANCE
    for swapped in ((image[..., ::-1], disks), (image, disks[..., ::-1])):
        oace, logits = forward(pair, *map(np.ascontiguousarray, swapped))
        assert np.abs(oace - expected_oace).max() > limit * np.abs(expected_oace).max()
        assert np.abs(logits - expected).max() > limit * np.abs(expected).max()
    other = plain.msfnet(image, np.concatenate([disks, expected_oace], 2), get_arrays(pair), 2,
                         True)
    assert np.abs(other - expected).max() > limit * np.abs(expected).max()


def test_a_moved_padding_is_noticed(tiny_pair, monkeypatch):
    pair, original = tiny_pair(), network_layers.pad
    image, disks = scene(2)
    expected_oace, expected = plain_forward(pair, image, disks)
    monkeypatch.setattr(network_layers, "pad", lambda x, name, kernel, stride, padding: original(
        x, name, kernel, stride, "torch"))
    moved = build_pair(pair.config, SIZE)
    set_arrays(moved, get_arrays(pair), "seeded")
    oace, logits = forward(moved, image, disks)
    assert np.abs(oace - expected_oace).max() > 1000 * TOLERANCE * np.abs(expected_oace).max()
    assert np.abs(logits - expected).max() > 1000 * TOLERANCE * np.abs(expected).max()


@pytest.mark.parametrize("stem_stride", (1, 2, 4))
def test_the_head_around_hrnet_equals_a_plain_one(stem_stride):
    config = dataclasses.replace(NetworkConfig.preset("hrnet"), stem_stride=stem_stride)
    cells = 8
    joined = keras.Input((cells, cells, 6))
    model = keras.Model(joined, mask_head(Scope("h"), joined, None, config))
    rng, weights = np.random.default_rng(0), {}
    for name, variable in named_variables(model):
        weights[name] = rng.uniform(0.5 if name.endswith("var") else -0.5, 1, variable.shape)
        variable.assign(weights[name])
    x = rng.uniform(0, 1, (cells, cells, 6)).astype(np.float32)
    expected = plain.block(x, weights, "h.block1")
    if stem_stride > 1:
        expected = plain.up2(expected)
    expected = plain.conv(plain.block(expected, weights, "h.block2"), weights["h.mask.weight"])
    expected = expected + weights["h.mask.bias"]
    expected = plain.enlarge(expected, 2 if stem_stride == 4 else 1)
    assert expected.shape == (cells * stem_stride, cells * stem_stride, 1)
    assert_close(keras.ops.convert_to_numpy(model(x[None]))[0], expected)


@pytest.mark.parametrize(("trunk", "stem_stride", "small", "shapes"), (
    ("tiny", 1, False, [(64, 8), (32, 12), (16, 16)]),
    ("tiny", 4, False, [(16, 8), (8, 12), (4, 16)]),
    ("efficientnet_lite0", 1, False, [(64, 16), (32, 24), (16, 40), (8, 112), (4, 320)]),
    ("efficientnet_lite0", 2, False, [(32, 16), (16, 24), (8, 40), (4, 112), (2, 320)]),
    ("efficientnet_lite0", 4, True, [(16, 16), (8, 24), (4, 40), (2, 112), (1, 320)]),
    ("hrnet", 4, True, [(16, 18), (8, 36), (4, 72), (2, 144)])))
def test_trunks_give_features_of_falling_resolution(trunk, stem_stride, small, shapes):
    image = keras.Input((SIZE, SIZE, 3))
    layout = stem_layout(trunk, stem_stride)
    cells = SIZE // layout.stride // (2 if layout.halve else 1)
    side = keras.Input((cells, cells, layout.channels))
    features = trunk_features(Scope("t"), image, trunk, stem_stride, small=small, side=side)
    assert [tuple(feature.shape) for feature in features] == [
        (None, cells, cells, channels) for cells, channels in shapes]


def test_a_fresh_msfnet_leaves_its_trunk_in_charge():
    # The click stem joins at a fraction of the trunk's own strength, masks start out small.
    msfnet = build_msfnet(NetworkConfig.preset("tiny"), SIZE)
    gamma = np.asarray(msfnet.get_layer("msfnet.click_fuse_bn").gamma)
    np.testing.assert_allclose(gamma, FUSION_GAIN)
    np.testing.assert_allclose(np.asarray(msfnet.get_layer("msfnet.head.mask").bias), -1)


def test_size_and_batch_can_stay_open():
    pair = build_pair(NetworkConfig.preset("tiny"), size=None, batch=None)
    for size in (64, 128):
        image = keras.ops.zeros((2, size, size, 3))
        oace, logits = pair.forward(image, image[..., :2])
        assert tuple(oace.shape) == (2, size, size, 3)
        assert tuple(logits.shape) == (2, size, size, 1)
    fixed = build_pair(NetworkConfig.preset("tiny"), size=64, batch=1)
    assert fixed.msfnet.output_shape == (1, 64, 64, 1)


@pytest.mark.slow
@pytest.mark.parametrize(("trunk", "stem_stride"), (
    ("efficientnet_lite0", 1), ("efficientnet_lite0", 4), ("hrnet", 2)))
def test_real_trunks_fit_in_every_layout(trunk, stem_stride):
    config = dataclasses.replace(
        NetworkConfig.preset(trunk), stem_stride=stem_stride, prior_stem_stride=None,
        click_channels=1 + stem_stride % 2, prior_fusion="late" if stem_stride == 2 else "early")
    pair = build_pair(config, 64, 1)
    assert pair.prior is not None
    assert pair.prior.output_shape == (1, 64, 64, 3)
    assert pair.msfnet.output_shape == (1, 64, 64, 1)
