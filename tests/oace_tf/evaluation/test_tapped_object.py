"""Cross-IoU of objects and masks, worked by hand."""
import numpy as np
import pytest

from oace_tf.evaluation.tapped_object import cross_iou


def _masks(*rows):
    return [np.array([[c == "#" for c in row]]) for row in rows]


OBJECTS = _masks("##..", "..#.", "...#")


def test_hand_worked_table():
    predictions = _masks("###.", "..##", "#...")
    table = cross_iou(OBJECTS, predictions)
    np.testing.assert_allclose(table, [[2 / 3, 0, 1 / 2], [1 / 3, 1 / 2, 0], [0, 1 / 2, 0]])


def test_as_many_masks_as_objects():
    with pytest.raises(ValueError, match="3 objects, 1 predicted"):
        cross_iou(OBJECTS, OBJECTS[:1])
