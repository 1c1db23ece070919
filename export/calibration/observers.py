"""What a float file's tensors hold on one photograph, channel by channel: means and extremes.

Ranges of whole tensors come from `int8.RangeObserver`; this gives what equalisation, bias
correction and range setting need beside them.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from export.tflite import model as tflite

KERNELS = ("CONV_2D", "DEPTHWISE_CONV_2D")


@dataclass(frozen=True, slots=True)
class Seen:
    """Figures of some photographs, by tensor name.

    Attributes:
      count: photographs.
      means: output of a convolution -> (kh, kw, C_in) mean of what each tap of its kernel reads,
        the padding's zeros included.
      low, high: tensor -> (C,) smallest and largest value of each channel.
    """

    count: int
    means: Mapping[str, np.ndarray]
    low: Mapping[str, np.ndarray]
    high: Mapping[str, np.ndarray]

    @property
    def reach(self) -> dict[str, np.ndarray]:
        """Tensor -> (C,) largest absolute value of each channel."""
        return {name: np.maximum(np.abs(self.low[name]), np.abs(self.high[name]))
                for name in self.low}


def merge_seen(parts: Iterable[Seen]) -> Seen:
    """Return the figures of all parts; the order of the parts is that of the sums.

    Raises:
      ValueError: there is no part.
    """
    count = 0
    means: dict[str, np.ndarray] = {}
    low: dict[str, np.ndarray] = {}
    high: dict[str, np.ndarray] = {}
    for part in parts:
        for name, value in part.means.items():
            means[name] = means.get(name, 0.0) + value * part.count
        for name in part.low:
            low[name] = np.minimum(low.get(name, np.inf), part.low[name])
            high[name] = np.maximum(high.get(name, -np.inf), part.high[name])
        count += part.count
    if not count:
        raise ValueError("nothing was seen")
    return Seen(count, {name: value / count for name, value in means.items()}, low, high)


class InnerTensors:
    """Runs a file by the kernels that it runs by on every day, and lets inner tensors be read.

    The tensors are made outputs of the graph. Asking the interpreter to preserve them would keep
    the delegate away: other kernels, other rounding, five times the time.
    """

    def __init__(self, content: bytes, threads: int = 1) -> None:
        """Open the file; it keeps its tensors, which takes memory (0.5 GB for ours)."""
        from ai_edge_litert.interpreter import Interpreter

        self.model = tflite.parse(content)
        self._inputs, _ = tflite.signature(self.model)
        self.kept = inner_tensors(self.model)
        opened = tflite.parse(content)
        graph = tflite.graph(opened)
        ends = [int(i) for i in graph.outputs]
        graph.outputs = ends + [i for i in self.kept if i not in ends]
        opened.metadata = []  # the seal would not fit any more
        self._interpreter = Interpreter(model_content=tflite.serialise(opened),
                                        num_threads=threads)
        self._interpreter.allocate_tensors()

    def run(self, feed: Mapping[str, np.ndarray]) -> None:
        """Run one input; a uint8 file takes the same float image as the float file."""
        for name, index in self._inputs.items():
            value = feed[name]
            tensor = tflite.graph(self.model).tensors[index]
            if tflite.type_name(tensor) == "uint8" and value.dtype != np.uint8:
                value = (value * 128 + 128).astype(np.uint8)
            self._interpreter.set_tensor(index, value)
        self._interpreter.invoke()

    def value(self, index: int) -> np.ndarray:
        """Return a copy of a tensor's content, without the batch axis."""
        return np.array(self._interpreter.get_tensor(index)[0])

    def real(self, index: int) -> np.ndarray:
        """Return a tensor's content as float32 numbers, without the batch axis."""
        stored = self.value(index)
        found = tflite.scale_and_zero(tflite.graph(self.model).tensors[index])
        if found is None or stored.dtype == np.float32:
            return stored.astype(np.float32)
        return (stored.astype(np.float32) - found[1]) * np.float32(found[0])


def inner_tensors(model: Any) -> list[int]:
    """Return what operators of a file give, but for the inner tensors of the drawing."""
    tensors = tflite.graph(model).tensors
    found = [int(i) for operator in tflite.graph(model).operators for i in operator.outputs]
    return [i for i in found if not tflite.name_of(tensors[i]).startswith(tflite.FLOAT_PREFIXES)]


class ChannelObserver:
    """Gives `Seen` of one photograph at a time."""

    def __init__(self, float_bytes: bytes, means: bool = True, extremes: bool = True) -> None:
        """Open the file; `means` and `extremes` say what is looked at."""
        self._inner = InnerTensors(float_bytes)
        self._means, self._extremes = means, extremes

    def see(self, feed: Mapping[str, np.ndarray]) -> Seen:
        """Run one input and return its figures."""
        self._inner.run(feed)
        model = self._inner.model
        tensors, kept = tflite.graph(model).tensors, set(self._inner.kept)
        means, low, high = {}, {}, {}
        for operator in tflite.graph(model).operators:
            made = int(operator.outputs[0])
            name = tflite.name_of(tensors[made])
            if self._means and tflite.operator_name(model, operator) in KERNELS:
                means[name] = tap_means(
                    self._inner.value(int(operator.inputs[0])),
                    [int(n) for n in tensors[int(operator.inputs[1])].shape[1:3]],
                    [int(n) for n in tensors[made].shape[1:3]],
                    (operator.builtinOptions.strideH, operator.builtinOptions.strideW))
            if self._extremes and made in kept and len(tensors[made].shape) == 4:
                value = self._inner.value(made)
                low[name], high[name] = value.min(axis=(0, 1)), value.max(axis=(0, 1))
        return Seen(1, means, low, high)


def tap_means(value: np.ndarray, kernel: Any, made: Any, stride: Any) -> np.ndarray:
    """Return the mean of what each tap of a kernel reads, over all places of its output.

    Args:
      value: (H, W, C) input.
      kernel: kh, kw.
      made: height and width of the output; padding is TensorFlow's SAME where it asks for more than
        the input, else none.
      stride: down, across.
    Returns:
      (kh, kw, C) float64.
    """
    (kh, kw), (oh, ow), (sh, sw) = kernel, made, stride
    if kh == kw == sh == sw == 1:
        return value.mean(axis=(0, 1), dtype=np.float64)[None, None]
    down = max((oh - 1) * sh + kh - value.shape[0], 0)
    across = max((ow - 1) * sw + kw - value.shape[1], 0)
    padded = np.pad(value, ((down // 2, down - down // 2), (across // 2, across - across // 2),
                            (0, 0)))
    sums = [[padded[a : a + (oh - 1) * sh + 1 : sh, b : b + (ow - 1) * sw + 1 : sw]
             .sum(axis=(0, 1), dtype=np.float64) for b in range(kw)] for a in range(kh)]
    return np.array(sums) / (oh * ow)
