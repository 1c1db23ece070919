"""Range setting from histograms: percentiles, and the range of least squared error."""
from __future__ import annotations

import numpy as np
import pytest

from export.quantization import ranges as range_setting
from tests.export.conftest import SIZE, Made, feeds


def counts_of(values: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    ends = float(values.min()), float(values.max())
    return np.histogram(values, range_setting.BINS, ends)[0], ends


def test_percentile_against_numpy() -> None:
    values = np.random.default_rng(0).normal(0, 1, 200_000)
    counts, ends = counts_of(values)
    low, high = range_setting.percentile(counts, ends, 99.0)
    width = (ends[1] - ends[0]) / range_setting.BINS
    np.testing.assert_allclose((low, high), np.percentile(values, (0.5, 99.5)), atol=2 * width)
    assert range_setting.percentile(counts, ends, 100.0) == pytest.approx(ends)


def test_an_end_that_many_values_lie_on_stays() -> None:
    values = np.clip(np.random.default_rng(0).normal(3, 4, 100_000), 0, 6)
    low, high = range_setting.percentile(*counts_of(values), 99.9)
    assert (low, high) == (0.0, 6.0)


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
               for a in range_setting._SHARES for b in range_setting._SHARES)
    assert error(*found) < 1.05 * best


def test_histograms_of_a_file(made: Made) -> None:
    observer = range_setting.HistogramObserver(made.float_bytes, made.ranges)
    counts = range_setting.merge_counts(observer.see(feed) for feed in feeds(2, SIZE))
    name = next(name for name in counts if "head.block2" in name)
    assert counts[name].sum() > 0
    narrow = range_setting.set_ranges(made.ranges, counts, "percentile", 90.0)
    low, high = made.ranges[name]
    assert low <= narrow[name][0] and narrow[name][1] < high
    assert set(narrow) == set(made.ranges)
