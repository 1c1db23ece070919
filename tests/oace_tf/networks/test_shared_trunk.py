"""One trunk for both networks: numbers against plain numpy, counted, saved and trained once."""
from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from oace_tf.clicks import draw_disks
from oace_tf.config import NetworkConfig
from oace_tf.networks.cost import add_up, cost_table
from oace_tf.networks.fused import build_fused
from oace_tf.networks.pair import build_pair
from oace_tf.networks.shared_trunk import REACH
from oace_tf.networks.weights import build_from_weights, get_arrays, pair_variables, save_weights
from tests.oace_tf.networks import plain
from tests.oace_tf.networks.test_pair import SIZE, assert_close, forward, scene

SHARED = {"shared_trunk": True, "prior_stem_stride": None, "prior_fusion": "late"}
LAYOUTS: tuple[dict[str, Any], ...] = (
    SHARED,
    {**SHARED, "stem_stride": 1, "click_channels": 1, "click_input": "oace", "head_width": 6},
    {**SHARED, "stem_stride": 4, "msf": False, "tap_film": True, "click_input": "oace"},
)


def plain_clicks(x: np.ndarray, weights: plain.Weights, name: str, stride: int,
                 levels: int) -> list[np.ndarray]:
    for halving in range(int(np.log2(stride))):
        x = plain.block(x, weights, f"{name}.down{halving}", 2)
    sides = []
    for level in range(levels):
        if f"{name}.level{level}.conv.weight" in weights:
            x = plain.block(x, weights, f"{name}.level{level}", 2 if level else 1)
        sides.append(plain.block(x, weights, f"{name}.side{level}"))
    return sides


def plain_join(features: list[np.ndarray], sides: list[np.ndarray], weights: plain.Weights,
               name: str) -> np.ndarray:
    x: np.ndarray | None = None
    for level, (feature, side) in reversed(list(enumerate(zip(features, sides)))):
        total = plain.block(feature, weights, f"{name}.lateral{level}") + side
        coarsest = x is None
        x = np.clip(total if x is None else total + plain.up2(x), 0, 6)
        if level > 0:
            x = plain.block(x, weights, f"{name}.smooth{level}")
        for index in range(REACH if coarsest else 0):
            x = plain.block(x, weights, f"{name}.reach{index}")
    assert x is not None
    return x


