"""HRNetV2 trunks: (B, H, W, C) -> four branches of falling resolution (paper 3.1, 3.2).

A branch is halved in size and doubled in channels against the one above it. Every stage adds a
branch, refines all of them with residual blocks, and exchanges: each branch becomes the sum of all,
brought to its size. Layer names and tensor shapes are those of the checkpoints that
HRNet-Image-Classification and HRNet-Semantic-Segmentation publish (without their heads).

The exchange enlarges by default bilinearly with half-pixel centres. That is the segmentation code
without `align_corners`; other sources of checkpoints do otherwise, see `resize`.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oace_tf.networks.layers import Scope
from oace_tf.networks.resize import enlarge

STEM_CHANNELS = 64
BOTTLENECK_CHANNELS = 64  # inside; the block gives four times as many
BOTTLENECK_EXPANSION = 4


@dataclass(frozen=True, slots=True)
class Stage:
    """One of stages 2 to 4; stage n has n branches."""

    modules: int  # rounds of "refine, exchange"
    blocks: int  # basic blocks of each branch in each round


@dataclass(frozen=True, slots=True)
class HRNet:
    """An architecture; the numbers are those of the published configuration files."""

    bottlenecks: int  # stage 1
    stages: tuple[Stage, Stage, Stage]  # stages 2, 3, 4
    widths: tuple[int, int, int, int] = (18, 36, 72, 144)  # channels of the branches


VARIANTS: Mapping[str, HRNet] = {
    "w18": HRNet(4, (Stage(1, 4), Stage(4, 4), Stage(3, 4))),
    "w18_small_v2": HRNet(2, (Stage(1, 2), Stage(3, 2), Stage(2, 2))),
}

# Pixels of the input per cell of the finest branch -> strides of conv1 and conv2.
STEM_STRIDES: Mapping[int, tuple[int, int]] = {4: (2, 2), 2: (2, 1), 1: (1, 1)}


def hrnet_trunk(scope: Scope, x: Any, variant: str, stem_stride: int, side: Any | None = None, *,
                resize: str = "half_pixel", bounded: bool = True) -> list[Any]:
    """Return the four branches of HRNetV2, finest first.

    Args:
      scope: where the layers are named; `trunk` gives `trunk.conv1`, `trunk.stage2.0...`.
      x: (B, H, W, C) float; H and W multiples of eight stem strides.
      variant: a key of `VARIANTS`.
      stem_stride: s = 4 (published), 2 or 1: a cell of the finest branch covers s x s pixels.
      side: joined to the first convolution's output (late fusion): (B, H/2, W/2, 64),
        or (B, H, W, 64) for stem stride 1. Joins a second stem without touching published shapes,
        where the paper concatenates two stems.
      resize: how the exchange enlarges, one of `config.RESIZES`.
      bounded: whether the sum with `side` is cut to [0, 6] (ours) or left as it is (RITM).
    Returns:
      (B, H/s, W/s, 18), (B, H/2s, W/2s, 36), (B, H/4s, W/4s, 72), (B, H/8s, W/8s, 144), >= 0.
    Raises:
      ValueError: an unknown variant or stem stride, or a size that does not divide.
    Source: Wang et al., "Deep high-resolution representation learning", 2019.
    """
    if variant not in VARIANTS:
        raise ValueError(f"HRNet variant {variant!r}, expected one of {tuple(VARIANTS)}")
    if stem_stride not in STEM_STRIDES:
        raise ValueError(f"stem stride {stem_stride!r}, expected one of {tuple(STEM_STRIDES)}")
    _check_size(x, 8 * stem_stride)
    net = VARIANTS[variant]

    x = _stem(scope, x, stem_stride, side, bounded)  # (B, H/s, W/s, 64)
    for block in range(net.bottlenecks):
        x = bottleneck(scope("layer1")(block), x)  # (B, H/s, W/s, 256)
    branches = [x]
    for number, stage in enumerate(net.stages, start=2):
        branches = _transition(scope(f"transition{number - 1}"), branches, net.widths[:number])
        for module in range(stage.modules):
            branches = _module(scope(f"stage{number}")(module), branches, stage.blocks, resize)
    return branches


def _check_size(x: Any, multiple: int) -> None:
    height, width = x.shape[1:3]
    for side in (height, width):
        if side is not None and side % multiple:
            raise ValueError(
                f"HRNet's input is {height} x {width}, expected multiples of {multiple}")


def _stem(scope: Scope, x: Any, stem_stride: int, side: Any | None, bounded: bool) -> Any:
    first, second = STEM_STRIDES[stem_stride]
    x = scope.conv(x, "conv1", STEM_CHANNELS, 3, first, padding="torch")
    x = scope.relu(scope.bn(x, "bn1"), "relu1")
    if side is not None:
        x = scope.fuse(x, side) if bounded else scope.add([x, side], "fuse")
    x = scope.conv(x, "conv2", STEM_CHANNELS, 3, second, padding="torch")
    return scope.relu(scope.bn(x, "bn2"), "relu2")


def bottleneck(scope: Scope, x: Any, inner: int = BOTTLENECK_CHANNELS) -> Any:
    """Residual block 1x1, 3x3, 1x1 -> 4 `inner`; the skip is projected where channels differ."""
    outer = inner * BOTTLENECK_EXPANSION
    y = scope.relu(scope.bn(scope.conv(x, "conv1", inner, 1), "bn1"), "relu1")
    y = scope.relu(scope.bn(scope.conv(y, "conv2", inner, 3), "bn2"), "relu2")
    y = scope.bn(scope.conv(y, "conv3", outer, 1), "bn3")
    if x.shape[-1] != outer:
        x = _conv_bn(scope("downsample"), x, outer, 1)
    return scope.relu(scope.add([y, x], "add"))


def _basic_block(scope: Scope, x: Any) -> Any:
    """Residual block of two 3x3 convolutions."""
    channels = x.shape[-1]
    y = scope.relu(scope.bn(scope.conv(x, "conv1", channels, 3), "bn1"), "relu1")
    y = scope.bn(scope.conv(y, "conv2", channels, 3), "bn2")
    return scope.relu(scope.add([y, x], "add"))


def _transition(scope: Scope, branches: Sequence[Any], widths: Sequence[int]) -> list[Any]:
    """Bring the branches to `widths` and start one more from the coarsest."""
    result = []
    for index, (x, width) in enumerate(zip(branches, widths)):
        if x.shape[-1] != width:
            part = scope(index)
            x = part.relu(_conv_bn(part, x, width, 3), 2)
        result.append(x)
    part = scope(len(branches))(0)
    x = _conv_bn(part, branches[-1], widths[-1], 3, 2)
    return [*result, part.relu(x, 2)]


def _module(scope: Scope, branches: Sequence[Any], blocks: int, resize: str) -> list[Any]:
    """Refine each branch with `blocks` basic blocks, then exchange."""
    refined = []
    for index, x in enumerate(branches):
        for block in range(blocks):
            x = _basic_block(scope("branches")(index)(block), x)
        refined.append(x)
    return [_fuse(scope("fuse_layers")(index), refined, index, resize)
            for index in range(len(refined))]


def _fuse(scope: Scope, branches: Sequence[Any], target: int, resize: str) -> Any:
    """Sum all branches at the size and width of branch `target`."""
    width = branches[target].shape[-1]
    terms = []
    for source, x in enumerate(branches):
        part = scope(source)
        if source > target:
            x = enlarge(part, _conv_bn(part, x, width, 1), "up", 2 ** (source - target), resize)
        for step in range(target - source):
            last = step == target - source - 1
            x = _conv_bn(part(step), x, width if last else x.shape[-1], 3, 2)
            if not last:
                x = part(step).relu(x, 2)
        terms.append(x)
    return scope.relu(scope.add(terms, "add"))


def _conv_bn(scope: Scope, x: Any, filters: int, kernel: int, stride: int = 1) -> Any:
    # Published names count the parts of a sequence: 0 the convolution, 1 the normalisation.
    return scope.bn(scope.conv(x, 0, filters, kernel, stride, padding="torch"), 1)
