"""Observers of a float file's tensors: ranges, means of channels, histograms; and their merging.

An observer's `see(feed)` runs the file on one photograph and returns its figures; the figures of
several photographs or processes are merged by the function of the same kind.
"""
from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from export.tflite import model as tflite
from oace_tf.runtime.interpreter import open_interpreter
from oace_tf.runtime.tflite_reader import SIGNATURE

KERNELS = ("CONV_2D", "DEPTHWISE_CONV_2D")
MODE = "CALIBRATION_PROFILER_BASED"  # the other mode gives equal ranges but other bytes
BINS = 2048  # over a tensor's whole range
_SAMPLE = 200_000  # values of a tensor and photograph that are counted, about
Ranges = Mapping[str, tuple[float, float]]  # tensor name -> (smallest, largest) value


@dataclass(frozen=True, slots=True)
class ChannelFigures:
    """Figures of the channels on some photographs, by tensor name.

    Attributes:
      count: photographs.
      means: output of a convolution -> (kh, kw, C_in) mean of what each tap of its kernel reads,
        the padding's zeros included.
    """

    count: int
    means: Mapping[str, np.ndarray]


def merge_channels(parts: Iterable[ChannelFigures]) -> ChannelFigures:
    """Return the figures of all parts; the order of the parts is that of the sums.

    Raises:
      ValueError: there is no part.
    """
    count = 0
    means: dict[str, np.ndarray] = {}
    for part in parts:
        for name, value in part.means.items():
            means[name] = means.get(name, 0.0) + value * part.count
        count += part.count
    if not count:
        raise ValueError("nothing was seen")
    return ChannelFigures(count, {name: value / count for name, value in means.items()})


class InnerTensors:
    """Runs a file by the kernels that it runs by on every day, and lets inner tensors be read.

    The tensors are made outputs of the graph. Asking the interpreter to preserve them would keep
    the delegate away: other kernels, other rounding, five times the time.
    """

    def __init__(self, content: bytes, threads: int = 1) -> None:
        """Open the file; it keeps its tensors, which takes memory (0.5 GB for ours)."""
        self.model = tflite.parse(content)
        self._inputs, _ = tflite.signature(self.model)
        self.kept = inner_tensors(self.model)
        opened = tflite.parse(content)
        graph = tflite.graph(opened)
        ends = [int(i) for i in graph.outputs]
        graph.outputs = ends + [i for i in self.kept if i not in ends]
        opened.metadata = []  # the seal would not fit any more
        self._interpreter = open_interpreter(tflite.serialise(opened), threads)

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
        scaling = tflite.scale_and_zero(tflite.graph(self.model).tensors[index])
        if scaling is None or stored.dtype == np.float32:
            return stored.astype(np.float32)
        return (stored.astype(np.float32) - scaling[1]) * np.float32(scaling[0])


def inner_tensors(model: Any) -> list[int]:
    """Return what operators of a file give, but for the inner tensors of the drawing."""
    tensors = tflite.graph(model).tensors
    outputs = [int(i) for operator in tflite.graph(model).operators for i in operator.outputs]
    return [i for i in outputs
            if not tflite.name_of(tensors[i]).startswith(tflite.FLOAT_PREFIXES)]


class ChannelObserver:
    """Gives `ChannelFigures` of one photograph at a time."""

    def __init__(self, float_bytes: bytes) -> None:
        """Open the file."""
        self._inner = InnerTensors(float_bytes)

    def see(self, feed: Mapping[str, np.ndarray]) -> ChannelFigures:
        """Run one input and return its figures."""
        self._inner.run(feed)
        model = self._inner.model
        tensors, means = tflite.graph(model).tensors, {}
        for operator in tflite.graph(model).operators:
            output = int(operator.outputs[0])
            if tflite.operator_name(model, operator) in KERNELS:
                means[tflite.name_of(tensors[output])] = tap_means(
                    self._inner.value(int(operator.inputs[0])),
                    [int(n) for n in tensors[int(operator.inputs[1])].shape[1:3]],
                    [int(n) for n in tensors[output].shape[1:3]],
                    (operator.builtinOptions.strideH, operator.builtinOptions.strideW))
        return ChannelFigures(1, means)


