"""Trunks by name, behind one interface: a tensor in, features of falling resolution out."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from oace_tf.networks.efficientnet_lite import STEM_CHANNELS, VARIANTS, efficientnet_lite
from oace_tf.networks.layers import HalfSize, Scope

TINY_CHANNELS = (8, 12, 16)
TINY_PYRAMID = (8, 12, 16, 16, 16)  # where five levels are needed


@dataclass(frozen=True, slots=True)
class StemLayout:
    """Where a tensor that bypasses the photograph's first convolution joins it."""

    halve: bool  # the input is halved before the first convolution
    stride: int  # of the first convolution
    channels: int  # that the first convolution gives


def stem_layout(trunk: str, stem_stride: int) -> StemLayout:
    """Return how the first convolution of a trunk is laid out."""
    if trunk == "hrnet":  # two convolutions; the first takes a stride whenever there is one
        return StemLayout(False, 1 if stem_stride == 1 else 2, 64)
    channels = STEM_CHANNELS if trunk in VARIANTS else TINY_CHANNELS[0]
    return StemLayout(stem_stride == 4, min(stem_stride, 2), channels)


def pyramid_of(features: list[Any], trunk: str, stem_stride: int) -> tuple[list[Any], int]:
    """Return the features that decoders join, and the pixels of the frame per cell of the first.

    The finest map of a trunk other than HRNet has seen a handful of convolutions; decoders take it
    for edges, behind the join.
    """
    if trunk == "hrnet":
        return features, stem_stride
    return features[1:], 2 * stem_stride


def trunk_features(scope: Scope, x: Any, trunk: str, stem_stride: int, *, small: bool = False,
                   side: Any = None, resize: str = "half_pixel",
                   five_levels: bool = False) -> list[Any]:
    """Return the trunk's feature maps, finest first, each half the size of the one before.

    Args:
      scope: where the layers are named.
      x: (B, H, W, C).
      trunk: name, see `config.TRUNKS`.
      stem_stride: s, pixels of the frame per cell of the finest map.
      small: the smaller variant where there is one (HRNetV2-W18-Small-v2 for the prior).
      side: None, or a tensor of the first convolution's shape, joined to its output.
      resize: how an HRNet enlarges.
      five_levels: five maps also of the tiny trunk, which has three.
    """
    if trunk == "hrnet":
        from oace_tf.networks.hrnet import hrnet_trunk

        return hrnet_trunk(scope, x, "w18_small_v2" if small else "w18", stem_stride, side=side,
                           resize=resize)
    if trunk in VARIANTS:
        return efficientnet_lite(scope, x, stem_stride, side, trunk)
    return _tiny(scope, x, stem_stride, side, TINY_PYRAMID if five_levels else TINY_CHANNELS)


def _tiny(scope: Scope, x: Any, stem_stride: int, side: Any,
          widths: tuple[int, ...]) -> list[Any]:
    """Three convolutions, for tests: the same joins at a thousandth of the cost."""
    if stem_stride == 4:
        x = HalfSize(name=scope.at("half"))(x)
    x = scope.bn(scope.conv(x, "conv1", widths[0], 3, min(stem_stride, 2)), "bn1")
    x = scope.relu(x)
    features = [x if side is None else scope.fuse(x, side)]
    for level, channels in enumerate(widths[1:], start=2):
        features.append(scope.conv_bn_relu(features[-1], f"level{level}", channels, 3, 2))
    return features
