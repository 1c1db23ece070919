"""Range setting: percentiles and least squared error, from histograms of a float file's tensors."""
from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from export.calibration.observers import InnerTensors
from export.tflite import model as tflite

BINS = 2048  # over a tensor's whole range
_SAMPLE = 200_000  # values of a tensor and photograph that are counted, about
_SHARES = np.linspace(1.0, 0.3, 36)  # of each end of the range, tried for the least error
Ranges = Mapping[str, tuple[float, float]]


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
        found = {}
        for operator in tflite.graph(model).operators:
            made = int(operator.outputs[0])
            name = tflite.name_of(tflite.graph(model).tensors[made])
            low, high = self._ranges.get(name, (0.0, 0.0))
            if high > low and made in self._inner.kept:
                value = self._inner.value(made).ravel()
                # A step without common factor with the usual numbers of channels and pixels.
                value = value[:: max(1, value.size // _SAMPLE) | 1]
                found[name] = np.histogram(value, BINS, (low, high))[0]
        return found


def merge_counts(parts: Iterable[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the sums of the counts of all parts."""
    merged: dict[str, np.ndarray] = {}
    for part in parts:
        for name, counts in part.items():
            merged[name] = merged.get(name, 0) + counts
    return merged


def percentile(
    counts: np.ndarray, ends: tuple[float, float], share: float
) -> tuple[float, float]:
    """Return the range that leaves (100 - share) / 2 per cent of the values out at each end.

    Zero stays inside. An end that many values lie on (a cut at 0 or 6) keeps its place.
    """
    edges = np.linspace(*ends, len(counts) + 1)
    below = np.cumsum(counts) / counts.sum()
    out = (100.0 - share) / 200.0
    low = edges[int(np.searchsorted(below, out, side="right"))]
    high = edges[min(int(np.searchsorted(below, 1.0 - out, side="left")) + 1, len(counts))]
    return min(float(low), 0.0), max(float(high), 0.0)


def least_error(counts: np.ndarray, ends: tuple[float, float]) -> tuple[float, float]:
    """Return the range of least mean squared error of rounding and cutting to 256 levels."""
    centres = (np.arange(len(counts)) + 0.5) / len(counts) * (ends[1] - ends[0]) + ends[0]
    low, high = min(ends[0], 0.0), max(ends[1], 0.0)
    best, found = np.inf, (low, high)
    for down in _SHARES if low < 0 else (1.0,):
        for up in _SHARES if high > 0 else (1.0,):
            bottom, top = low * down, high * up
            step = (top - bottom) / 255
            if not step > 0:
                continue
            cut = np.clip(centres, bottom, top)
            error = float(counts @ (np.square(cut - centres) + step * step / 12))
            if error < best:
                best, found = error, (float(bottom), float(top))
    return found


def set_ranges(
    ranges: Ranges, counts: Mapping[str, np.ndarray], method: str, share: float = 100.0
) -> dict[str, tuple[float, float]]:
    """Return the ranges of a method, `percentile` (of `share` per cent) or `mse`."""
    def one(name: str, ends: tuple[float, float]) -> tuple[float, float]:
        seen = counts.get(name)
        if seen is None or not seen.sum():
            return ends
        return percentile(seen, ends, share) if method == "percentile" else least_error(seen, ends)

    return {name: one(name, ends) for name, ends in ranges.items()}
