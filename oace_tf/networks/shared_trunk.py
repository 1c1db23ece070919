"""Shared trunk: one for the photograph that serves prior and MSFNet (`shared_trunk`).

The trunk sees the photograph alone: (B, S, S, 3) -> `feature0`, `feature1`, ... Each network brings
its clicks (disks, or the OACE) to the resolutions of these features by strided convolutions and
joins the two in its decoder, from coarse to fine.

A deviation from the paper, whose prior sees the disks in its first convolution. There the trunk
carries the tap across the object; here the decoder has to, so its coarsest level, a few hundred
cells, has `REACH` more convolutions: with cells of 32 px they carry a tap 160 px to each side,
those of the finer levels and the click's own add about 100, at a hundredth of the trunk's cost.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from oace_tf.config import NetworkConfig
from oace_tf.networks.layers import Scope
from oace_tf.networks.trunks import trunk_features

FIRST_CLICK_CHANNELS = 16  # of the finest click features; doubled at each halving, up to the width
REACH = 4


def build_shared(config: NetworkConfig, size: int | None = 512,
                 batch: int | None = None) -> keras.Model:
    """Return the trunk that both networks start from.

    Args:
      config: trunk and stem stride.
      size: side of the square frame; None for any multiple of 64.
      batch: fixed batch size, or None.
    Returns:
      A functional model named `shared`: `image` (B, S, S, 3) float32 in [-1, 1) -> a dict of
      `feature0`, `feature1`, ..., finest first, each half the size of the one before.
    """
    image = keras.Input((size, size, 3), batch_size=batch, name="image")
    features = trunk_features(Scope("shared")("trunk"), image, config.trunk, config.stem_stride,
                              resize=config.trunk_resize)
    return keras.Model(image, {f"feature{level}": x for level, x in enumerate(features)},
                       name="shared")


def feature_inputs(shared: keras.Model) -> list[Any]:
    """Return an input for each feature of the shared trunk, of its name and shape."""
    return [keras.Input(batch_shape=shared.output[name].shape, name=name)
            for name in sorted(shared.output)]


def click_pyramid(scope: Scope, clicks: Any, stride: int, levels: int, width: int) -> list[Any]:
    """Bring click maps to the resolutions of `levels` features.

    Args:
      scope: where the layers are named.
      clicks: (B, S, S, C).
      stride: pixels of the frame per cell of the first feature: 1, 2, 4 or 8.
      levels: how many features.
      width: channels of the results.
    Returns:
      (B, S / stride, S / stride, width), (B, S / 2 stride, ...), ..., each in [0, 6].
    """
    x, channels, sides = clicks, FIRST_CLICK_CHANNELS, []
    for halving in range(stride.bit_length() - 1):
        x = scope.conv_bn_relu(x, f"down{halving}", channels, 3, 2)
        channels = min(2 * channels, width)
    for level in range(levels):
        if level or stride == 1:
            x = scope.conv_bn_relu(x, f"level{level}", channels, 3, 2 if level else 1)
            channels = min(2 * channels, width)
        sides.append(scope.conv_bn_relu(x, f"side{level}", width, 1))
    return sides


def join(scope: Scope, features: Sequence[Any], sides: Sequence[Any], width: int) -> Any:
    """Join features and clicks, from coarse to fine: (B, H, W, width) in [0, 6].

    Every term of a sum is cut to [0, 6] before, and so is the sum: what is added then has a range
    that int8 can hold.

    Args:
      scope: where the layers are named.
      features: finest first, each (B, H / 2^i, W / 2^i, C_i).
      sides: as many, each (B, H / 2^i, W / 2^i, width).
      width: channels of the result.
    """
    x = None
    for level in range(len(features) - 1, -1, -1):
        terms = [scope.conv_bn_relu(features[level], f"lateral{level}", width, 1), sides[level]]
        if x is not None:
            terms.append(scope.up(x, f"up{level}"))
        coarsest = x is None
        x = scope.relu(scope.add(terms, f"add{level}"), f"relu{level}", six=True)
        if level > 0:  # at the finest one the decoder's own convolutions follow
            x = scope.conv_bn_relu(x, f"smooth{level}", width, 3)
        for index in range(REACH if coarsest else 0):
            x = scope.conv_bn_relu(x, f"reach{index}", width, 3)
    return x
