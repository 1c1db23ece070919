"""Fake quantization: weights and activations rounded on the way, as in the int8 file.

The twin of a functional model shares its variables. A convolution takes the normalisation behind it
into its kernel (by the moving statistics, which stay as they are) and rounds the kernel to int8,
one symmetric step per output channel; whatever the file stores between operators is rounded to 256
levels of a fixed range. Rounding has the gradient 1 inside the range and 0 outside (the
straight-through estimate, Jacob et al., CVPR 2018).
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers, ops

from oace_tf.networks.layers import HalfSize, Resized, dotted_name, keras_name

Ranges = Mapping[str, tuple[float, float]]  # dotted layer name -> range of what it gives

UNIT = (-1.0, 127 / 128)  # photograph, disks, OACE: int8 in units of 1/128
_GATE = (0.0, 255 / 256)  # the sigmoid's fixed int8 scale
_UNIT_INPUTS = ("image", "disks", "oace")
_KEEPS = (layers.UpSampling2D, layers.MaxPooling2D, layers.Concatenate, layers.ZeroPadding2D,
          HalfSize, Resized)


@dataclass(frozen=True, slots=True)
class Wiring:
    """How a functional model's layers hang together.

    Attributes:
      sources: layer name -> names of the layers that it reads.
      readers: layer name -> names of the layers that read it.
      stored: names of the layers whose output the file stores, in order: not what a later layer
        takes into itself.
    """

    sources: Mapping[str, tuple[str, ...]]
    readers: Mapping[str, tuple[str, ...]]
    stored: tuple[str, ...]


def wiring(model: keras.Model) -> Wiring:
    """Return the wiring of a functional model each of whose layers is called once."""
    made = {id(tensor): layer.name for layer in model.layers
            for tensor in keras.tree.flatten(layer.output)}
    sources: dict[str, tuple[str, ...]] = {}
    readers: dict[str, list[str]] = {layer.name: [] for layer in model.layers}
    for layer in model.layers:
        entries = [] if isinstance(layer, layers.InputLayer) else keras.tree.flatten(layer.input)
        sources[layer.name] = tuple(made[id(tensor)] for tensor in entries)
        for name in sources[layer.name]:
            readers[name].append(layer.name)
    for tensor in keras.tree.flatten(model.output):
        readers[made[id(tensor)]].append("the model's output")
    by_name = {layer.name: layer for layer in model.layers}
    stored = tuple(
        layer.name for layer in model.layers
        if not isinstance(layer, layers.InputLayer) and not _is_identity(layer)
        and _taken_by(layer, readers, by_name) is None)
    return Wiring(sources, {name: tuple(some) for name, some in readers.items()}, stored)


class Watcher:
    """Keeps the range of every stored layer's output of a model, statistics as they are."""

    def __init__(self, model: keras.Model) -> None:
        """Take a network of a pair."""
        self._names = wiring(model).stored
        ends = [ops.stack([ops.min(tensor), ops.max(tensor)])
                for tensor in (model.get_layer(name).output for name in self._names)]
        self._watched = keras.Model(model.inputs, ops.stack(ends))
        self.ranges: dict[str, tuple[float, float]] = {}  # by dotted layer name

    def see(self, inputs: Sequence[Any]) -> None:
        """Run one batch of the model's inputs, in its order."""
        values = ops.convert_to_numpy(self._watched(list(inputs), training=False))
        for name, (low, high) in zip(map(dotted_name, self._names), values.tolist()):
            old = self.ranges.get(name, (low, high))
            self.ranges[name] = min(old[0], low), max(old[1], high)


def simulated(model: keras.Model, ranges: Ranges) -> keras.Model:
    """Return the twin of a functional model that rounds as its int8 file does.

    Args:
      model: a network of a pair; its variables are shared.
      ranges: of every stored layer, as a `Watcher` keeps them.
    Raises:
      KeyError: the range of a stored layer is missing.
    """
    wires = wiring(model)
    by_name = {layer.name: layer for layer in model.layers}
    limits = _limits(model, wires, ranges)
    norms = {name: by_name[some[0]] for name, some in wires.readers.items()
             if _is_convolution(by_name[name]) and len(some) == 1
             and isinstance(by_name.get(some[0]), layers.BatchNormalization)}
    folded = {norm.name for norm in norms.values()}

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if layer.name in folded:
            x = args[0]
        elif _is_convolution(layer):
            x = RoundedConvolution(layer, norms.get(layer.name))(args[0])
        else:
            x = layer(*args, **kwargs)
        if layer.name not in limits:
            return x
        name = keras_name(f"{dotted_name(layer.name)}.int8")
        return Rounded(*limits[layer.name], name=name)(x)

    return keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=call)


