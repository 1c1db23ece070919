"""Range setting by least squared error, from histograms of a float file's tensors."""
from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from export.calibration.observers import Ranges

SHARES = np.linspace(1.0, 0.3, 36)  # of each end of the range, tried for the least error


def least_error(counts: np.ndarray, ends: tuple[float, float]) -> tuple[float, float]:
    """Return the range of least mean squared error of rounding and cutting to 256 levels."""
    centres = (np.arange(len(counts)) + 0.5) / len(counts) * (ends[1] - ends[0]) + ends[0]
    low, high = min(ends[0], 0.0), max(ends[1], 0.0)
    best, bounds = np.inf, (low, high)
    for down in SHARES if low < 0 else (1.0,):
        for up in SHARES if high > 0 else (1.0,):
            bottom, top = low * down, high * up
            step = (top - bottom) / 255
            if not step > 0:
                continue
            cut = np.clip(centres, bottom, top)
            error = float(counts @ (np.square(cut - centres) + step * step / 12))
            if error < best:
                best, bounds = error, (float(bottom), float(top))
    return bounds


def least_error_ranges(
    ranges: Ranges, counts: Mapping[str, np.ndarray]
) -> dict[str, tuple[float, float]]:
    """Return the ranges of least error; a tensor without counts keeps its whole range."""
    return {name: least_error(counts[name], ends) if name in counts and counts[name].sum() else ends
            for name, ends in ranges.items()}
