"""Bands, thinness and classes against cases worked by hand and a plain slow rule."""
import numpy as np
import pytest

from oace_tf.evaluation.shapes import (
    boundary_band,
    boundary_iou,
    size_class,
    thinness,
    thinness_class,
)


def _slow_band(region, steps):
    height, width = region.shape
    band = np.zeros(region.shape, bool)
    for row, column in zip(*np.nonzero(region)):
        for y in range(row - steps, row + steps + 1):
            for x in range(column - steps, column + steps + 1):
                inside = 0 <= y < height and 0 <= x < width and region[y, x]
                band[row, column] |= not inside
    return band


@pytest.mark.parametrize("shape, steps", [((20, 30), 1), ((60, 80), 2), ((33, 61), 1)])
def test_band_against_the_slow_rule(shape, steps):
    rng = np.random.default_rng(3)
    region = np.kron(rng.random((shape[0] // 6 + 1, shape[1] // 6 + 1)) < 0.7,
                     np.ones((6, 6), bool))[: shape[0], : shape[1]]
    np.testing.assert_array_equal(boundary_band(region), _slow_band(region, steps))


def test_boundary_iou_by_hand():
    mask = np.zeros((20, 30), np.int8)
    mask[5:15, 5:15] = 1  # its band of one pixel: 36
    assert boundary_iou(mask == 1, mask) == 1
    assert boundary_iou(np.zeros(mask.shape, bool), mask) == 0
    one_more = mask == 1
    one_more[5:15, 15] = True  # columns 5 and 15, rows 5 and 14: 38; shared: all but column 14's 8
    assert boundary_iou(one_more, mask) == 28 / (36 + 38 - 28)
    mask[:, 14:] = -1
    np.testing.assert_equal(boundary_iou(one_more, mask), 26 / 34)  # without columns 14 and on
    nothing = np.zeros((4, 4), np.int8)
    assert boundary_iou(nothing == 1, nothing) == 1


def test_thinness_by_hand():
    mask = np.zeros((9, 30), np.int8)
    mask[4, 2:22] = 1  # 20 px, 42 sides, one wide
    assert thinness(mask) == pytest.approx(20 / (42 * np.pi / 4))
    rows, columns = np.mgrid[:101, :101]
    disk = ((rows - 50) ** 2 + (columns - 50) ** 2 <= 45**2).astype(np.int8)
    assert thinness(disk) == pytest.approx(0.25, abs=0.01)
    spider = disk * 0
    spider[45:56, 45:56] = 1
    spider[50, :] = spider[:, 50] = 1
    assert thinness(spider) < thinness(disk) / 2


def test_classes():
    assert [size_class(n) for n in (1023, 1024, 9215, 9216)] == [
        "small", "medium", "medium", "large"]
    assert [thinness_class(v) for v in (0.1, 0.25, 0.3)] == ["thin_parts", "middle", "solid"]
