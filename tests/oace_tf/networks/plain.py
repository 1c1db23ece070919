"""The layers once more, slow and plain in numpy: an oracle that shares no code with Keras.

Arrays are (H, W, C) float64 without a batch axis; weights lie as the weights file holds them.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

Weights = Mapping[str, np.ndarray]


def _padded(x: np.ndarray, kernel: int, stride: int) -> np.ndarray:
    """Zeros as TensorFlow's "same" puts them: the odd one after, not before."""
    amounts = []
    for side in x.shape[:2]:
        total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        amounts.append((total // 2, total - total // 2))
    return np.pad(x, (*amounts, (0, 0)))


def conv(x: np.ndarray, weight: np.ndarray, stride: int = 1) -> np.ndarray:
    """(H, W, I), (k, k, I, O) -> (H / stride, W / stride, O)."""
    rows, columns = -(-x.shape[0] // stride), -(-x.shape[1] // stride)
    padded, result = _padded(x, len(weight), stride), 0.0
    for dy in range(len(weight)):
        for dx in range(len(weight)):
            part = padded[dy:dy + rows * stride:stride, dx:dx + columns * stride:stride]
            result = result + part[:rows, :columns] @ weight[dy, dx]
    return np.asarray(result)


def depthwise(x: np.ndarray, weight: np.ndarray, stride: int = 1) -> np.ndarray:
    """(H, W, C), (k, k, C, 1) -> (H / stride, W / stride, C)."""
    full = np.zeros((*weight.shape[:2], x.shape[2], x.shape[2]))
    full[:, :, np.arange(x.shape[2]), np.arange(x.shape[2])] = weight[..., 0]
    return conv(x, full, stride)


def norm(x: np.ndarray, weights: Weights, name: str, epsilon: float = 1e-5) -> np.ndarray:
    """Normalise by the running statistics."""
    scale = weights[f"{name}.weight"] / np.sqrt(weights[f"{name}.running_var"] + epsilon)
    return (x - weights[f"{name}.running_mean"]) * scale + weights[f"{name}.bias"]


def block(x: np.ndarray, weights: Weights, name: str, stride: int = 1) -> np.ndarray:
    """`NAME.conv`, `NAME.bn`, cut to [0, 6]."""
    x = conv(x, weights[f"{name}.conv.weight"], stride)
    return np.clip(norm(x, weights, f"{name}.bn"), 0, 6)


def up2(x: np.ndarray) -> np.ndarray:
    """Twice the size: each new pixel lies a quarter cell from its nearest, three from the next."""
    for axis in (0, 1):
        before = np.concatenate([x.take([0], axis), x.take(range(x.shape[axis] - 1), axis)], axis)
        after = np.concatenate([x.take(range(1, x.shape[axis]), axis), x.take([-1], axis)], axis)
        pairs = np.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis + 1)
        x = pairs.reshape(*x.shape[:axis], 2 * x.shape[axis], *x.shape[axis + 1:])
    return x


def up4(x: np.ndarray, factor: int = 4) -> np.ndarray:
    """Four times the size; the centres of new pixels lie 1/8, 3/8, 5/8, 7/8 into a cell."""
    for axis in (0, 1):
        side = x.shape[axis]
        place = np.clip((np.arange(factor * side) + 0.5) / factor - 0.5, 0, side - 1)
        low = np.minimum(place.astype(int), side - 2)
        share = (place - low).reshape([-1 if a == axis else 1 for a in range(x.ndim)])
        x = x.take(low, axis) * (1 - share) + x.take(low + 1, axis) * share
    return x


def half(x: np.ndarray) -> np.ndarray:
    """Half the size: means of two by two."""
    return x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2, -1).mean(axis=(1, 3))


def pool3(x: np.ndarray) -> np.ndarray:
    """The maximum over each pixel and its neighbours inside the frame."""
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    views = [padded[dy:dy + len(x), dx:dx + x.shape[1]] for dy in range(3) for dx in range(3)]
    return np.max(views, axis=0)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-x)."""
    return 1 / (1 + np.exp(-x))


# kernel, stride, channels out of the blocks: EfficientNet-B0's (Tan and Le, table 1), and those
# that 1.1 times the width and 1.2 times the depth make of them
LITE0 = ((3, 1, 16), (3, 2, 24), (3, 1, 24), (5, 2, 40), (5, 1, 40), (3, 2, 80), (3, 1, 80),
         (3, 1, 80), (5, 1, 112), (5, 1, 112), (5, 1, 112), (5, 2, 192), (5, 1, 192), (5, 1, 192),
         (5, 1, 192), (3, 1, 320))
LITE2 = ((3, 1, 16), (3, 2, 24), (3, 1, 24), (3, 1, 24), (5, 2, 48), (5, 1, 48), (5, 1, 48),
         (3, 2, 88), (3, 1, 88), (3, 1, 88), (3, 1, 88), (5, 1, 120), (5, 1, 120), (5, 1, 120),
         (5, 1, 120), (5, 2, 208), (5, 1, 208), (5, 1, 208), (5, 1, 208), (5, 1, 208), (3, 1, 352))


def efficientnet_lite(x: np.ndarray, weights: Weights, strided: bool = True,
                      plan: Sequence[tuple[int, int, int]] = LITE0) -> list[np.ndarray]:
    """The published trunk: features before each halving and at the end.

    Args:
      x: (H, W, C).
      weights: names without prefix (`_conv_stem.weight`, ...).
      strided: whether the stem has stride 2.
      plan: of the blocks.
    """

    def relu6(value: np.ndarray, name: str) -> np.ndarray:
        return np.clip(norm(value, weights, name, 1e-3), 0, 6)

    x = relu6(conv(x, weights["_conv_stem.weight"], 2 if strided else 1), "_bn0")
    features = []
    for index, (kernel, stride, channels) in enumerate(plan):
        name = f"_blocks.{index}"
        if stride == 2:
            features.append(x)
        y = x
        if index > 0:
            y = relu6(conv(y, weights[f"{name}._expand_conv.weight"]), f"{name}._bn0")
        kernels = weights[f"{name}._depthwise_conv.weight"]
        assert kernels.shape[0] == kernel
        y = relu6(depthwise(y, kernels, stride), f"{name}._bn1")
        y = conv(y, weights[f"{name}._project_conv.weight"])
        y = norm(y, weights, f"{name}._bn2", 1e-3)
        x = x + y if y.shape == x.shape else y
        assert x.shape[2] == channels
    return [*features, x]


def tiny(x: np.ndarray, weights: Weights, name: str, stride: int,
         side: np.ndarray | None) -> list[np.ndarray]:
    """The trunk of the tests."""
    if stride == 4:
        x = half(x)
    x = norm(conv(x, weights[f"{name}.conv1.weight"], min(stride, 2)), weights, f"{name}.bn1")
    x = np.maximum(x, 0)
    features = [x if side is None else np.clip(x + side, 0, 6)]
    for level in (2, 3):
        features.append(block(features[-1], weights, f"{name}.level{level}", 2))
    return features


def merge(features: list[np.ndarray], weights: Weights, name: str, smooth: bool) -> np.ndarray:
    """From the coarsest up: 1x1, add the enlarged sum, and where `smooth` a 3x3 each time."""
    total: np.ndarray | None = None
    for level, feature in reversed(list(enumerate(features))):
        part = conv(feature, weights[f"{name}.lateral{level}.weight"])
        part = norm(part, weights, f"{name}.lateral{level}_bn")
        total = part if total is None else up2(total) + part
        if smooth:
            total = block(np.clip(total, 0, 6), weights, f"{name}.smooth{level}")
    assert total is not None
    return np.clip(total, 0, 6)


def skip(x: np.ndarray, finest: np.ndarray, weights: Weights, name: str) -> np.ndarray:
    """Enlarge, add the finest features brought to the same width."""
    side = norm(conv(finest, weights[f"{name}.skip.weight"]), weights, f"{name}.skip_bn")
    return np.clip(up2(x) + side, 0, 6)


def film(x: np.ndarray, disks: np.ndarray, weights: Weights, name: str) -> np.ndarray:
    """What lies under the object taps scales and shifts every channel."""
    cells = len(x)
    step = len(disks) // cells
    # A bilinear reading at the cells' centres: between the middle pixels of even cells.
    low = np.arange(cells) * step + (step - 1) // 2
    high = low + (step + 1) % 2
    weight = np.mean([disks[np.ix_(ys, xs)] for ys in (low, high) for xs in (low, high)], axis=0)
    under = np.max(x * weight[..., :1], axis=(0, 1))

    def dense(value: np.ndarray, part: str) -> np.ndarray:
        return value @ weights[f"{name}.{part}.weight"][0, 0] + weights[f"{name}.{part}.bias"]

    under = np.clip(dense(under, "mix"), 0, 6)
    scaled = x * 2 * sigmoid(dense(under, "factor"))
    return np.clip(scaled + dense(under, "shift"), 0, 6)


def enlarge(x: np.ndarray, factor: int) -> np.ndarray:
    """Once, twice, four or eight times the size."""
    return {1: lambda: x, 2: lambda: up2(x), 4: lambda: up4(x), 8: lambda: up4(x, 8)}[factor]()


def prior(image: np.ndarray, disks: np.ndarray, weights: Weights, stride: int,
          late: bool, tapped: bool = False) -> np.ndarray:
    """The prior around the tiny trunk: (S, S, 3), (S, S, channels) -> (S, S, 3)."""
    side = None
    if late:
        side = conv(half(disks) if stride == 4 else disks, weights["prior.click_stem.conv.weight"],
                    min(stride, 2))
        side = norm(side, weights, "prior.click_stem.bn")
    else:
        image = np.concatenate([image, disks], axis=2)
    finest, *features = tiny(image, weights, "prior.trunk", stride, side)
    x = merge(features, weights, "prior.decoder", smooth=True)
    x = film(x, disks, weights, "prior.decoder.film") if tapped else x
    x = block(block(x, weights, "prior.decoder.block1"), weights, "prior.decoder.block2")
    x = block(skip(x, finest, weights, "prior.decoder"), weights, "prior.decoder.block3")
    x = conv(x, weights["prior.decoder.embed.weight"]) + weights["prior.decoder.embed.bias"]
    return enlarge(np.tanh(x), stride)


def inception(x: np.ndarray, weights: Weights, name: str) -> np.ndarray:
    """An SE-Inception block."""
    def chain(start: np.ndarray, *parts: str) -> np.ndarray:
        for part in parts:
            start = block(start, weights, f"{name}.{part}")
        return start

    x = np.concatenate([chain(x, "arm1"), chain(x, "arm3_in", "arm3"),
                        chain(x, "arm5_in", "arm5_mid", "arm5"), chain(pool3(x), "arm_pool")], 2)
    gate = x.mean(axis=(0, 1))
    for part, cut in (("reduce", lambda v: np.maximum(v, 0)), ("expand", sigmoid)):
        gate = cut(gate @ weights[f"{name}.se.{part}.weight"][0, 0]
                   + weights[f"{name}.se.{part}.bias"])
    return x * gate


def msfnet(image: np.ndarray, clicks: np.ndarray, weights: Weights, stride: int,
           msf: bool, tapped: np.ndarray | None = None) -> np.ndarray:
    """MSFNet around the tiny trunk: (S, S, 3), (S, S, C) -> logits (S, S, 1)."""
    click = block(half(clicks) if stride == 4 else clicks, weights, "msfnet.click_stem",
                  min(stride, 2))
    side = norm(conv(click, weights["msfnet.click_fuse.weight"]), weights, "msfnet.click_fuse_bn")
    finest, *features = tiny(image, weights, "msfnet.trunk", stride, side)
    x = merge(features, weights, "msfnet.join", smooth=True)
    if msf:
        y = block(click, weights, "msfnet.msf.conv", 2)
        for index in (1, 2, 3):
            y = inception(y, weights, f"msfnet.msf.inception{index}")
        y = conv(y, weights["msfnet.msf_fuse.weight"])
        x = np.clip(x + norm(y, weights, "msfnet.msf_fuse_bn"), 0, 6)
    x = x if tapped is None else film(x, tapped, weights, "msfnet.film")
    x = block(x, weights, "msfnet.head.block1")
    x = block(skip(x, finest, weights, "msfnet.head"), weights, "msfnet.head.block2")
    x = conv(x, weights["msfnet.head.mask.weight"]) + weights["msfnet.head.mask.bias"]
    return enlarge(x, stride)
