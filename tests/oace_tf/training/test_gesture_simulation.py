"""Simulated gestures: each kind lies where people put it."""
from __future__ import annotations

import numpy as np
import pytest

from oace_tf.clicker import edge_distance
from oace_tf.gestures import Label
from oace_tf.training.gesture_simulation import GestureShares, simulate_gesture

SIDE = 96
MASK = np.zeros((SIDE, SIDE), bool)
MASK[20:70, 30:80] = True
MASK[40:50, 30:45] = False  # a bay on the left
SEEDS = range(40)


def _rows(kind: str, seed: int) -> np.ndarray:
    return simulate_gesture(kind, MASK, np.random.default_rng(seed), 24)


def _on(row: np.ndarray) -> bool:
    return bool(MASK[int(row[1]), int(row[0])])


@pytest.mark.parametrize("seed", SEEDS)
def test_taps_lie_inside_and_background_taps_outside(seed):
    (tap,) = _rows("tap", seed)
    assert tap[2] == Label.OBJECT and _on(tap)
    for row in _rows("taps", seed):
        assert _on(row) == (row[2] == Label.OBJECT)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_box_is_near_the_bounding_box(seed):
    rows = _rows("box", seed)
    assert sorted(rows[:, 2]) == [Label.CORNER, Label.OPPOSITE_CORNER]
    low, high = rows[:, :2].min(axis=0), rows[:, :2].max(axis=0)
    assert np.abs(low - (30, 20)).max() < 5 and np.abs(high - (79, 69)).max() < 5
    inside = _rows("box_tap", seed)
    assert len(inside) == 3 and inside[2, 2] == Label.OBJECT and _on(inside[2])


@pytest.mark.parametrize("seed", SEEDS)
def test_extreme_points_touch_the_four_sides(seed):
    rows = _rows("extreme", seed)
    assert len(rows) == 4 and (rows[:, 2] == Label.EXTREME).all()
    low, high = rows[:, :2].min(axis=0), rows[:, :2].max(axis=0)
    assert np.abs(low - (30, 20)).max() < 4 and np.abs(high - (79, 69)).max() < 4


@pytest.mark.parametrize("seed", SEEDS)
def test_a_drag_is_as_long_as_the_way_to_the_edge(seed):
    press, release = _rows("drag", seed)
    assert press[2] == Label.OBJECT and release[2] == Label.RELEASE and _on(press)
    assert 0.8 * 18 <= np.hypot(*(release - press)[:2]) <= 1.2 * 25  # the depth is about 20


def test_a_scribble_is_a_row_of_taps_on_the_object():
    counts = set()
    for seed in SEEDS:
        rows = _rows("scribble", seed)
        assert len(rows) <= 24 and all(_on(row) for row in rows)
        counts.add(len(rows))
    assert max(counts) >= 8


def test_shares_decide_what_is_drawn():
    rng = np.random.default_rng(1)
    only = GestureShares(tap=0, taps=0, box=1, box_tap=0, extreme=0, drag=1, scribble=0)
    drawn = [only.draw(rng) for _ in range(200)]
    assert set(drawn) == {"box", "drag"} and 60 < drawn.count("box") < 140


@pytest.mark.parametrize("middle, least, most", [(0.0, 0, 3), (0.5, 60, 140), (1.0, 200, 200)])
def test_a_share_of_the_taps_is_in_the_middle(middle, least, most):
    y, x = np.unravel_index(edge_distance(MASK).argmax(), MASK.shape)
    taps = [simulate_gesture("tap", MASK, np.random.default_rng(seed), 24, middle)[0]
            for seed in range(200)]
    assert least <= sum(tuple(tap[:2]) == (x, y) for tap in taps) <= most
