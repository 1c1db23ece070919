"""MSFNet: photograph and OACE (or disks) -> mask logits (paper 3.2, supplement 2).

Deviations from the paper, each for cost: the click stem is added to the photograph's stem (instead
of concatenated), so that the trunk keeps its published shapes; the MSF
module starts from the click stem's output at reduced resolution; branches are merged by 1x1
convolutions and additions instead of resized and concatenated. With a shared trunk (see
`shared_trunk`) the clicks join behind the trunk, at each resolution.
"""
from __future__ import annotations

from typing import Any

import keras
from keras import layers

from oace_tf.config import NetworkConfig
from oace_tf.networks.layers import HalfSize, Scope, merge, se_inception
from oace_tf.networks.prior import OACE_CHANNELS
from oace_tf.networks.shared_trunk import click_pyramid, feature_inputs, join
from oace_tf.networks.tap_film import tap_film
from oace_tf.networks.trunks import pyramid_of, stem_layout, trunk_features

CLICK_STEM_CHANNELS = 16
FUSION_GAIN = 0.3  # of the click stem at first, so that the trunk's own features survive the start


def build_msfnet(config: NetworkConfig, size: int | None = 512, batch: int | None = None,
                 shared: keras.Model | None = None) -> keras.Model:
    """Return MSFNet.

    Args:
      config: trunk, stem stride, MSF module on or off, what it is fed with.
      size: side of the square frame; None for any multiple of 64.
      batch: fixed batch size, or None.
      shared: the trunk that both networks start from, where there is one.
    Returns:
      A functional model named `msfnet`: `image` (B, S, S, 3), then as configured `oace`
      (B, S, S, 3) and `disks` (B, S, S, click_channels), which `tap_film` takes as well
      -> logits (B, S, S, 1) float32. With a shared trunk its features take the place of `image`.
    """
    clicks, disks = [], None
    if "oace" in config.click_input:
        clicks.append(keras.Input((size, size, OACE_CHANNELS), batch_size=batch, name="oace"))
    if "disk" in config.click_input:
        disks = keras.Input((size, size, config.click_channels), batch_size=batch, name="disks")
        clicks.append(disks)
    scope = Scope("msfnet")
    click = scope.concat(clicks, "clicks") if len(clicks) > 1 else clicks[0]
    if shared is not None:
        return _on_shared(scope, feature_inputs(shared), clicks, click, disks, config)
    image = keras.Input((size, size, 3), batch_size=batch, name="image")
    layout = stem_layout(config.trunk, config.stem_stride)
    if layout.halve:
        click = HalfSize(name=scope.at("click_half"))(click)
    click = scope.conv_bn_relu(click, "click_stem", CLICK_STEM_CHANNELS, 3, layout.stride)
    side = scope.conv(click, "click_fuse", layout.channels, 1)
    side = scope.bn(side, "click_fuse_bn", gamma=keras.initializers.Constant(FUSION_GAIN))
    features = trunk_features(scope("trunk"), image, config.trunk, config.stem_stride, side=side,
                              resize=config.trunk_resize)

    # HRNet's finest branch lies where the others' second map lies relative to the click stem.
    finest = None if config.trunk == "hrnet" else features.pop(0)
    x = merge(scope("join"), features, config.msfnet_width, smooth=finest is not None)
    if config.msf:
        stride = 1 if config.trunk == "hrnet" and config.stem_stride < 4 else 2
        x = _add_msf(scope, x, click, config, stride)
    return _finish(scope, [image, *clicks], x, disks, finest, config)


def _on_shared(scope: Scope, inputs: list[Any], clicks: list[Any], click: Any, disks: Any,
               config: NetworkConfig) -> keras.Model:
    """MSFNet as a decoder of a shared trunk's features, with the clicks joined in."""
    features, stride = pyramid_of(inputs, config.trunk, config.stem_stride)
    width = config.msfnet_width
    click = scope.conv_bn_relu(click, "click_stem", CLICK_STEM_CHANNELS, 3, min(stride, 2))
    rest = max(1, stride // 2)
    sides = click_pyramid(scope("clicks"), click, rest, len(features), width)
    x = join(scope("join"), features, sides, width)
    if config.msf:
        x = _add_msf(scope, x, click, config, rest)
    finest = None if config.trunk == "hrnet" else inputs[0]
    return _finish(scope, [*inputs, *clicks], x, disks, finest, config)


def _finish(scope: Scope, inputs: list[Any], x: Any, disks: Any, finest: Any,
            config: NetworkConfig) -> keras.Model:
    """Make the model of what was joined: the taps' factors, where configured, and the head."""
    if config.tap_film:
        if disks is None:
            size, batch = inputs[-1].shape[1], inputs[-1].shape[0]
            disks = keras.Input((size, size, config.click_channels), batch_size=batch, name="disks")
            inputs = [*inputs, disks]
        x = tap_film(scope("film"), x, disks)
    logits = mask_head(scope("head"), x, finest, config)
    logits = layers.Activation("linear", dtype="float32", name="logits")(logits)
    return keras.Model(inputs, logits, name="msfnet")


def _add_msf(scope: Scope, x: Any, click: Any, config: NetworkConfig, stride: int) -> Any:
    """Add what the MSF module makes of the click stem's output to the joined features."""
    msf = _msf_module(scope("msf"), click, config.msf_width, stride)
    msf = scope.bn(scope.conv(msf, "msf_fuse", config.msfnet_width, 1), "msf_fuse_bn")
    return scope.relu(scope.add([x, msf], "msf_add"), "msf_relu", six=True)


def _msf_module(scope: Scope, click: Any, width: int, stride: int) -> Any:
    """A convolution block and three SE-Inception blocks: (B, h, w, C) -> (B, h/s, w/s, 4 width)."""
    x = scope.conv_bn_relu(click, "conv", 4 * width, 3, stride)
    for index in (1, 2, 3):
        x = se_inception(scope(f"inception{index}"), x, width)
    return x


def mask_head(scope: Scope, x: Any, finest: Any, config: NetworkConfig) -> Any:
    """Convolutions and enlarging to the frame: (B, h, w, W) -> (B, S, S, 1)."""
    width = config.width_of_head
    bias = keras.initializers.Constant(-1.0)  # objects cover about a quarter of a scene
    if finest is None:
        x = scope.conv_bn_relu(x, "block1", width, 3)
        if config.stem_stride > 1:
            x = scope.up(x, "up1")
        x = scope.conv_bn_relu(x, "block2", width // 2, 3)
        rest = max(1, config.stem_stride // 2)
    else:
        x = scope.conv_bn_relu(x, "block1", width, 3)
        side = scope.bn(scope.conv(finest, "skip", width, 1), "skip_bn")
        x = scope.relu(scope.add([scope.up(x, "up1"), side], "skip_add"), "skip_relu",
                       six=True)
        x = scope.conv_bn_relu(x, "block2", width // 2, 3)
        rest = config.stem_stride
    x = scope.conv(x, "mask", 1, 1, use_bias=True, kernel_initializer="glorot_uniform",
                   bias_initializer=bias)
    return scope.up(x, "up2", rest) if rest > 1 else x
