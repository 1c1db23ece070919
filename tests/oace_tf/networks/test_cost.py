"""Costs: hand-worked figures for a small net, and the targets of the presets."""
from __future__ import annotations

import dataclasses

import keras
import pytest
from keras import layers

from oace_tf.config import NetworkConfig
from oace_tf.networks.cost import StageCost, Totals, add_up, cost_table
from oace_tf.networks.layers import Scope
from oace_tf.networks.pair import Pair, build_pair
from oace_tf.networks.prior import build_prior


def small_net(size: int | None = 8) -> keras.Model:
    """Every kind of layer that is counted."""
    image = keras.Input((size, size, 3), name="image")
    net = Scope("net")
    x = net.conv(image, "conv1", 4, 3, 2, padding="torch")
    x = net.relu(net.bn(x, "bn1"))
    y = net("blocks")(0).depthwise(x, "depthwise", 3)
    y = layers.Conv2D(4, 3, padding="same", groups=2, name="net.blocks.0.grouped")(y)
    y = net("blocks")(1).conv(y, "conv", 4, 1)
    x = net("head").add([x, y], "add")
    x = net("head").conv(net("head").up(x, "up"), "mask", 2, 1, use_bias=True)
    score = layers.Dense(5, name="score")(layers.GlobalAveragePooling2D(name="mean")(x))
    return keras.Model(image, [x, score])


def test_a_small_net_costs_what_it_costs_by_hand():
    quarter = (4, 4, 4)
    assert cost_table(small_net()) == [
        # 3 x 3 x 3 x 4 weights at 4 x 4 places; 4 numbers a channel of normalisation.
        StageCost("net", (quarter,), 108 + 16, 16 * 108),
        # Depthwise 3 x 3 x 4; two groups of 3 x 3 x 2 -> 2 with 4 biases; 4 -> 4.
        StageCost("net.blocks.0-1", (quarter,), 36 + 72 + 4 + 16, 16 * (36 + 72 + 16)),
        # 4 -> 2 at 8 x 8 places, 2 biases.
        StageCost("net.head", ((8, 8, 2),), 8 + 2, 64 * 8),
        # 2 -> 5, 5 biases.
        StageCost("score", ((5,),), 10 + 5, 10),
    ]


def test_totals_are_sums_and_all_variables():
    model = small_net()
    totals = add_up(cost_table(model))
    assert totals == Totals(124 + 128 + 10 + 15, 1728 + 1984 + 512 + 10)
    assert totals.params == model.count_params()
    assert Totals(0, 2_500_000_000).gmac == 2.5
    assert StageCost("a", (), 0, 500_000_000).gmac == 0.5


def test_parts_of_unlike_outputs_are_rows_of_their_own():
    image = keras.Input((8, 8, 4))
    x = Scope("blocks.0").conv(image, "conv", 4, 3)
    x = Scope("blocks.1").conv(x, "conv", 4, 3)
    x = Scope("blocks.2").conv(x, "conv", 4, 3, 2)
    rows = cost_table(keras.Model(image, x))
    assert [(row.name, row.output_shapes) for row in rows] == [
        ("blocks.0-1", ((8, 8, 4),)), ("blocks.2", ((4, 4, 4),))]


def test_a_size_that_is_not_fixed_is_an_error():
    with pytest.raises(ValueError, match="net.conv1 has no fixed size"):
        cost_table(small_net(None))


def test_a_layer_without_a_rule_is_an_error():
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, layers.Conv2DTranspose(2, 3, name="enlarge")(image))
    with pytest.raises(ValueError, match="enlarge: no rule to count a Conv2DTranspose"):
        cost_table(model)


def totals_of(pair: Pair) -> dict[str, Totals]:
    """Network name -> totals; its parameters are Keras's own count."""
    totals = {model.name: add_up(cost_table(model)) for model in pair.models()}
    assert {name: total.params for name, total in totals.items()} == {
        model.name: model.count_params() for model in pair.models()}
    return totals


def test_the_light_pair_keeps_its_budget():
    totals = totals_of(build_pair(NetworkConfig.preset("efficientnet_lite0"), 512))
    prior, msfnet = totals["prior"], totals["msfnet"]
    assert prior.params + msfnet.params <= 9.0e6
    assert prior.gmac + msfnet.gmac <= 6


@pytest.mark.slow
def test_the_hrnet_pair_keeps_its_budget():
    config = NetworkConfig.preset("hrnet")
    assert (config.stem_stride, config.stride_of_prior) == (4, 4)
    totals = totals_of(build_pair(config, 512))
    prior, msfnet = totals["prior"], totals["msfnet"]
    assert 3.9e6 <= prior.params <= 5.5e6
    assert 9.5e6 <= msfnet.params <= 10.5e6
    assert prior.params + msfnet.params <= 13.7e6
    assert prior.gmac + msfnet.gmac <= 29


@pytest.mark.slow
def test_the_papers_rows_keep_their_wide_decoders():
    totals = totals_of(build_pair(NetworkConfig.preset("paper_msfnet_oace"), 512))
    assert 4.0e6 <= totals["prior"].params <= 5.5e6
    assert 32 <= totals["prior"].gmac + totals["msfnet"].gmac <= 33


@pytest.mark.slow
def test_a_finer_stem_costs_four_times_and_no_parameters():
    config = NetworkConfig.preset("hrnet")
    configs = (dataclasses.replace(config, stem_stride=stride) for stride in (4, 2))
    coarse, fine = (add_up(cost_table(build_prior(config, 64))) for config in configs)
    assert fine.params == coarse.params
    # Four times the cells; the first convolution alone stays as it was.
    assert 3.9 < fine.gmac / coarse.gmac < 4.0