def plain_forward(pair: Any, image: np.ndarray, disks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    config, weights = pair.config, get_arrays(pair)
    finest, *features = plain.tiny(image, weights, "shared.trunk", config.stem_stride, None)
    stride = 2 * config.stem_stride
    sides = plain_clicks(disks, weights, "prior.clicks", stride, 2)
    x = plain_join(features, sides, weights, "prior.join")
    x = plain.film(x, disks, weights, "prior.decoder.film") if config.tap_film else x
    for part in ("block1", "block2"):
        x = plain.block(x, weights, f"prior.decoder.{part}")
    x = plain.conv(x, weights["prior.decoder.embed.weight"]) + weights["prior.decoder.embed.bias"]
    oace = plain.enlarge(np.tanh(x), stride)
    clicks = np.concatenate([oace, disks], 2) if config.click_input == "oace+disk" else oace
    click = plain.block(clicks, weights, "msfnet.click_stem", 2)
    sides = plain_clicks(click, weights, "msfnet.clicks", stride // 2, 2)
    x = plain_join(features, sides, weights, "msfnet.join")
    if config.msf:
        y = plain.block(click, weights, "msfnet.msf.conv", stride // 2)
        for index in (1, 2, 3):
            y = plain.inception(y, weights, f"msfnet.msf.inception{index}")
        y = plain.conv(y, weights["msfnet.msf_fuse.weight"])
        x = np.clip(x + plain.norm(y, weights, "msfnet.msf_fuse_bn"), 0, 6)
    x = plain.film(x, disks, weights, "msfnet.film") if config.tap_film else x
    x = plain.block(x, weights, "msfnet.head.block1")
    x = plain.block(plain.skip(x, finest, weights, "msfnet.head"), weights, "msfnet.head.block2")
    x = plain.conv(x, weights["msfnet.head.mask.weight"]) + weights["msfnet.head.mask.bias"]
    return oace, plain.enlarge(x, config.stem_stride)


@pytest.mark.parametrize("layout", LAYOUTS, ids=("two maps", "one map", "coarse, film"))
def test_the_networks_equal_plain_ones(tiny_pair, layout):
    pair = tiny_pair(**layout)
    image, disks = scene(pair.config.click_channels)
    oace, logits = forward(pair, image, disks)
    expected_oace, expected = plain_forward(pair, image, disks)
    assert_close(oace, expected_oace)
    assert_close(logits, expected)
    assert oace.std() > 0.01 and logits.std() > 0.01


def test_a_tap_reaches_the_whole_frame(tiny_pair):
    pair = tiny_pair(**SHARED)
    image, disks = scene(2)
    moved = disks.copy()
    moved[:11, :11, 0] = 127 / 128
    change = np.abs(forward(pair, image, moved)[0] - forward(pair, image, disks)[0])
    assert change[-8:, -8:].max() > 0


def test_every_variable_belongs_to_one_model_and_is_counted_once(tiny_pair):
    pair = tiny_pair(**SHARED)
    names = set(pair_variables(pair))
    assert {name.partition(".")[0] for name in names} == {"shared", "prior", "msfnet"}
    assert {name.split(".")[0] for name in names if ".trunk." in name} == {"shared"}
    totals = add_up(row for model in pair.models() for row in cost_table(model))
    assert totals.params == sum(int(np.prod(v.shape)) for v in pair_variables(pair).values())
    assert [model.name for model in pair.models()] == ["shared", "prior", "msfnet"]
    assert list(pair.with_trunks()) == [pair.shared]
    apart = tiny_pair()
    assert list(apart.with_trunks()) == [apart.prior, apart.msfnet] == list(apart.models())


def test_the_fused_model_is_the_pair(tiny_pair):
    pair = tiny_pair(**SHARED)
    image, _ = scene(2)
    points = np.array([[13, 25, 1], [38, 54, 0]], np.float32)
    fused = build_fused(pair, 2, SIZE)
    disks = np.stack([draw_disks(points, (SIZE, SIZE), label) for label in (1, 0)], -1)
    _, logits = forward(pair, image, disks)
    mask = keras.ops.convert_to_numpy(fused([image[None], points[None]]))[0]
    np.testing.assert_allclose(mask, plain.sigmoid(logits), atol=1e-6)
    trunks = [layer.name for layer in fused.layers if layer.name == "shared"]
    assert trunks == ["shared"]  # one call of one trunk


@pytest.mark.parametrize("layout", ({}, SHARED), ids=("apart", "shared"))
def test_the_embedding_as_arrays_is_that_of_the_batch(tiny_pair, layout):
    pair = tiny_pair(**layout)
    image, disks = scene(2)
    np.testing.assert_allclose(pair.embedding(image, disks), forward(pair, image, disks)[0],
                               atol=1e-6)
    with pytest.raises(ValueError, match="without a prior"):
        tiny_pair(click_input="disk").embedding(image, disks)


def test_weights_come_back(tiny_pair, tmp_path):
    pair = tiny_pair(**SHARED)
    save_weights(tmp_path / "w.safetensors", pair, {})
    other, _ = build_from_weights(tmp_path / "w.safetensors", SIZE)
    assert other.config == pair.config and other.shared is not None
    found, expected = get_arrays(other), get_arrays(pair)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_a_pair_of_any_size(tiny_pair):
    pair = build_pair(tiny_pair(**SHARED).config, None)
    image = keras.ops.zeros((1, 128, 128, 3))
    oace, logits = pair.forward(image, image[..., :2])
    assert tuple(oace.shape) == (1, 128, 128, 3) and tuple(logits.shape) == (1, 128, 128, 1)


@pytest.mark.slow
def test_the_shared_hrnet_keeps_its_budget_and_the_published_names():
    pair = build_pair(NetworkConfig.preset("hrnet_shared"), 512)
    totals = add_up(row for model in pair.models() for row in cost_table(model))
    assert totals.gmac <= 20
    names = {name for name in pair_variables(pair) if name.startswith("shared.trunk.")}
    own = build_pair(NetworkConfig.preset("hrnet"), None)
    assert {name.removeprefix("shared.") for name in names} == {
        name.removeprefix("msfnet.") for name in pair_variables(own)
        if name.startswith("msfnet.trunk.")}
