"""Observers: histograms of a file's tensors, and the merging of what several photographs gave."""
from __future__ import annotations

import numpy as np

from export.calibration import observers
from tests.export.conftest import SIZE, Made, feeds


def test_histograms_of_a_file(made: Made) -> None:
    observer = observers.HistogramObserver(made.float_bytes, made.ranges)
    parts = [observer.see(feed) for feed in feeds(2, SIZE)]
    counts = observers.merge_counts(parts)
    name = next(name for name in counts if "head.block2" in name)
    assert counts[name].sum() == sum(part[name].sum() for part in parts) > 0
    assert set(counts) <= set(made.ranges) and len(counts[name]) == observers.BINS


def test_nan_survives_merging() -> None:
    nan = float("nan")
    for parts in ([{"x": (0.0, 1.0)}, {"x": (nan, nan)}], [{"x": (nan, nan)}, {"x": (0.0, 1.0)}]):
        assert np.isnan(observers.merge_ranges(parts)["x"]).all()
