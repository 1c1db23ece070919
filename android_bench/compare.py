"""Comparison of two reports: whether a difference is larger than the noise of both.

The noise of a setting is the largest of: the standard error of the two means from the spread of the
single runs, times two; the spread between the repetitions; and one per cent, below which a phone's
clock and scheduler decide.
"""
from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from android_bench.verdict import MEASURED
from oace_tf.errors import UsageError

FLOOR = 0.01  # of the old mean


@dataclass(frozen=True, slots=True)
class Difference:
    """Change of one setting's mean, ms; `verdict` is slower, faster, within noise or no result."""

    setting: str
    old_ms: float | None
    new_ms: float | None
    noise_ms: float | None
    verdict: str

    def __str__(self) -> str:
        if self.old_ms is None or self.new_ms is None or self.noise_ms is None:
            return f"{self.setting}: {self.verdict}"
        change = self.new_ms - self.old_ms
        return (f"{self.setting}: {self.old_ms:.2f} -> {self.new_ms:.2f} ms ({change:+.2f}, "
                f"{100 * change / self.old_ms:+.1f} %), noise {self.noise_ms:.2f} ms: "
                f"{self.verdict}")


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Difference]:
    """Return the differences of all settings that either report names.

    Args:
      old, new: as `reports.read_report` gives them.
    Raises:
      UsageError: they are of different devices or binaries, or have no setting in common.
    """
    try:
        for key, what in (("device", "model"), ("binary", "sha256")):
            one, other = (report.get(key) or {} for report in (old, new))
            if one.get(what) != other.get(what):
                raise UsageError(f"the reports are of a different {key} ({one.get(what)}, "
                                 f"{other.get(what)}): their times cannot be compared")
        before = {row["setting"]: row for row in old["rows"]}
        after = {row["setting"]: row for row in new["rows"]}
        if not set(before) & set(after):
            raise UsageError("the reports have no setting in common")
        return [_difference(name, before.get(name), after.get(name))
                for name in {**before, **after}]
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise UsageError(f"a report is damaged: {error!r}; measure again") from error


def _difference(name: str, old: Any, new: Any) -> Difference:
    if old is None or new is None:
        side = "old" if old is None else "new"
        return Difference(name, None, None, None, f"no result: not in the {side} report")
    for row, side in ((old, "old"), (new, "new")):
        if row["status"] not in MEASURED:
            return Difference(name, None, None, None,
                              f"no result: {row['status']} in the {side} report")
    means = [_mean([one["mean_ms"] for one in row["repetitions"]]) for row in (old, new)]
    noise = max(_noise(old["repetitions"], new["repetitions"]), FLOOR * means[0])
    change = means[1] - means[0]
    verdict = "within noise" if abs(change) <= noise else "slower" if change > 0 else "faster"
    return Difference(name, means[0], means[1], noise, verdict)


def _noise(old: Any, new: Any) -> float:
    error = math.sqrt(sum(_squared_error(repetitions) for repetitions in (old, new)))
    spread = max(max(values) - min(values) for values in
                 ([float(one["mean_ms"]) for one in repetitions] for repetitions in (old, new)))
    return max(2 * error, spread)


def _squared_error(repetitions: Any) -> float:
    """Return the squared standard error of the mean over all runs of the repetitions."""
    total = sum(int(one["n"] or 1) for one in repetitions)
    squares = sum(int(one["n"] or 1) * float(one["std_ms"] or 0.0) ** 2 for one in repetitions)
    return squares / total / total


def _mean(values: list[float]) -> float:
    mean = sum(map(float, values)) / len(values)
    if not (math.isfinite(mean) and mean > 0):
        raise ValueError(f"a mean of {mean} ms")
    return mean
