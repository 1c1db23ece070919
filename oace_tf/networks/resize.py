"""Resizing of maps: the conventions of the places that checkpoints come from.

A checkpoint belongs to the convention it was trained with; under another one it is another network.

- `half_pixel`: bilinear, cells cover areas (PyTorch's `align_corners=False`); ours.
- `aligned`: bilinear, the outermost centres of both grids coincide (`align_corners=True`); RITM.
- `nearest`: each cell is repeated; HRNet's classification code, and timm.

Each is written such that one int8 delegate takes it.
"""
from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from oace_tf.config import RESIZES
from oace_tf.networks.layers import Scope


def enlarge(scope: Scope, x: Any, part: str | int, factor: int, convention: str) -> Any:
    """Enlarge (B, H, W, C) to (B, factor H, factor W, C).

    Raises:
      ValueError: a convention that is not one of `RESIZES`.
    """
    if convention not in RESIZES:
        raise ValueError(f"resize convention {convention!r}, expected one of {RESIZES}")
    if convention == "half_pixel":
        return scope.up(x, part, factor)
    layer = Aligned if convention == "aligned" else Repeat
    return layer(factor, name=scope.at(part))(x)


class _Enlarging(layers.Layer):
    """What the layers here share: a whole factor."""

    def __init__(self, factor: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = int(factor)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, height, width, channels = input_shape
        return (batch, height and height * self.factor, width and width * self.factor, channels)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable(package="oace_tf")
class Aligned(_Enlarging):
    """Enlarge bilinearly with aligned corners: (B, H, W, C) -> (B, factor H, factor W, C)."""

    def call(self, x: Any) -> Any:
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            return tf.raw_ops.ResizeBilinear(images=x, size=tf.shape(x)[1:3] * self.factor,
                                             align_corners=True)
        return self.by_matrices(x)

    def by_matrices(self, x: Any) -> Any:
        """Return the same as two matrix products, for any backend; H and W must be known."""
        rows, columns = (ops.convert_to_tensor(aligned_matrix(side, side * self.factor))
                         for side in x.shape[1:3])
        return ops.einsum("ph,qw,bhwc->bpqc", rows, columns, x)


@keras.saving.register_keras_serializable(package="oace_tf")
class Repeat(_Enlarging):
    """Repeat each cell: (B, H, W, C) -> (B, factor H, factor W, C).

    Made of concatenations and reshapes: the delegate refuses the operator for nearest resizing,
    int8 and float.
    """

    def call(self, x: Any) -> Any:
        height, width = (known if known is not None else size
                         for known, size in zip(x.shape[1:3], ops.shape(x)[1:3]))
        channels, factor = x.shape[3], self.factor
        x = ops.concatenate([x] * factor, axis=-1)
        x = ops.reshape(x, (-1, height, 1, width * factor * channels))
        x = ops.concatenate([x] * factor, axis=2)
        return ops.reshape(x, (-1, height * factor, width * factor, channels))


def aligned_matrix(before: int, after: int) -> np.ndarray:
    """Return the (after, before) float32 weights of an aligned resize along one axis."""
    place = np.linspace(0.0, before - 1.0, after)
    low = np.minimum(place.astype(np.int64), max(before - 2, 0))
    share = place - low
    matrix = np.zeros((after, before), np.float32)
    matrix[np.arange(after), low] = 1.0 - share
    matrix[np.arange(after), np.minimum(low + 1, before - 1)] += share.astype(np.float32)
    return matrix
