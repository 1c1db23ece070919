"""The layers once more, slow and plain in numpy: an oracle that shares no code with Keras.

Arrays are (H, W, C) float64 without a batch axis; weights lie as the weights file holds them.
"""
from __future__ import annotations

from collections.abc import Mapping

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
    """`NAME.conv`, `NAME.bn`, nothing below zero."""
    x = conv(x, weights[f"{name}.conv.weight"], stride)
    return np.maximum(norm(x, weights, f"{name}.bn"), 0)


def up2(x: np.ndarray) -> np.ndarray:
    """Twice the size: each new pixel lies a quarter cell from its nearest, three from the next."""
    for axis in (0, 1):
        before = np.concatenate([x.take([0], axis), x.take(range(x.shape[axis] - 1), axis)], axis)
        after = np.concatenate([x.take(range(1, x.shape[axis]), axis), x.take([-1], axis)], axis)
        pairs = np.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis + 1)
        x = pairs.reshape(*x.shape[:axis], 2 * x.shape[axis], *x.shape[axis + 1:])
    return x


def up4(x: np.ndarray) -> np.ndarray:
    """Four times the size; the centres of new pixels lie 1/8, 3/8, 5/8, 7/8 into a cell."""
    for axis in (0, 1):
        side = x.shape[axis]
        place = np.clip((np.arange(4 * side) + 0.5) / 4 - 0.5, 0, side - 1)
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


def efficientnet_lite0(x: np.ndarray, weights: Weights, strided: bool = True) -> list[np.ndarray]:
    """The published trunk: features before each halving and at the end.

    Args:
      x: (H, W, C).
      weights: names without prefix (`_conv_stem.weight`, ...).
      strided: whether the stem has stride 2.
    """
    # kernel, stride, channels out of the sixteen blocks (EfficientNet-B0, Tan and Le, table 1)
    plan = [(3, 1, 16), (3, 2, 24), (3, 1, 24), (5, 2, 40), (5, 1, 40), (3, 2, 80), (3, 1, 80),
            (3, 1, 80), (5, 1, 112), (5, 1, 112), (5, 1, 112), (5, 2, 192), (5, 1, 192),
            (5, 1, 192), (5, 1, 192), (3, 1, 320)]

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
