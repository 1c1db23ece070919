"""Skeletons of hand-made regions."""
from __future__ import annotations

import cv2
import numpy as np
import pytest

from oace_tf.evaluation.skeleton import longest_path, thinned


def test_a_bar_becomes_a_line() -> None:
    region = np.zeros((20, 60), bool)
    region[5:14, 5:55] = True
    skeleton = thinned(region)
    assert (skeleton <= region).all() and skeleton.sum(axis=0).max() <= 2
    assert 35 <= skeleton.sum() <= 50 and skeleton[9, 15:45].all()


def test_thinning_keeps_pieces_and_holes() -> None:
    region = np.zeros((60, 60), bool)
    region[10:50, 10:50] = True
    region[25:35, 25:35] = False
    count = [cv2.connectedComponents(one.astype(np.uint8), connectivity=way)[0]
             for one in (region, thinned(region)) for way in (8,)]
    assert count[0] == count[1]
    assert cv2.connectedComponents((~thinned(region)).astype(np.uint8), connectivity=4)[0] == 3


@pytest.mark.parametrize("scale", [1, 4])
def test_the_longest_path_leaves_short_branches(scale: int) -> None:
    region = np.zeros((40 * scale, 100 * scale), bool)
    region[18 * scale:23 * scale, 5 * scale:95 * scale] = True
    region[23 * scale:32 * scale, 48 * scale:53 * scale] = True
    path = longest_path(region)
    assert np.ptp(path[:, 0]) > 80 * scale
    assert np.abs(path[:, 1] - 20 * scale).max() < 4 * scale


def test_dots_and_hairs() -> None:
    dot = np.zeros((5, 6), bool)
    dot[3, 2] = True
    assert longest_path(dot).tolist() == [[2, 3]]
    hair = np.zeros((400, 400), bool)
    hair[np.arange(400), np.arange(400)] = True
    path = longest_path(hair)
    assert len(path) >= 1 and (path >= 0).all() and (path < 400).all()
