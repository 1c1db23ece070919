"""The maps of a gesture, drawn inside the model; `oace_tf.gestures.draw_maps` is the reference.

points (B, N, 3) float32 -> maps at 1/4, 1/8, 1/16 and the weights with which features under the
gesture are averaged. Boolean operators and slices that drop an axis would leave the TFLite
delegate; so labels are told apart by squares that push other rows far away.
"""
from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from oace_tf.gestures import (
    BACKGROUND_RADII,
    DRAG_SPAN,
    FAR,
    LEAST_SIDE,
    NEAR_CELLS,
    OBJECT_RADII,
    QUERY_CELLS,
    QUERY_STRIDES,
    STRIDES,
    Label,
    channels,
)


@keras.saving.register_keras_serializable(package="oace_tf")
class GestureMaps(keras.layers.Layer):
    """Draws `points` (B, N, 3) in pixels of a square of side `frame` for a network of side `size`.

    Output: a dict of `maps4`, `maps8`, `maps16` (B, size/stride, size/stride, channels) and
    `object8`, `object16`, `object32`, `background8`, ... (B, h, w, 1), weights that sum to 1.
    """

    def __init__(self, size: int, frame: int | None = None, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        self.size = int(size)
        self.frame = self.size if frame is None else int(frame)

    def call(self, points: Any) -> dict[str, Any]:
        """Return the maps and weights of `points`."""
        batch, count = points.shape[0] or -1, points.shape[1]
        x, y, label = (ops.reshape(points[:, :, k:k + 1], (batch, count, 1, 1)) for k in range(3))
        rows = _Rows((x + 0.5) / self.frame, (y + 0.5) / self.frame, label)
        drawn: dict[str, Any] = {}
        for stride in STRIDES:
            drawn[f"maps{stride}"] = rows.maps(self.size // stride, stride)
        for stride in QUERY_STRIDES:
            objects, backgrounds = rows.weights(self.size // stride, stride)
            drawn[f"object{stride}"], drawn[f"background{stride}"] = objects, backgrounds
        return drawn

    def compute_output_shape(self, input_shape: Any) -> dict[str, Any]:
        """Return the shapes by name."""
        shapes = {f"maps{s}": (input_shape[0], self.size // s, self.size // s, channels(s))
                  for s in STRIDES}
        for kind in ("object", "background"):
            shapes |= {f"{kind}{s}": (input_shape[0], self.size // s, self.size // s, 1)
                       for s in QUERY_STRIDES}
        return shapes

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "size": self.size, "frame": self.frame}


class _Rows:
    """The rows of a batch of gestures: x, y in frames and label, each (B, N, 1, 1)."""

    def __init__(self, x: Any, y: Any, label: Any) -> None:
        self.x, self.y, self.label = x, y, label
        of_box = (label - 2.0) * (label - 3.0) * (label - 4.0)
        gap = of_box * of_box * FAR
        self.boxed = ops.relu(1.0 - ops.min(gap, axis=1, keepdims=True))  # (B, 1, 1, 1)
        self.low = [_least(c + gap) for c in (x, y)]
        self.high = [-_least(gap - c) for c in (x, y)]
        self.tapped = ops.relu(1.0 - ops.min(self._gap(Label.OBJECT, 1.0), axis=1, keepdims=True))

    def maps(self, side: int, stride: int) -> Any:
        """Return (B, side, side, channels)."""
        across, down = _centres(side)
        near = NEAR_CELLS[stride] / side
        planes = [_kernels(self._nearest(Label.OBJECT, side), (near, *OBJECT_RADII[stride])),
                  _kernels(self._nearest(Label.BACKGROUND, side),
                           (near, *BACKGROUND_RADII[stride])),
                  _kernels(self._nearest(Label.EXTREME, side), (near,))]
        if stride > 4:
            beyond = [ops.relu(low - centre) + ops.relu(centre - high)
                      for low, high, centre in zip(self.low, self.high, (across, down))]
            inside = [ops.relu(1.0 - value * side) for value in beyond]
            box = _last(inside[0] * inside[1] * self.boxed)
            # The delegate joins five tensors at most.
            planes += [ops.concatenate([box, _last(self.boxed) - box, self._drag(side)], axis=-1)]
        return ops.concatenate(planes, axis=-1)

    def weights(self, side: int, stride: int) -> tuple[Any, Any]:
        """Return the weights of the object's and the background's taps, each (B, side, side, 1)."""
        radius = (QUERY_CELLS[stride] / side,)
        bumps = []
        for low, high, centre in zip(self.low, self.high, _centres(side)):
            half = ops.maximum((high - low) * 0.5, LEAST_SIDE)
            apart = (centre - (high + low) * 0.5) / half
            bumps.append(ops.relu(1.0 - apart * apart))
        bump = _last(bumps[0] * bumps[1] * (self.boxed * (1.0 - self.tapped)))
        taps = _kernels(self._nearest(Label.OBJECT, side), radius) + bump
        others = _kernels(self._nearest(Label.BACKGROUND, side), radius)
        return _normalised(taps), _normalised(others)

    def _gap(self, label: int, factor: float) -> Any:
        apart = self.label - float(label)
        return apart * apart * factor

    def _nearest(self, label: int, side: int) -> Any:
        """Return (B, side, side, 1): squared distance to the nearest row of a label, in frames."""
        across, down = _centres(side)
        dx, dy = across - self.x, down - self.y  # (B, N, 1, side), (B, N, side, 1)
        return _last(_least(dx * dx + (dy * dy + self._gap(label, FAR))))

    def _drag(self, side: int) -> Any:
        across, down = _centres(side)
        x, y = self.x[:, :-1], self.y[:, :-1]
        length = [c[:, 1:] - c[:, :-1] for c in (self.x, self.y)]
        radius2 = length[0] * length[0] + length[1] * length[1]
        factor = 1.0 / (DRAG_SPAN**2 * radius2 + LEAST_SIDE**2)
        gap = self._gap(Label.RELEASE, FAR)[:, 1:]
        dx, dy = across - x, down - y
        return _last(ops.relu(1.0 - _least(dx * dx * factor + (dy * dy * factor + gap))))


def _centres(side: int) -> tuple[Any, Any]:
    centre = (np.arange(side, dtype=np.float32) + np.float32(0.5)) / np.float32(side)
    return (ops.convert_to_tensor(centre.reshape(1, 1, 1, -1)),
            ops.convert_to_tensor(centre.reshape(1, 1, -1, 1)))


def _least(x: Any) -> Any:
    """Minimum over the rows: (B, N, h, w) -> (B, 1, h, w)."""
    return ops.min(x, axis=1, keepdims=True)


def _last(x: Any) -> Any:
    """(B, 1, h, w) -> (B, h, w, 1)."""
    return ops.reshape(x, (x.shape[0] or -1, x.shape[2], x.shape[3], 1))


def _kernels(squares: Any, radii: tuple[float, ...]) -> Any:
    factors = np.array([1 / radius**2 for radius in radii], np.float32).reshape(1, 1, 1, -1)
    return ops.relu(1.0 - squares * ops.convert_to_tensor(factors))


def _normalised(weights: Any) -> Any:
    return weights / (ops.sum(weights, axis=(1, 2), keepdims=True) + 1e-6)