class Rounded(layers.Layer):
    """Round to the 256 int8 levels of a range that contains zero; gradient 1 inside, else 0."""

    def __init__(self, low: float, high: float, **kwargs: Any) -> None:
        super().__init__(trainable=False, **kwargs)
        low, high = min(low, 0.0), max(high, 0.0)
        self._step = (high - low) / 255 or 1.0
        zero = min(127, max(-128, round(-128 - low / self._step)))
        self._low, self._high = (-128 - zero) * self._step, (127 - zero) * self._step

    def call(self, x: Any) -> Any:
        x = ops.clip(x, self._low, self._high)
        # Halves upwards, as the file's resizes do: at exactly one half they are frequent there.
        return x + ops.stop_gradient(ops.floor(x / self._step + 0.5) * self._step - x)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the input's shape."""
        return input_shape


class RoundedConvolution(layers.Layer):
    """A convolution and the normalisation behind it, folded, the kernel rounded to int8."""

    def __init__(self, convolution: Any, norm: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._convolution, self._norm = convolution, norm
        self._depthwise = isinstance(convolution, layers.DepthwiseConv2D)

    def call(self, x: Any) -> Any:
        layer, norm = self._convolution, self._norm
        kernel = ops.convert_to_tensor(layer.kernel)
        bias = ops.convert_to_tensor(layer.bias) if layer.use_bias else 0.0
        if norm is not None:
            factor = ops.convert_to_tensor(norm.gamma) / ops.sqrt(
                ops.stop_gradient(ops.convert_to_tensor(norm.moving_variance)) + norm.epsilon)
            mean = ops.stop_gradient(ops.convert_to_tensor(norm.moving_mean))
            bias = ops.convert_to_tensor(norm.beta) + (bias - mean) * factor
            shape = (1, 1, -1, 1) if self._depthwise else (1, 1, 1, -1)
            kernel = kernel * ops.reshape(factor, shape)
        step = ops.stop_gradient(ops.max(ops.abs(kernel), axis=(0, 1, 3 if self._depthwise else 2),
                                         keepdims=True)) / 127.0
        step = ops.where(step > 0, step, ops.ones_like(step))
        kernel = kernel + ops.stop_gradient(ops.round(kernel / step) * step - kernel)
        function = ops.depthwise_conv if self._depthwise else ops.conv
        return function(x, kernel, strides=layer.strides, padding=layer.padding,
                        data_format="channels_last") + bias

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the convolution's output shape."""
        return self._convolution.compute_output_shape(input_shape)


def _limits(model: keras.Model, wires: Wiring, ranges: Ranges) -> dict[str, tuple[float, float]]:
    """Return the range that each stored layer is rounded to, the file's fixed scales included."""
    limits: dict[str, tuple[float, float]] = {}
    unit = {layer.name for layer in model.layers
            if isinstance(layer, layers.InputLayer) and layer.name in _UNIT_INPUTS}
    for layer in model.layers:
        sources = wires.sources[layer.name]
        kind = getattr(getattr(layer, "activation", None), "__name__", "")
        if kind == "tanh" or (
                sources and isinstance(layer, _KEEPS) and unit.issuperset(sources)):
            unit.add(layer.name)
        if layer.name not in wires.stored:
            continue
        if layer.name in unit:
            limits[layer.name] = UNIT
        elif kind == "sigmoid":
            limits[layer.name] = _GATE
        elif isinstance(layer, _KEEPS) and len(sources) == 1 and sources[0] in limits:
            limits[layer.name] = limits[sources[0]]  # the file's operator keeps the scale
        else:
            limits[layer.name] = ranges[dotted_name(layer.name)]
    return limits


def _is_convolution(layer: Any) -> bool:
    return isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D))


def _is_identity(layer: Any) -> bool:
    return (isinstance(layer, layers.Activation)
            and getattr(layer.activation, "__name__", "") == "linear")


def _taken_by(layer: Any, readers: Mapping[str, list[str]], by_name: Mapping[str, Any]) -> Any:
    """Return the layer that takes this one's output into itself in the file, or None."""
    if len(readers[layer.name]) != 1 or readers[layer.name][0] not in by_name:
        return None
    reader = by_name[readers[layer.name][0]]
    if isinstance(reader, layers.BatchNormalization) and _is_convolution(layer):
        return reader
    before = isinstance(layer, (layers.BatchNormalization, layers.Add)) or _is_convolution(layer)
    return reader if before and isinstance(reader, layers.ReLU) else None
