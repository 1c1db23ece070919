"""Cutouts with soft edges, and cropped ones."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from oace_tf import pictures
from oace_tf.demo.cutouts import CutoutOptions, cropped, cutout, softened
from oace_tf.errors import UsageError


@pytest.fixture
def mask() -> np.ndarray:
    mask = np.zeros((60, 90), bool)
    mask[20:40, 30:70] = True
    return mask


def test_a_hard_edge_is_the_library_s(kinds: Any, mask: np.ndarray) -> None:
    np.testing.assert_array_equal(cutout(kinds.halves(), mask, None, CutoutOptions()),
                                  pictures.cutout(kinds.halves(), mask))


def test_a_soft_edge_falls_on_both_sides(kinds: Any, mask: np.ndarray) -> None:
    alpha = softened(mask, 6)
    assert alpha[30, 50] == 255 and alpha[5, 5] == 0
    across = alpha[30, 20:40].astype(int)
    assert (np.diff(across) >= 0).all() and len(set(across.tolist())) > 6
    assert abs(int(alpha[30, 29]) + int(alpha[30, 30]) - 255) <= 1  # half at the edge
    own = np.full(mask.shape, 90, np.uint8)
    soft = cutout(kinds.halves(), mask, own, CutoutOptions(feather=6))
    assert soft[..., 3].max() == 90 and not soft[soft[..., 3] == 0].any()
    assert soft[30, 60, 2] == 240


def test_cropped_to_the_object(kinds: Any, mask: np.ndarray) -> None:
    assert cutout(kinds.halves(), mask, None, CutoutOptions(crop=True)).shape == (20, 40, 4)
    nothing = cutout(kinds.halves(), ~mask & mask, None, CutoutOptions(crop=True))
    assert nothing.shape == (60, 90, 4) and cropped(nothing) is nothing


@pytest.mark.parametrize("values", [
    {"feather": -1}, {"feather": 1e9}, {"feather": "2"}, {"feather": float("nan")},
    {"feather": True}, {"crop": 1}, {"refine": "yes"}])
def test_other_values_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        CutoutOptions.of(values)


def test_values_of_a_request() -> None:
    assert CutoutOptions.of({"feather": 2, "marks": []}) == CutoutOptions(feather=2)
