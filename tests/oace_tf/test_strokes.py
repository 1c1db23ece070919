"""Strokes as taps: their forms, their spacing, and what is refused."""
from __future__ import annotations

import math

import numpy as np
import pytest

from oace_tf.clicks import Click
from oace_tf.errors import UsageError
from oace_tf.strokes import STEP, strokes_of, taps_along

LINE = [(10.0, 10.0), (10.0, 50.0), (90.0, 50.0)]  # 40 + 80 px long


@pytest.mark.parametrize("scribble", [LINE, np.array(LINE), tuple(LINE), [LINE], [np.array(LINE)]])
def test_one_stroke_in_every_form(scribble):
    (stroke,) = strokes_of(scribble)
    np.testing.assert_array_equal(stroke, LINE)


def test_several_strokes_and_none():
    assert [len(stroke) for stroke in strokes_of([LINE, LINE[:2], [(1, 1)]])] == [3, 2, 1]
    assert strokes_of([]) == [] and strokes_of(()) == []


@pytest.mark.parametrize("scribble", ["10,10", 7, [7], [(1, 2, 3)], [[(1, 2, 3)]], [[]], ["ab"],
                                      [(1, 2), "x"], [[(1, 2)], []]])
def test_what_is_no_scribble_is_refused(scribble):
    with pytest.raises(UsageError, match="a scribble is a list of"):
        strokes_of(scribble)
    for number in (math.nan, math.inf, 1e308):
        with pytest.raises(UsageError, match="not finite, or too large"):
            strokes_of([(1, number)])


def test_taps_lie_evenly_along_a_stroke():
    taps = taps_along(strokes_of(LINE), (300, 400), 48)  # 2 % of 500 px: every 10 px
    assert STEP == 0.02 and len(taps) == 13
    assert taps[0] == Click(10, 10) and taps[-1] == Click(90, 50)
    assert [tap.y for tap in taps[:5]] == [10, 20, 30, 40, 50]
    assert [tap.x for tap in taps[4:]] == list(range(10, 91, 10))


def test_fewer_rows_make_them_sparser():
    strokes = strokes_of([LINE, LINE[:2], [(5, 5)]])
    for most in (3, 4, 9, 19, 20):
        taps = taps_along(strokes, (300, 400), most, positive=False)
        assert 3 <= len(taps) <= most and not any(tap.positive for tap in taps)
    assert taps[-1] == Click(5, 5, False)
    with pytest.raises(UsageError, match="3 strokes, and the file has room for 2 taps"):
        taps_along(strokes, (300, 400), 2)


def test_a_short_stroke_is_a_tap_in_its_middle():
    assert taps_along(strokes_of([(10, 10), (14, 10)]), (300, 400), 9) == [Click(12, 10)]
    assert taps_along(strokes_of([(10, 10)] * 3), (300, 400), 9) == [Click(10, 10)]
    assert taps_along([], (300, 400), 9) == []
