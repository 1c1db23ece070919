"""Several objects in one photograph: whose strokes are what, and which label wins."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oace_tf.clicks import Click
from oace_tf.errors import MissedTapWarning, UsageError
from oace_tf.regions import label_map, taps_by_label
from oace_tf.segmenter import TapSegmenter

SIZE = (300, 400)  # a tap every 10 px
LEFT, RIGHT = [(10, 10), (10, 50)], [(300, 10), (300, 30)]


def test_strokes_of_others_are_background() -> None:
    taps = taps_by_label({"person": LEFT, "wall": [RIGHT, [(200, 5)]],
                          "background": [(5, 290)]}, SIZE, 20)
    assert list(taps) == ["person", "wall"]
    own = [Click(10, y) for y in (10, 20, 30, 40, 50)]
    assert taps["person"] == [*own, *(Click(300, y, False) for y in (10, 20, 30)),
                              Click(200, 5, False), Click(5, 290, False)]
    assert [tap for tap in taps["wall"] if tap.positive] == [
        *(Click(300, y) for y in (10, 20, 30)), Click(200, 5)]
    assert all(len(asked) <= 7 for asked in taps_by_label(
        {"person": LEFT, "wall": RIGHT}, SIZE, 7).values())


def test_where_rows_are_few_the_nearest_others_stay() -> None:
    others = {str(x): [(x, 20)] for x in (390, 60, 200, 100)}
    taps = taps_by_label({"person": [(10, 20)], **others}, SIZE, 4)["person"]
    assert taps == [Click(10, 20), *(Click(x, 20, False) for x in (60, 100, 200))]


@pytest.mark.parametrize(("strokes", "said"), [
    ({}, "no label"), ({"background": LEFT}, "no label"), ({"person": []}, "person has no stroke"),
    ({"person": "10,10"}, "a scribble is"), ([LEFT], "strokes by label"),
    ({"person": [[(1, 2)]] * 21}, "21 strokes")])
def test_what_is_no_set_of_strokes_is_refused(strokes, said) -> None:
    with pytest.raises(UsageError, match=said):
        taps_by_label(strokes, SIZE, 20)


def test_the_most_probable_label_wins() -> None:
    first = np.array([[0.9, 0.6, 0.4, 0.5]], np.float32)
    second = np.array([[0.2, 0.8, 0.49, 0.5]], np.float32)
    labels = label_map([first, second], [[], []], 0.5, False)
    assert labels.dtype == np.uint8 and labels.tolist() == [[1, 2, 0, 1]]
    assert label_map([second, first], [[], []], 0.5, False).tolist() == [[2, 1, 0, 1]]
    many = label_map((np.full((1, 2), 0.5, np.float32) for _ in range(300)), [[]] * 300, 0.5, False)
    assert many.dtype == np.uint16 and many.tolist() == [[1, 1]]
    with pytest.raises(ValueError):
        label_map([], [], 0.5, False)


def test_each_label_is_tidy() -> None:
    one = np.zeros((20, 20), np.float32)
    one[2:14, 2:14] = 1
    one[6, 6] = 0  # a hole
    one[18, 18] = 1  # a crumb
    two = np.zeros((20, 20), np.float32)
    two[9:11, 9:11] = 1  # an object inside the other: no hole of it
    one[9:11, 9:11] = 0
    taps = [[Click(4, 4), Click(9, 9, False)], [Click(9, 9), Click(4, 4, False)]]
    labels = label_map([one, two], taps, 0.5, True)
    assert labels[6, 6] == 1 and labels[18, 18] == 0 and (labels[9:11, 9:11] == 2).all()
    assert label_map([one, two], taps, 0.5, False)[6, 6] == 0


def test_regions_of_a_photograph(tiny_int8: Path) -> None:
    """The tiny file finds red in the disks of its taps: two disks, two labels."""
    image = np.zeros((64, 64, 3), np.uint8)
    image[..., 0] = 240
    found = TapSegmenter(tiny_int8)
    labels, legend = found.regions(image, {"left": [(14, 30)], "right": [(46, 30)],
                                           "background": [(30, 2)]})
    assert legend == {0: "background", 1: "left", 2: "right"}
    assert labels.dtype == np.uint8 and labels.shape == (64, 64)
    assert labels[30, 14] == 1 and labels[30, 46] == 2 and labels[60, 30] == 0
    np.testing.assert_array_equal(
        labels == 1, found.segment(image, taps=[(14, 30)], background=[(46, 30), (30, 2)]))


def test_a_label_without_a_pixel_is_said(tiny_int8: Path) -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, :32, 0] = 240  # what is not red is not found
    with pytest.warns(MissedTapWarning, match="nothing was found for right, up$") as told:
        labels, _ = TapSegmenter(tiny_int8).regions(
            image, {"left": [(14, 30)], "right": [(46, 30)], "up": [(50, 3)]})
    assert set(np.unique(labels)) == {0, 1} and told[0].filename == __file__
    with pytest.warns(MissedTapWarning, match="nothing was found for 7$"):  # no word as a label
        strokes: dict[Any, Any] = {"left": [(14, 30)], 7: [(46, 30)]}
        TapSegmenter(tiny_int8).regions(image, strokes)
