"""Tidy masks: which pieces stay, which holes are filled."""
from __future__ import annotations

import numpy as np
import pytest

from oace_tf.clicks import Click
from oace_tf.pieces import holes, missed, pieces, tidy


def _mask() -> np.ndarray:
    """Return a square of 20 px with two holes (2x2, 6x6), a small piece right, one in a corner."""
    mask = np.zeros((40, 60), bool)
    mask[10:30, 10:30] = True
    mask[12:14, 12:14] = False
    mask[20:26, 20:26] = False
    mask[15:20, 40:48] = True
    mask[0, 0] = True
    return mask


def test_pieces_and_holes_by_size() -> None:
    assert [int(piece.sum()) for piece in pieces(_mask())] == [360, 40, 1]
    assert [int(hole.sum()) for hole in holes(_mask())] == [36, 4]
    assert [int(part.sum()) for part in pieces(_mask(), 40)] == [360, 40]
    assert [int(part.sum()) for part in holes(_mask(), 5)] == [36]
    assert pieces(np.zeros((3, 4), bool)) == [] == holes(np.ones((3, 4), bool))


def test_corners_join_pieces_and_part_holes() -> None:
    mask = np.eye(5, dtype=bool)
    assert len(pieces(mask)) == 1
    ring = np.ones((5, 5), bool)
    ring[1, 1] = ring[2, 2] = False  # touch at a corner: two holes
    assert len(holes(ring)) == 2
    ring[0, 1] = False  # open to the border
    assert len(holes(ring)) == 1


def test_the_piece_under_the_tap_stays_alone() -> None:
    mask = _mask()
    assert tidy(mask, [Click(15, 16)]).sum() == 364  # the small hole is filled
    assert tidy(mask, [Click(44, 17)]).sum() == 40
    assert tidy(mask, [Click(15, 16), Click(44, 17)]).sum() == 404
    assert tidy(mask, [Click(15, 16), Click(55, 35)]).sum() == 364  # the second hit nothing
    assert (mask == _mask()).all()


def test_without_a_tap_in_it_the_large_pieces_stay() -> None:
    assert tidy(_mask(), [], 0, 0.1).sum() == 400
    assert tidy(_mask(), [], 0, 0.2).sum() == 360
    assert tidy(_mask(), [Click(55, 35)], 0, 0.1).sum() == 400
    mask = np.zeros((512, 512), bool)
    mask[100:200, 100:200] = mask[300:310, 300:310] = True
    assert tidy(mask, [Click(313, 305)]).sum() == 100  # within a finger's width
    assert tidy(mask, [Click(330, 305)]).sum() == 10000


def test_a_background_tap_keeps_its_hole() -> None:
    tap, beside = Click(16, 16), Click(12, 13, False)
    assert tidy(_mask(), [tap, beside], 0.2).sum() == 396
    assert tidy(_mask(), [tap], 0.2).sum() == 400
    assert tidy(_mask(), [tap], 0.0).sum() == 360


@pytest.mark.parametrize("fill", [False, True])
def test_empty_and_full(fill: bool) -> None:
    mask = np.full((6, 7), fill)
    assert (tidy(mask, [Click(2, 2)]) == mask).all()


def test_the_image_border_is_no_hole() -> None:
    mask = np.ones((10, 10), bool)
    mask[0, 5] = False
    assert not tidy(mask, [Click(4, 4)], 1.0)[0, 5]


def test_missed_taps_are_told():
    mask = np.zeros((10, 12), bool)
    assert "the mask is empty" in missed(mask, [])
    mask[2:8, 2:8] = True
    assert missed(mask, []) == ""
    assert missed(mask, [Click(3, 3), Click(10, 3, False)]) == ""
    assert missed(mask, [Click(10, 3)]) == "the tap 10,3 lies outside its own mask"
    assert missed(mask, [Click(3, 3), Click(11.4, -0.5)]) == (
        "1 of 2 taps on the object lie outside the mask, the first at 11.4,-0.5")
    assert missed(mask, [Click(3, 3), Click(4, 4, False)]) == (
        "the background tap 4,4 still lies in the mask")
