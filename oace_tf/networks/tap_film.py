"""Tap-conditioned modulation: the features under the taps scale and shift all features.

The convolutions carry what was tapped only as far as their field of view reaches. Here the
features under the object taps become one factor and one summand for each channel, everywhere in the
frame (feature-wise linear modulation, Perez et al., AAAI 2018; with the mask's last convolutions
the factors act as a filter made from the tap). Not in the paper; every operator is one that an int8
delegate takes.
"""
from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from oace_tf.networks.layers import Scope


@keras.saving.register_keras_serializable(package="oace_tf")
class UnderTaps(layers.Layer):
    """The largest value of each channel under the object taps.

    Inputs x (B, h, w, C) not negative, and disks (B, S, S, channels) with the object taps in the
    first channel; output (B, 1, 1, C). The maximum, not the mean: it needs no division by the area
    of the disks, which int8 delegates do not take, however many taps there are.
    """

    def call(self, inputs: Any) -> Any:
        x, disks = inputs
        height, width = x.shape[1], x.shape[2]
        fixed = height is not None and width is not None
        if not fixed:
            height, width = ops.shape(x)[1:3]
        weights = ops.image.resize(disks[..., :1], (height, width), interpolation="bilinear",
                                   antialias=False, data_format="channels_last")
        if fixed:
            return ops.max_pool(x * weights, (height, width), 1, "valid", "channels_last")
        return ops.max(x * weights, axis=(1, 2), keepdims=True)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Return (B, 1, 1, C)."""
        x = input_shape[0]
        return (x[0], 1, 1, x[-1])


def tap_film(scope: Scope, x: Any, disks: Any) -> Any:
    """Scale and shift the channels of x by what lies under the taps.

    Args:
      scope: where the layers are named.
      x: (B, h, w, C) in [0, 6].
      disks: (B, S, S, channels), object taps first.
    Returns:
      (B, h, w, C) in [0, 6]; x itself with fresh weights.
    """
    channels = x.shape[-1]
    under = UnderTaps(name=scope.at("under"))([x, disks])  # (B, 1, 1, C)
    under = scope.relu(scope.conv(under, "mix", channels, 1, use_bias=True), "mix_relu", six=True)
    factor = scope.conv(under, "factor", channels, 1, use_bias=True, kernel_initializer="zeros")
    factor = layers.Activation("sigmoid", name=scope.at("gate"))(factor)
    factor = layers.Rescaling(2.0, name=scope.at("twice"))(factor)  # 1 with fresh weights
    shift = scope.conv(under, "shift", channels, 1, use_bias=True, kernel_initializer="zeros")
    x = layers.Multiply(name=scope.at("scaled"))([x, factor])
    return scope.relu(scope.add([x, shift], "shifted"), "shifted_relu", six=True)
