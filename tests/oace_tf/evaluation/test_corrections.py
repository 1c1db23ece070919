"""Second taps on made-up predictors that obey, ignore or forget."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from oace_tf.clicks import Click
from oace_tf.evaluation.corrections import PLACES, correction_trials, summarise
from oace_tf.evaluation.metrics import bootstrap_ratios
from oace_tf.samples.sample import Sample


def _sample(name: str = "a") -> Sample:
    mask = np.zeros((60, 60), np.int8)
    mask[10:50, 10:50] = 1
    mask[55:] = -1
    return Sample(name, np.zeros((60, 60, 3), np.uint8), mask, "set")


def _half_off(image: np.ndarray, clicks: Sequence[Click]) -> np.ndarray:
    """Return a square that misses the object's left and takes as much beside it; stubborn."""
    found = np.zeros(image.shape[:2], np.float32)
    found[10:50, 20:60] = 1
    return found


def _obedient(image: np.ndarray, clicks: Sequence[Click]) -> np.ndarray:
    found = _half_off(image, clicks)
    for click in clicks[1:]:
        found[round(click.y), round(click.x)] = click.positive
    return found


def _forgetful(image: np.ndarray, clicks: Sequence[Click]) -> np.ndarray:
    """Return what lies around the last object tap alone."""
    found = np.zeros(image.shape[:2], np.float32)
    tap = [click for click in clicks if click.positive][-1]
    found[max(0, round(tap.y) - 3):round(tap.y) + 4, max(0, round(tap.x) - 3):round(tap.x) + 4] = 1
    return found


def test_obeyed_and_not() -> None:
    good, bad = (correction_trials(predict, _sample(), 0) for predict in (_obedient, _half_off))
    for kind in ("background", "missed"):
        assert len(good[kind]) == len(bad[kind]) == PLACES
        assert {row[0] for row in good[kind]} == {1.0} and {row[0] for row in bad[kind]} == {0.0}
        assert all(row[1] > 0 for row in good[kind]) and all(row[1] == 0 for row in bad[kind])
    assert len(good["again"]) == PLACES // 2 and {row[0] for row in good["again"]} == {1.0}
    lost = correction_trials(_forgetful, _sample(), 0)["again"]
    assert np.mean([row[0] for row in lost]) < 0.5


def test_places_are_seeded_and_right() -> None:
    asked: list[Click] = []

    def predict(image: np.ndarray, clicks: Sequence[Click]) -> np.ndarray:
        asked.extend(clicks[1:])
        return _half_off(image, clicks)

    trials = correction_trials(predict, _sample(), 0)
    places, mask = asked[:2 * PLACES], _sample().mask
    assert all(mask[round(p.y), round(p.x)] == int(p.positive) for p in places)
    assert [p.positive for p in places] == [False] * PLACES + [True] * PLACES
    assert len(set(places)) == 2 * PLACES
    asked.clear()
    assert correction_trials(predict, _sample(), 0) == trials and asked[:2 * PLACES] == places
    asked.clear()
    correction_trials(predict, _sample(), 1)
    assert asked[:2 * PLACES] != places


def test_nothing_to_correct_and_not_finite() -> None:
    exact = correction_trials(lambda image, clicks: (_sample().mask == 1).astype(np.float32),
                              _sample(), 0)
    assert exact["background"] == exact["missed"] == [] and len(exact["again"]) == PLACES // 2
    broken = correction_trials(lambda image, clicks: np.full((60, 60), np.nan), _sample(), 0)
    assert broken["background"] == [] and np.isnan(broken["again"]).all()
    found = summarise([exact], ["g"], 0)
    assert found["background"]["obeyed"] is None and found["background"]["taps"] == 0
    assert summarise([exact, broken], ["g", "h"], 0)["again"]["obeyed"] is None


def test_figures_are_over_taps() -> None:
    empty: dict[str, list[list[float]]] = {"missed": [], "again": []}
    rows = [{"background": [[1.0, 0.1]], **empty},
            {"background": [[0.0, 0.0], [0.0, 0.0], [1.0, 0.1]], **empty},
            {"background": [], **empty}]
    found = summarise(rows, ["a", "b", "c"], 0)["background"]
    assert (found["taps"], found["objects"], found["obeyed"]) == (4, 2, 50)
    assert found["iou_change"] == pytest.approx(5)
    low, high = found["ci95"]["obeyed"]
    assert 30 < low <= 50 <= high <= 100


def test_ratios_need_trials() -> None:
    rng = np.random.default_rng(0)
    ends = bootstrap_ratios(np.array([[2.0], [4.0]]), [1, 2], ["a", "b"], rng)
    np.testing.assert_allclose(ends, [[2, 2]])
    for sums, counts in (([[1.0]], [0]), ([[float("nan")]], [1])):
        with pytest.raises(ValueError):
            bootstrap_ratios(np.array(sums), counts, ["a"], rng)
