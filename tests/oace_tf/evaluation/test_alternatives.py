"""Several answers: the best, the chosen one, and whether scores are right."""
from __future__ import annotations

import numpy as np
import pytest

from oace_tf.evaluation.alternatives import alternative_trial, summarise
from oace_tf.gestures import Gesture
from oace_tf.samples.sample import Sample


def _box(*sides: int) -> np.ndarray:
    region = np.zeros((20, 20), np.float32)
    region[sides[0]:sides[2], sides[1]:sides[3]] = 1
    return region


def test_a_trial_by_hand() -> None:
    sample = Sample("a", np.zeros((20, 20, 3), np.uint8), _box(0, 0, 10, 10).astype(np.int8), "s")
    answers = np.stack([_box(0, 0, 5, 10), _box(0, 0, 10, 10), np.full((20, 20), np.nan)])
    rows = alternative_trial(lambda image, gesture: (answers, np.array([0.5, 0.75, 0.1])), sample,
                             Gesture(box=(0, 0, 9, 9)))
    assert rows[:2] == [[0.5, 0.5], [1.0, 0.75]]
    assert np.isnan(rows[2][0]) and rows[2][1] == 0.1


def test_figures_by_hand() -> None:
    rows = [[[0.5, 0.5], [1.0, 0.75], [0.0, 0.25]],  # the chosen one is the best
            [[0.5, 0.75], [0.75, 0.5], [0.25, 0.25]]]  # it is not
    found = summarise(rows, [0.5, 0.25])
    assert found is not None
    assert (found["n"], found["mask"], found["best"], found["chosen"]) == (2, 37.5, 87.5, 75.0)
    assert found["best_minus_mask"] == 50 and found["chosen_is_best"] == 50
    assert found["score_error"] == pytest.approx(100 * (0 + 0.25 + 0.25 + 0.25 + 0.25 + 0) / 6)
    assert found["score_bias"] == pytest.approx(0)
    assert 0.7 < found["score_correlation"] < 0.9
    assert [(row["from"], row["n"]) for row in found["calibration"]] == [
        (0.2, 2), (0.4, 2), (0.6, 2)]
    assert found["calibration"][0] == {"from": 0.2, "to": 0.4, "n": 2, "score": 0.25, "iou": 0.125}


def test_what_has_no_figures() -> None:
    assert summarise([], []) is None
    assert summarise([[[float("nan"), 0.5]] * 3], [0.5]) is None
    assert summarise([[[0.5, 0.5]] * 3], [float("nan")]) is None
    constant = summarise([[[0.5, 1.0]] * 3], [0.5])
    assert constant is not None and constant["score_correlation"] is None
    assert constant["chosen_is_best"] == 100
