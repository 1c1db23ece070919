"""The maps of gestures: labels, kernels, boxes, drags, and the twin inside the model."""
from __future__ import annotations

import numpy as np
import pytest

from oace_tf.clicks import Click
from oace_tf.errors import UsageError
from oace_tf.gestures import NEAR_CELLS, Gesture, Label, channels, draw_maps, pack_rows

SIZE = 128


def _points(*rows: tuple[float, float, int]) -> np.ndarray:
    return pack_rows(np.array(rows, np.float32).reshape(-1, 3), 8)


def test_unused_rows_draw_nothing():
    drawn = draw_maps(_points(), SIZE, SIZE)
    for stride, maps in drawn.maps.items():
        assert maps.shape == (SIZE // stride, SIZE // stride, channels(stride))
        assert not maps.any()
    assert not any(w.any() for w in drawn.object_weights.values())


def test_too_many_rows_are_refused():
    with pytest.raises(ValueError, match="9 rows do not fit into 8"):
        pack_rows(np.zeros((9, 3), np.float32), 8)


@pytest.mark.parametrize(("label", "channel"), [(Label.OBJECT, 0), (Label.BACKGROUND, 1),
                                                (Label.EXTREME, 2)])
def test_a_tap_is_a_kernel_around_its_place(label, channel):
    maps = draw_maps(_points((41.5, 73.5, label)), SIZE, SIZE).maps[4]
    radius = NEAR_CELLS[4]
    for row in range(SIZE // 4):
        for column in range(SIZE // 4):
            x, y = 4 * column + 1.5, 4 * row + 1.5  # the centre of the cell, in pixels
            squared = ((x - 41.5)**2 + (y - 73.5)**2) / 16
            expected = max(0.0, 1.0 - squared / radius**2)
            assert maps[row, column, channel] == pytest.approx(expected, abs=1e-5)
    others = [c for c in range(3) if c != channel]
    assert not maps[..., others].any()


def test_two_corners_in_any_order_make_one_box():
    straight = draw_maps(_points((16, 24, 2), (80, 100, 3)), SIZE, SIZE).maps
    turned = draw_maps(_points((80, 24, 3), (16, 100, 2)), SIZE, SIZE).maps
    for stride in (8, 16):
        assert np.array_equal(straight[stride], turned[stride])
        inside, outside = straight[stride][..., -3], straight[stride][..., -2]
        assert np.allclose(inside + outside, 1.0)
    inside = straight[8][..., -3]
    assert inside[6, 5] == 1.0 and inside[0, 0] == 0.0 and inside[15, 15] == 0.0


def test_four_extreme_points_bound_a_box():
    extreme = draw_maps(_points((16, 50, 4), (40, 24, 4), (80, 60, 4), (50, 100, 4)), SIZE, SIZE)
    box = draw_maps(_points((16, 24, 2), (80, 100, 3)), SIZE, SIZE)
    assert np.array_equal(extreme.maps[8][..., -3], box.maps[8][..., -3])
    assert np.array_equal(extreme.object_weights[8], box.object_weights[8])


def test_a_drag_reaches_twice_as_far_as_it_is_long():
    drag = draw_maps(_points((60, 60, 1), (76, 60, 5)), SIZE, SIZE).maps[8][..., -1]
    ys, xs = np.nonzero(drag)
    reach = np.hypot(8 * xs + 3.5 - 60, 8 * ys + 3.5 - 60).max()
    assert 24 < reach <= 32.5
    tap = draw_maps(_points((60, 60, 1)), SIZE, SIZE).maps[8][..., -1]
    assert not tap.any()


def test_query_weights_sum_to_one_and_prefer_taps_to_boxes():
    for rows in ([(60.0, 60.0, 1)], [(10.0, 10.0, 2), (90.0, 70.0, 3)], [(-0.5, 127.5, 1)]):
        for weights in draw_maps(_points(*rows), SIZE, SIZE).object_weights.values():
            assert weights.sum() == pytest.approx(1.0, abs=1e-4)
    both = draw_maps(_points((60, 60, 1), (10, 10, 2), (90, 70, 3)), SIZE, SIZE)
    tap = draw_maps(_points((60, 60, 1)), SIZE, SIZE)
    assert np.array_equal(both.object_weights[8], tap.object_weights[8])


def test_gestures_that_say_nothing_or_half_are_refused():
    for arguments, words in (({}, "nothing says which object"),
                             ({"taps": (Click(1, 2, False),)}, "nothing says which object"),
                             ({"box": (1, 2, 3)}, "a box has 3 numbers"),
                             ({"extreme": ((1, 2),)}, "1 extreme points"),
                             ({"box": (1, 2, 3, float("nan"))}, "not finite")):
        with pytest.raises(UsageError, match=words):
            Gesture(**arguments)


def test_rows_of_a_gesture():
    gesture = Gesture(taps=(Click(1, 2), Click(3, 4, False)), box=(5, 6, 7, 8),
                      drag=((9, 10), (11, 12)))
    assert gesture.rows().tolist() == [[9, 10, 1], [11, 12, 5], [5, 6, 2], [7, 8, 3], [1, 2, 1],
                                       [3, 4, 0]]
    assert gesture.kinds == {"tap", "background", "box", "drag"}
    assert gesture.bounds is not None and gesture.bounds.tolist() == [[5, 6], [7, 8]]
    assert Gesture(taps=(Click(1, 2),)).bounds is None
