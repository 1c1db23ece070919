"""Range setting from histograms: the range of least squared error."""
from __future__ import annotations

import numpy as np

from export.calibration import observers
from export.quantization import ranges as range_setting


def counts_of(values: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    ends = float(values.min()), float(values.max())
    return np.histogram(values, observers.BINS, ends)[0], ends


def test_least_error_against_the_error_itself() -> None:
    """One outlier: the found range beats the whole one on the values themselves."""
    values = np.append(np.random.default_rng(0).normal(0, 1, 100_000), [100.0, -60.0])

    def error(low: float, high: float) -> float:
        step = (high - low) / 255
        return float(np.mean((np.rint(np.clip(values, low, high) / step) * step - values) ** 2))

    counts, ends = counts_of(values)
    found = range_setting.least_error(counts, ends)
    assert error(*found) < 0.8 * error(*ends)
    best = min(error(ends[0] * a, ends[1] * b)
               for a in range_setting.SHARES for b in range_setting.SHARES)
    assert error(*found) < 1.05 * best


def test_a_tensor_without_counts_keeps_its_range() -> None:
    """Of an outlier's tensor the range is cut; of one without counts, or with none, it stays."""
    counts, ends = counts_of(np.append(np.random.default_rng(0).normal(0, 1, 10_000), 100.0))
    ranges = {"outlier": ends, "unknown": (0.0, 1.0), "empty": (0.0, 2.0)}
    narrow = range_setting.least_error_ranges(
        ranges, {"outlier": counts, "empty": np.zeros(observers.BINS)})
    assert narrow["outlier"][1] < ends[1]
    assert narrow["unknown"] == (0.0, 1.0) and narrow["empty"] == (0.0, 2.0)
