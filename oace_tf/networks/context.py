"""Context for the mask: coarse features, conditioned on the tap, passed down to the joined ones.

The extent of what was tapped shows only far from the tap: whether the shirt goes on as a person,
where the table ends. The joined features see that through one 3x3 convolution a resolution. Here
inverted residuals with 5x5 windows work at the coarse resolutions, where a few of them reach over
half the frame; the features under the tap scale what they found; and a second turn at half the
resolution spreads the result. Not in the paper; every operator is one that an int8 delegate takes.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oace_tf.networks.layers import Scope
from oace_tf.networks.tap_film import tap_film

EXPANSION = 3
KERNEL = 5
COARSE_BLOCKS = 2  # at each resolution on the way down
TURN_BLOCKS = 3  # in the second turn


def add_context(scope: Scope, x: Any, features: Sequence[Any], disks: Any, width: int) -> Any:
    """Add context to joined features.

    Args:
      scope: where the layers are named; the last normalisation is `SCOPE.fuse_bn`, whose scale is
        zero with fresh weights, so that the module joins a trained network without changing it.
      x: (B, h, w, C) in [0, 6], of the resolution of features[0].
      features: two maps or more of the trunk, finest first, each half the size of the one before.
      disks: (B, S, S, channels), object taps first; None leaves the conditioning out.
      width: channels at the coarse resolutions; half of them at features[1]'s.
    Returns:
      (B, h, w, C) in [0, 6]; x itself with fresh weights.
    """
    last = len(features) - 1
    half = width // 2
    below = None
    for level in range(last, 0, -1):
        part = scope(f"level{level}")
        channels = half if level == 1 else width
        below = _lateral(part, features[level], below, channels)
        for index in range(1 if level == 1 else COARSE_BLOCKS):
            below = _inverted(part(f"block{index}"), below, channels)
    below = scope.relu(below, "relu", six=True)
    if disks is not None:
        below = tap_film(scope("film"), below, disks)

    turn = _inverted(scope("turn.down"), below, width, stride=2)
    for index in range(TURN_BLOCKS):
        turn = _inverted(scope(f"turn.block{index}"), turn, width)
    turn = scope.bn(scope.conv(turn, "turn.narrow", half, 1), "turn.narrow_bn")
    below = scope.add([below, scope.up(turn, "turn.up")], "turn.add")
    below = _inverted(scope("turn.last"), below, half)

    found = scope.bn(scope.conv(below, "fuse", x.shape[-1], 1), "fuse_bn", gamma="zeros")
    return scope.relu(scope.add([x, scope.up(found, "fuse_up")], "fuse_add"), "fuse_relu", six=True)


def _lateral(scope: Scope, feature: Any, coarser: Any, channels: int) -> Any:
    """Narrow a trunk's map and add the coarser level, enlarged."""
    side = scope.bn(scope.conv(feature, "lateral", channels, 1), "lateral_bn")
    if coarser is None:
        return side
    if coarser.shape[-1] != channels:
        coarser = scope.bn(scope.conv(coarser, "narrow", channels, 1), "narrow_bn")
    return scope.add([side, scope.up(coarser, "up")], "add")


def _inverted(scope: Scope, x: Any, channels: int, stride: int = 1) -> Any:
    """Inverted residual: 1x1 widens, 5x5 depthwise, 1x1 narrows; the entry is added where it fits.

    (B, h, w, C) -> (B, h / stride, w / stride, channels), unbounded.
    """
    entry = x
    x = scope.conv(x, "expand", EXPANSION * entry.shape[-1], 1)
    x = scope.relu(scope.bn(x, "expand_bn"), "expand_relu", six=True)
    x = scope.depthwise(x, "depthwise", KERNEL, stride)
    x = scope.relu(scope.bn(x, "depthwise_bn"), "depthwise_relu", six=True)
    x = scope.bn(scope.conv(x, "project", channels, 1), "project_bn")
    return scope.add([x, entry], "add") if stride == 1 and entry.shape[-1] == channels else x
