"""Own, other and confusion on images worked by hand."""
import numpy as np
import pytest

from oace_tf.evaluation.tapped_object import cross_iou, tapped_object_scores


def _masks(*rows):
    return [np.array([[c == "#" for c in row]]) for row in rows]


OBJECTS = _masks("##..", "..#.", "...#")


def test_perfect_answers():
    scores = tapped_object_scores([cross_iou(OBJECTS, OBJECTS)])
    assert (scores.objects, scores.own, scores.other, scores.confusion) == (3, 1, 0, 0)
    assert scores.own_minus_other == 1


def test_a_network_that_ignores_the_tap():
    scores = tapped_object_scores([cross_iou(OBJECTS, [OBJECTS[0]] * 3)])
    assert scores.own_minus_other == 0
    assert scores.own == pytest.approx(1 / 3)
    assert scores.confusion == pytest.approx(2 / 3)


def test_hand_worked_table():
    predictions = _masks("###.", "..##", "#...")
    table = cross_iou(OBJECTS, predictions)
    np.testing.assert_allclose(table, [[2 / 3, 0, 1 / 2], [1 / 3, 1 / 2, 0], [0, 1 / 2, 0]])
    scores = tapped_object_scores([table])
    assert scores.own == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert scores.other == pytest.approx((1 / 4 + 1 / 6 + 1 / 4) / 3)
    # mask 1 has objects 1 and 2 alike: not confused, none is larger; mask 2 is on object 0
    assert scores.confusion == pytest.approx(1 / 3)


def test_objects_are_pooled_over_images_and_single_ones_left_out():
    single = cross_iou(OBJECTS[:1], _masks("...."))
    two = cross_iou(OBJECTS[:2], OBJECTS[1::-1])  # exchanged
    scores = tapped_object_scores([single, two, cross_iou(OBJECTS, OBJECTS)])
    assert scores.objects == 5
    assert scores.own == pytest.approx(3 / 5)
    assert scores.other == scores.confusion == pytest.approx(2 / 5)


def test_nothing_to_score():
    with pytest.raises(ValueError, match="two objects"):
        tapped_object_scores([cross_iou(OBJECTS[:1], OBJECTS[:1])])
    with pytest.raises(ValueError, match="3 objects, 1 predicted"):
        cross_iou(OBJECTS, OBJECTS[:1])
