"""One trunk whose deeper half sees the gesture: its maps join at 1/8, by addition.

The half up to 1/8 serves all gestures on a photograph; the rest, with the neck, runs once a
gesture.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from oace_tf.clicks import Click
from oace_tf.config import NetworkConfig
from oace_tf.geometry import NETWORK_SIZE, Frame, normalise
from oace_tf.gestures import Gesture, channels, pack_rows
from oace_tf.networks.gesture_maps import GestureMaps
from oace_tf.networks.gesture_networks import MAX_POINTS, GestureNetworks, build_gesture_networks
from oace_tf.networks.layers import Scope

_LAST_SHARED = "shared.trunk._blocks.4."  # of EfficientNet-Lite, at 1/8
_CUTS = ("shared.trunk._blocks.0.", "shared.trunk._blocks.2.", _LAST_SHARED)
JOIN_WIDTH = 24


@dataclass(frozen=True, slots=True)
class JoinedNetworks(GestureNetworks):
    """As `GestureNetworks`, with the encoder cut at 1/8.

    The encoder stands whole among the fields, because its layers are those of the two halves.
    """

    shallow: keras.Model | None = None
    deep: keras.Model | None = None
    join: keras.Model | None = None

    def models(self) -> Iterator[keras.Model]:
        """Yield encoder, join, prior and MSFNet."""
        yield from (self.encoder, self.join, self.prior, self.msfnet)

    def encode(self, image: Any, training: bool = False) -> dict[str, Any]:
        """Return the features of photographs (B, S, S, 3) at 1/2, 1/4 and 1/8 by stride."""
        assert self.shallow is not None
        maps = self.shallow(image, training=training)
        return {f"trunk{stride}": x for stride, x in zip((2, 4, 8), maps)}

    def decode(self, features: Mapping[str, Any], drawn: Mapping[str, Any], previous: Any,
               training: bool = False) -> dict[str, Any]:
        """Return the answers, one gesture per row; arguments as of `GestureNetworks`."""
        assert self.deep is not None and self.join is not None
        joined = features["trunk8"] + self.join(drawn["maps8"], training=training)
        deeper = self.deep([features["trunk2"], features["trunk4"], joined], training=training)
        # `super` without arguments does not find its class where there are slots.
        return GestureNetworks.decode(self, deeper, drawn, previous, training)


def build_joined_networks(config: NetworkConfig) -> JoinedNetworks:
    """Build the networks of a configuration of one trunk for any size, with fresh weights.

    At first the gesture changes nothing in the trunk, so that ImageNet weights survive.
    """
    networks = build_gesture_networks(config, None)
    encoder = networks.encoder
    cuts = [_output_of(encoder, prefix) for prefix in _CUTS]
    scope = Scope("join")
    maps = keras.Input((None, None, channels(8)), name="maps8")
    x = scope.conv_bn_relu(maps, "in", JOIN_WIDTH, 3)
    x = scope.conv(x, "out", cuts[-1].shape[-1], 1, use_bias=True, kernel_initializer="zeros")
    return JoinedNetworks(config, encoder, networks.prior, networks.msfnet, None,
                          keras.Model(encoder.input, cuts, name="shallow"),
                          keras.Model(cuts, encoder.output, name="deep"),
                          keras.Model(maps, x, name="join"))


def _output_of(encoder: keras.Model, prefix: str) -> Any:
    """Return the output of the last layer of a block."""
    last = [layer for layer in encoder.layers if layer.name.startswith(prefix)][-1]
    return last.output


class JoinedPredictor:
    """Answers gestures on photographs, as `GesturePredictor` does.

    Args:
      networks: built for any size.
    """

    def __init__(self, networks: JoinedNetworks) -> None:
        self._networks = networks
        self._side = networks.config.network_side(NETWORK_SIZE)
        self._maps = GestureMaps(self._side, NETWORK_SIZE)

    def answer(self, image: np.ndarray, gesture: Sequence[Click],
               previous: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the probability (H, W) and the mask in the frame (S, S), both float32.

        Args:
          image: (H, W, 3) uint8.
          gesture: in pixels of the photograph.
          previous: the mask in the frame for the gesture before; None for the first.
        """
        frame = Frame(image.shape[0], image.shape[1], NETWORK_SIZE)
        points = pack_rows(frame.rows(Gesture(taps=tuple(gesture)).rows()), MAX_POINTS)
        before = np.zeros((1, NETWORK_SIZE, NETWORK_SIZE, 1), np.float32)
        if previous is not None:
            before[0, ..., 0] = previous
        seen, quarter = (_resized(x, side) for x, side in (
            (normalise(frame.image(image))[None], self._side), (before, self._side // 4)))
        logits = self._networks.decode(self._networks.encode(seen), self._maps(points[None]),
                                       quarter)["logits"]
        mask = np.asarray(ops.sigmoid(_resized(logits, NETWORK_SIZE)))[0, ..., 0]
        return frame.mask_back(mask), mask


def _resized(x: Any, side: int) -> Any:
    return ops.image.resize(x, (side, side), interpolation="bilinear", antialias=True)
