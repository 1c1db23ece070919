"""The networks of a configuration: a pair, or one trunk with gestures."""
from __future__ import annotations

from oace_tf.config import NetworkConfig
from oace_tf.networks.gesture_networks import GestureNetworks, build_gesture_networks
from oace_tf.networks.pair import Pair, build_pair


def build_networks(config: NetworkConfig, size: int | None = 512,
                   batch: int | None = None) -> Pair | GestureNetworks:
    """Build the networks of a configuration with fresh weights; arguments as `build_pair`."""
    if config.one_trunk:
        return build_gesture_networks(config, size, batch)
    return build_pair(config, size, batch)
