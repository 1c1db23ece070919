"""Crumbs on hand-made masks."""
from __future__ import annotations

import numpy as np

from oace_tf.evaluation.crumbs import Crumbs, count_crumbs


def _region(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    region = np.zeros((100, 100), bool)
    for top, left, bottom, right in boxes:
        region[top:bottom, left:right] = True
    return region


WHOLE = _region((10, 10, 60, 60))


def test_small_ones_do_not_count() -> None:
    assert count_crumbs(WHOLE) == Crumbs(0, 0) and not count_crumbs(WHOLE).any
    prediction = WHOLE | _region((80, 80, 81, 84))  # 4 px; 0.05 % are 5
    prediction[20, 20:24] = False
    assert count_crumbs(prediction) == Crumbs(0, 0)
    prediction = prediction | _region((80, 80, 81, 85))
    prediction[20, 20:25] = False
    assert count_crumbs(prediction) == Crumbs(1, 1) == count_crumbs(prediction, WHOLE.astype(int))


def test_what_the_object_has_is_no_crumb() -> None:
    truth = WHOLE | _region((10, 70, 60, 90))
    truth[30:40, 30:40] = False
    assert count_crumbs(truth, truth.astype(int)) == Crumbs(0, 0)
    assert count_crumbs(truth) == Crumbs(1, 1)
    assert count_crumbs(truth, WHOLE.astype(int)) == Crumbs(1, 1)


def test_one_object_in_two_pieces_is_a_crumb() -> None:
    broken = WHOLE & ~_region((30, 0, 34, 100))
    assert count_crumbs(broken, WHOLE.astype(int)) == Crumbs(1, 0)
    two = WHOLE | _region((10, 70, 60, 90))  # the second true piece cannot excuse both halves
    found = broken | _region((10, 70, 30, 90), (34, 70, 60, 90))
    assert count_crumbs(found, two.astype(int)) == Crumbs(2, 0)


def test_ignored_pixels_and_nothing() -> None:
    truth = WHOLE.astype(int)
    truth[70:80, 70:80] = -1
    assert count_crumbs(WHOLE | _region((70, 70, 80, 80)), truth) == Crumbs(0, 0)
    assert count_crumbs(np.zeros((100, 100), bool), truth) == Crumbs(0, 0)
