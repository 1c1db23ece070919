"""Contrastive prior: photograph and tap disks -> OACE (paper 3.1, 3.4, supplement 1)."""
from __future__ import annotations

from typing import Any

import keras
from keras import layers

from oace_tf.config import NetworkConfig
from oace_tf.networks.layers import HalfSize, Scope, merge
from oace_tf.networks.shared_trunk import click_pyramid, feature_inputs, join
from oace_tf.networks.tap_film import tap_film
from oace_tf.networks.trunks import pyramid_of, stem_layout, trunk_features

OACE_CHANNELS = 3


def build_prior(config: NetworkConfig, size: int | None = 512, batch: int | None = None,
                shared: keras.Model | None = None) -> keras.Model:
    """Return the prior.

    Args:
      config: which trunk, stem stride, number of click channels, fusion, width.
      size: side of the square frame; None for any multiple of 64 (training at several sizes).
      batch: fixed batch size, or None.
      shared: the trunk that both networks start from (see `shared_trunk`), where there is one.
    Returns:
      A functional model named `prior`: `image` (B, S, S, 3) float32 in [-1, 1) and `disks`
      (B, S, S, click_channels) float32 in {0, 127/128} -> OACE (B, S, S, 3) float32 in [-1, 1].
      With a shared trunk its features take the place of `image`.
    """
    disks = keras.Input((size, size, config.click_channels), batch_size=batch, name="disks")
    scope = Scope("prior")
    if shared is not None:
        return _on_shared(scope, feature_inputs(shared), disks, config)
    image = keras.Input((size, size, 3), batch_size=batch, name="image")
    stride = config.stride_of_prior
    if config.prior_fusion == "early":
        x = scope.concat([image, disks], "image_disks")
        features = trunk_features(scope("trunk"), x, config.trunk, stride, small=True,
                                  resize=config.trunk_resize)
    else:
        layout = stem_layout(config.trunk, stride)
        side = HalfSize(name=scope.at("click_half"))(disks) if layout.halve else disks
        side = scope.bn(scope.conv(side, "click_stem.conv", layout.channels, 3, layout.stride),
                        "click_stem.bn")
        features = trunk_features(scope("trunk"), image, config.trunk, stride, small=True,
                                  side=side, resize=config.trunk_resize)
    oace = _decoder(scope("decoder"), features, disks, config)  # (B, S/s, S/s, 3)
    oace = scope("decoder").up(oace, "up", stride)
    oace = layers.Activation("linear", dtype="float32", name="oace")(oace)
    return keras.Model([image, disks], oace, name="prior")


def _on_shared(scope: Scope, inputs: list[Any], disks: Any, config: NetworkConfig) -> keras.Model:
    """The prior as a decoder of a shared trunk's features, with the disks joined in."""
    features, stride = pyramid_of(inputs, config.trunk, config.stem_stride)
    width, part = config.prior_width, scope("decoder")
    sides = click_pyramid(scope("clicks"), disks, stride, len(features), width)
    x = join(scope("join"), features, sides, width)
    x = tap_film(part("film"), x, disks) if config.tap_film else x
    x = part.conv_bn_relu(x, "block1", width, 3)
    x = part.conv_bn_relu(x, "block2", width // 2, 3)
    x = part.conv(x, "embed", OACE_CHANNELS, 1, use_bias=True,
                  kernel_initializer="glorot_uniform")
    x = layers.Activation("tanh", name=part.at("tanh"))(x)
    oace = layers.Activation("linear", dtype="float32", name="oace")(part.up(x, "up", stride))
    return keras.Model([*inputs, disks], oace, name="prior")


def _decoder(scope: Scope, features: list[Any], disks: Any, config: NetworkConfig) -> Any:
    """Join the features and make the embedding at the finest resolution: (B, S/s, S/s, 3)."""
    width = config.prior_width
    if config.trunk == "hrnet":
        x = merge(scope, features, width, smooth=False)
        x = tap_film(scope("film"), x, disks) if config.tap_film else x
        x = scope.conv_bn_relu(x, "block1", width, 3)
        x = scope.conv_bn_relu(x, "block2", width // 2, 3)
        x = scope.conv_bn_relu(x, "block3", width // 4, 3)
    else:
        x = merge(scope, features[1:], width, smooth=True)
        x = tap_film(scope("film"), x, disks) if config.tap_film else x
        x = scope.conv_bn_relu(x, "block1", width, 3)
        x = scope.conv_bn_relu(x, "block2", width // 2, 3)
        side = scope.bn(scope.conv(features[0], "skip", width // 2, 1), "skip_bn")
        x = scope.relu(scope.add([scope.up(x, "skip_up"), side], "skip_add"), "skip_relu",
                       six=True)
        x = scope.conv_bn_relu(x, "block3", width // 2, 3)
    x = scope.conv(x, "embed", OACE_CHANNELS, 1, use_bias=True, kernel_initializer="glorot_uniform")
    return layers.Activation("tanh", name=scope.at("tanh"))(x)
