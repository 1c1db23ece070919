"""Masks as polygons: exact along the pixels' edges, few points, holes, no crossings."""
from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from oace_tf.errors import UsageError
from oace_tf.polygons import Polygon, crossings, joined, mask_of, polygons_of, signed_area


def _iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def _round_trip(mask: np.ndarray, **how: float) -> np.ndarray:
    return mask_of(polygons_of(mask, **how), *mask.shape)  # type: ignore[arg-type]


def _blob(seed: int, height: int = 120, width: int = 160) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    return cv2.GaussianBlur(noise, (0, 0), 9) > 0


def _ring() -> np.ndarray:
    mask = np.zeros((100, 120), np.uint8)
    cv2.circle(mask, (60, 50), 40, 1, -1)
    cv2.circle(mask, (60, 50), 18, 0, -1)
    return mask.astype(bool)


@given(st_numpy.arrays(bool, st_numpy.array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_the_pixels_edges_give_the_mask_back(mask: np.ndarray) -> None:
    polygons = polygons_of(mask, tolerance=0)
    np.testing.assert_array_equal(mask_of(polygons, *mask.shape), mask)
    assert sum(polygon.area for polygon in polygons) == mask.sum()
    assert all(signed_area(polygon.outline) > 0 for polygon in polygons)
    assert all(signed_area(hole) < 0 for polygon in polygons for hole in polygon.holes)
    count, _ = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    assert len(polygons) == count - 1


@given(st_numpy.arrays(bool, (8, 9)), st.integers(3, 20))
def test_never_more_points_than_asked(mask: np.ndarray, most: int) -> None:
    polygons = polygons_of(mask, most)
    assert bool(polygons) == bool(mask.any())
    assert sum(polygon.points for polygon in polygons) <= most
    assert all(len(ring) >= 3 for polygon in polygons for ring in polygon.rings)


def test_coordinates_are_of_pixel_centres() -> None:
    mask = np.zeros((10, 12), bool)
    mask[3:7, 2:9] = True
    (polygon,) = polygons_of(mask)
    assert sorted(map(tuple, polygon.outline.tolist())) == [
        (1.5, 2.5), (1.5, 6.5), (8.5, 2.5), (8.5, 6.5)]
    assert polygon.area == 28 and polygon.points == 4 and polygon.holes == ()


def test_pieces_and_holes() -> None:
    mask = _ring()
    mask[2:6, 2:6] = True
    large, small = polygons_of(mask)
    assert len(large.holes) == 1 and not small.holes and small.area == 16
    assert _iou(_round_trip(mask), mask) > 0.97
    assert large.points + small.points <= 40
    (one,) = polygons_of(mask, 8)  # too few for three rings: the smallest goes
    assert len(one.rings) <= 2


def test_more_points_are_nearer_to_the_mask() -> None:
    means = [np.mean([_iou(_round_trip(_blob(seed), points=count), _blob(seed))
                      for seed in range(4)]) for count in (10, 20, 40, 80)]
    assert means == sorted(means) and means[-1] > 0.95, means


def test_edges_do_not_cross() -> None:
    for seed in range(6):
        for count in (12, 40):
            polygons = polygons_of(_blob(seed), count)
            assert crossings([ring for polygon in polygons for ring in polygon.rings]) == 0
    bow = np.array([[0, 0], [4, 4], [4, 0], [0, 4.0]])
    assert crossings([bow]) == 1 and crossings([]) == 0


def test_the_area_stays() -> None:
    disk = np.zeros((300, 300), np.uint8)
    cv2.circle(disk, (150, 150), 120, 1, -1)
    (polygon,) = polygons_of(disk.astype(bool), 12)
    # 12 points on the circle alone would hold 95.5 %; measured: 99.6 %
    assert polygon.points == 12 and abs(polygon.area / disk.sum() - 1) < 0.01


@pytest.mark.parametrize("tolerance", [0.5, 1.0, 3.0])
def test_a_tolerance_bounds_the_distance(tolerance: float) -> None:
    mask = _ring()
    for polygon in polygons_of(mask, tolerance=tolerance):
        for ring, exact in zip(polygon.rings, polygons_of(mask, tolerance=0)[0].rings):
            ends = np.roll(ring, -1, axis=0)
            for point in exact:
                along = np.clip(((point - ring) * (ends - ring)).sum(1)
                                / ((ends - ring) ** 2).sum(1), 0, 1)
                nearest = ring + along[:, None] * (ends - ring)
                assert np.hypot(*(nearest - point).T).min() <= tolerance + 1e-9


def test_large_masks_take_no_time() -> None:
    mask = cv2.resize(_blob(1).astype(np.float32), (2400, 1800)) > 0.5  # 4 MP, jagged
    assert sum(polygon.points for polygon in polygons_of(mask)) <= 40


def test_joined_is_one_ring_of_the_same_area() -> None:
    (polygon,) = polygons_of(_ring(), 24)
    ring = joined(polygon)
    assert len(ring) == polygon.points + 2 * len(polygon.holes)
    assert signed_area(ring) == pytest.approx(polygon.area)
    np.testing.assert_array_equal(mask_of([Polygon(ring)], 100, 120),
                                  mask_of([polygon], 100, 120))


def test_nothing_and_everything() -> None:
    assert polygons_of(np.zeros((4, 5), bool)) == ()
    assert not mask_of([], 4, 5).any()
    (polygon,) = polygons_of(np.ones((4, 5), bool))
    assert polygon.outline.min() == -0.5 and polygon.area == 20


def test_wrong_numbers_are_refused() -> None:
    with pytest.raises(UsageError, match="at least 3 points, got 2"):
        polygons_of(_ring(), 2)
    for tolerance in (-1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="tolerance"):
            polygons_of(_ring(), tolerance=tolerance)


def test_a_tolerance_beyond_all_bounds_is_taken() -> None:
    mask = np.zeros((40, 50), bool)
    mask[5:30, 8:40] = True
    for tolerance in (1e9, 1e308):
        assert len(polygons_of(mask, tolerance=tolerance)) == 1
    with pytest.raises(UsageError, match="a number of pixels"):
        polygons_of(mask, tolerance=float("nan"))
