"""Prior and MSFNet in every layout: shapes, ranges, and numbers against plain numpy."""
from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
import pytest

from oace_tf.config import NetworkConfig
from oace_tf.networks import layers as network_layers
from oace_tf.networks.pair import build_pair
from oace_tf.networks.weights import get_arrays, pair_variables, set_arrays
from tests.oace_tf.networks import plain

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
