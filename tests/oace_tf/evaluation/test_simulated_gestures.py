"""Simulated gestures on hand-made masks."""
from __future__ import annotations

import numpy as np
import pytest

from oace_tf.clicks import Click
from oace_tf.errors import UsageError
from oace_tf.evaluation.simulated_gestures import GESTURES, gesture_generator, least_rows, simulate
from oace_tf.gestures import Gesture
from oace_tf.samples.sample import Sample


def _bar() -> np.ndarray:
    """Return a bar of 100 x 20 px in a frame of 200 x 120."""
    mask = np.zeros((120, 200), np.int8)
    mask[40:60, 50:150] = 1
    mask[:3] = -1
    return mask


def _made(kind: str, mask: np.ndarray, seed: int = 0, most: int = 40) -> Gesture:
    return simulate(kind, mask, np.random.default_rng(seed), most)


@pytest.mark.parametrize("seed", range(20))
def test_boxes_are_loose_by_three_percent(seed: int) -> None:
    for kind in ("box", "box_tap"):
        gesture = _made(kind, _bar(), seed)
        assert gesture.box is not None
        off = np.array(gesture.box) - (50, 40, 149, 59)
        assert (np.abs(off) <= (3.0, 0.6, 3.0, 0.6)).all() and np.abs(off).min() > 0
    assert gesture.kinds == {"box", "tap"}
    (tap,) = gesture.taps
    assert _bar()[round(tap.y), round(tap.x)] == 1 and tap == _made("tap", _bar()).taps[0]


def test_a_box_stays_in_the_photograph() -> None:
    for seed in range(10):
        box = _made("box", np.ones((50, 80), np.int8), seed).box
        assert box is not None and box[0] >= -0.5 and box[1] >= -0.5
        assert box[2] <= 79.5 and box[3] <= 49.5


@pytest.mark.parametrize("seed", range(20))
def test_extreme_points_lie_on_the_outline(seed: int) -> None:
    mask = np.zeros((256, 512), np.int8)  # a diamond around (200, 100)
    rows, columns = np.mgrid[:256, :512]
    mask[np.abs(rows - 100) + np.abs(columns - 200) <= 60] = 1
    points = np.array(_made("extreme", mask, seed).extreme)
    off = points - [(140, 100), (200, 40), (260, 100), (200, 160)]
    assert (np.abs(off) <= (3.0, 1.5)).all() and np.abs(off).max() > 0.1


@pytest.mark.parametrize("seed", range(20))
def test_a_drag_goes_to_the_nearest_edge(seed: int) -> None:
    drag = _made("drag", _bar(), seed).drag
    assert drag is not None
    (x0, y0), (x1, y1) = drag
    assert 49 < y0 < 51 or 48 < y0 < 51
    assert x0 == x1 and 0.8 * 10 <= abs(y1 - y0) <= 1.2 * 10


def test_the_image_border_is_an_edge_for_drags() -> None:
    drag = _made("drag", np.ones((41, 90), np.int8)).drag
    assert drag is not None
    (x0, y0), (x1, y1) = drag
    assert (x0, y0) == (20, 20) and abs(x1 - x0) + abs(y1 - y0) >= 0.8 * 20


def test_a_scribble_runs_along_the_object() -> None:
    taps = _made("scribble", _bar()).taps
    xs, ys = np.array([[tap.x, tap.y] for tap in taps]).T
    assert all(tap.positive and _bar()[round(tap.y), round(tap.x)] == 1 for tap in taps)
    assert np.ptp(xs) > 70 and np.abs(ys - 49.5).max() < 3
    step = 0.02 * np.hypot(120, 200)
    assert np.allclose(np.hypot(np.diff(xs), np.diff(ys)), step, rtol=0.15)
    assert len(_made("scribble", _bar(), most=5).taps) == 5


def test_a_scribble_follows_a_bend() -> None:
    mask = np.zeros((300, 300), np.int8)
    mask[50:250, 50:80] = mask[220:250, 50:250] = 1  # an L
    taps = _made("scribble", mask).taps
    assert min(tap.y for tap in taps) < 80 and max(tap.x for tap in taps) > 220
    assert all(mask[round(tap.y), round(tap.x)] == 1 for tap in taps)


@pytest.mark.parametrize("kind", GESTURES)
def test_small_and_scattered_objects(kind: str) -> None:
    dot = np.zeros((30, 40), np.int8)
    dot[12, 17] = 1
    gesture = _made(kind, dot)
    assert len(gesture.rows()) >= least_rows(kind)
    if kind == "scribble":
        assert gesture.taps == (Click(17, 12),)
    scattered = (np.random.default_rng(3).random((40, 50)) < 0.3).astype(np.int8)
    assert np.isfinite(_made(kind, scattered).rows()).all()


def test_draws_are_seeded_by_object() -> None:
    sample = Sample("a", np.zeros((120, 200, 3), np.uint8), _bar(), "set")

    def box(seed: int, name: str) -> object:
        rng = gesture_generator(seed, Sample(name, sample.image, sample.mask, "set"), "box")
        return simulate("box", _bar(), rng, 1).box

    assert box(0, "a") == box(0, "a")
    assert len({box(0, "a"), box(1, "a"), box(0, "b")}) == 3


def test_wrong_masks_and_kinds() -> None:
    with pytest.raises(UsageError, match="object pixel"):
        _made("box", np.zeros((4, 4), np.int8))
    with pytest.raises(ValueError, match="lasso"):
        _made("lasso", _bar())