def tap_means(value: np.ndarray, kernel: Any, output: Any, stride: Any) -> np.ndarray:
    """Return the mean of what each tap of a kernel reads, over all places of its output.

    Args:
      value: (H, W, C) input.
      kernel: kh, kw.
      output: its height and width; padding is TensorFlow's SAME where it asks for more than
        the input, else none.
      stride: down, across.
    Returns:
      (kh, kw, C) float64.
    """
    (kh, kw), (oh, ow), (sh, sw) = kernel, output, stride
    if kh == kw == sh == sw == 1:
        return value.mean(axis=(0, 1), dtype=np.float64)[None, None]
    down = max((oh - 1) * sh + kh - value.shape[0], 0)
    across = max((ow - 1) * sw + kw - value.shape[1], 0)
    padded = np.pad(value, ((down // 2, down - down // 2), (across // 2, across - across // 2),
                            (0, 0)))
    sums = [[padded[a : a + (oh - 1) * sh + 1 : sh, b : b + (ow - 1) * sw + 1 : sw]
             .sum(axis=(0, 1), dtype=np.float64) for b in range(kw)] for a in range(kh)]
    return np.array(sums) / (oh * ow)


class RangeObserver:
    """Runs a float file and keeps the smallest and largest value of each of its tensors.

    A moving average, the quantizer's default, would let the first image decide; and the ranges
    would then depend on the order.
    """

    def __init__(self, float_bytes: bytes, threads: int = 1) -> None:
        """Open the file; `threads` of the interpreter have no effect on the ranges."""
        from ai_edge_quantizer import calibrator, recipe_manager
        from ai_edge_quantizer.utils import qsv_utils

        with quiet():
            self._calibrator = calibrator.Calibrator(
                float_bytes, num_threads=threads,
                mode=calibrator.CalibrationMode[MODE],
                qsv_update_func=qsv_utils.min_max_update,
            )
        self._rules = recipe_manager.RecipeManager()

    def see(self, feed: Mapping[str, np.ndarray]) -> dict[str, tuple[float, float]]:
        """Run one input and return the ranges of all inputs so far.

        Args:
          feed: image (1, S, S, 3) float32 as (byte - 128) / 128, points (1, N, 3) float32.
        """
        with quiet():
            self._calibrator.calibrate({SIGNATURE: [dict(feed)]}, self._rules)
        return {
            name: (float(np.min(ends["min"])), float(np.max(ends["max"])))
            for name, ends in self._calibrator.get_model_qsvs().items()
        }


def merge_ranges(parts: Iterable[Ranges]) -> dict[str, tuple[float, float]]:
    """Return the ranges that cover all parts, whatever their order; NaN stays NaN."""
    merged: dict[str, tuple[float, float]] = {}
    for part in parts:
        for name, (low, high) in part.items():
            old = merged.get(name, (low, high))
            merged[name] = (float(np.minimum(old[0], low)), float(np.maximum(old[1], high)))
    return dict(sorted(merged.items()))


class HistogramObserver:
    """Counts the values of every tensor on one photograph at a time."""

    def __init__(self, float_bytes: bytes, ranges: Ranges) -> None:
        """Open the file; the bins of a tensor divide its range in `ranges`."""
        self._inner = InnerTensors(float_bytes)
        self._ranges = ranges

    def see(self, feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run one input and return tensor name -> (BINS,) counts."""
        self._inner.run(feed)
        model = self._inner.model
        counts = {}
        for operator in tflite.graph(model).operators:
            output = int(operator.outputs[0])
            name = tflite.name_of(tflite.graph(model).tensors[output])
            low, high = self._ranges.get(name, (0.0, 0.0))
            if high > low and output in self._inner.kept:
                value = self._inner.value(output).ravel()
                # A step without common factor with the usual numbers of channels and pixels.
                value = value[:: max(1, value.size // _SAMPLE) | 1]
                counts[name] = np.histogram(value, BINS, (low, high))[0]
        return counts


def merge_counts(parts: Iterable[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the sums of the counts of all parts."""
    merged: dict[str, np.ndarray] = {}
    for part in parts:
        for name, counts in part.items():
            merged[name] = merged.get(name, 0) + counts
    return merged


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence the quantizer's progress bars and notes; its errors still come through."""
    level = logging.getLogger("absl").level
    logging.getLogger("absl").setLevel(logging.ERROR)
    with open(os.devnull, "w") as sink, contextlib.redirect_stdout(sink), \
            contextlib.redirect_stderr(sink):
        try:
            yield
        finally:
            logging.getLogger("absl").setLevel(level)
