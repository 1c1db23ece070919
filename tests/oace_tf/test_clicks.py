"""Taps from text, their rows in `points`, and the disks against a plain slow rule."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oace_tf.clicks import NEGATIVE, POSITIVE, Click, disk_maps, draw_disks, pack_points, parse_tap
from oace_tf.errors import UsageError


def _slow_disks(points, size_hw, label):
    """The rule as it is written: (i - x)^2 + (j - y)^2 <= 25, float64, pixel by pixel."""
    found = np.zeros(size_hw)
    for row in range(size_hw[0]):
        for column in range(size_hw[1]):
            for x, y, point_label in np.asarray(points, np.float64):
                if point_label == label and (column - x) ** 2 + (row - y) ** 2 <= 25:
                    found[row, column] = 127 / 128
    return found


@pytest.mark.parametrize("text, x, y", [
    ("240,310", 240, 310), (" 1.5 , .25", 1.5, 0.25), ("-0.5,+3.", -0.5, 3), ("0,0", 0, 0)])
def test_tap_text(text, x, y):
    assert parse_tap(text) == Click(x, y, True)
    assert parse_tap(text, positive=False) == Click(x, y, False)


@pytest.mark.parametrize("text", [
    "", "1", "1,2,3", "a,b", "nan,1", "inf,1", "1_0,2", "1e3,2", "１,２", "1;2", "1,2\n3", "--1,2",
    "1" * 400 + ",2"])
def test_bad_tap_text(text):
    with pytest.raises(UsageError):
        parse_tap(text)


@given(st.text(max_size=20))
@settings(max_examples=50, deadline=None)
def test_any_text_is_a_click_or_a_usage_error(text):
    try:
        assert isinstance(parse_tap(text), Click)
    except UsageError:
        pass


def test_a_click_is_finite():
    for x, y in ((float("nan"), 0), (0, float("inf"))):
        with pytest.raises(UsageError, match="finite"):
            Click(x, y)


def test_packed_points():
    points = pack_points([Click(1.25, 2), Click(3, 4, False)], 4)
    assert points.dtype == np.float32
    assert points.tolist() == [[1.25, 2, 1], [3, 4, 0], [0, 0, -1], [0, 0, -1]]


def test_points_that_cannot_be_packed():
    with pytest.raises(UsageError, match="at most 2"):
        pack_points([Click(0, 0)] * 3, 2)
    for clicks in ([], [Click(0, 0, False)]):
        with pytest.raises(UsageError, match="on the object"):
            pack_points(clicks, 2)


SIZE_HW = (34, 41)
RIGHT, BOTTOM = SIZE_HW[1] - 1, SIZE_HW[0] - 1
POINT_SETS = {
    "inside": [(20, 15, 1)],
    "corners": [(0, 0, 1), (RIGHT, 0, 1), (0, BOTTOM, 1), (RIGHT, BOTTOM, 1)],
    "outermost": [(-0.5, -0.5, 1), (RIGHT + 0.5, BOTTOM + 0.5, 1)],
    "borders": [(0, 15, 1), (RIGHT, 15, 1), (20, 0, 1), (20, BOTTOM, 1)],
    "quarters": [(10.25, 15.75, 1), (30.5, 15.25, 1)],
    "distance 5 from twelve centres": [(20, 15, 1)],  # 5-0 and 3-4, both are exact in float32
    "distance 5.006": [(10.25, 15, 1), (10, 15.25, 1)],  # quarters cannot come nearer to 5
    "overlapping": [(20, 15, 1), (23, 17, 1), (20, 15, 1)],
    "other label": [(20, 15, 0), (5, 5, 1)],
    "unused": [(20, 15, -1), (0, 0, -1)],
    "unused over used": [(20, 15, 1), (20, 15, -1)],
    "none": np.zeros((0, 3)),
}


@pytest.mark.parametrize("label", [1, 0])
@pytest.mark.parametrize("name", POINT_SETS)
def test_disks_equal_the_plain_rule(name, label):
    points = np.array(POINT_SETS[name], np.float32)
    disks = draw_disks(points, SIZE_HW, label)
    assert disks.dtype == np.float32
    np.testing.assert_array_equal(disks, _slow_disks(points, SIZE_HW, label))


def test_random_fractional_disks_at_full_size():
    points = np.random.default_rng(5).uniform(-0.5, 511.5, (20, 3)).astype(np.float32)
    points[:, 2] = np.arange(20) % 3 - 1
    columns, rows = np.meshgrid(np.arange(512.0), np.arange(512.0))
    for label in (1, 0):
        expected = np.zeros((512, 512), bool)
        for x, y, point_label in points.astype(np.float64):
            expected |= (point_label == label) & ((columns - x) ** 2 + (rows - y) ** 2 <= 25)
        np.testing.assert_array_equal(draw_disks(points, (512, 512), label), expected * (127 / 128))


def test_float32_decides_at_the_edge():
    """11.4, 14.8 in float32 is 0.8e-6 squared px more than 5 px from (10, 10): still on."""
    points = np.array([[11.4, 14.8, 1]], np.float32)
    x, y = points[0, :2].astype(np.float64)
    assert 25 < (10 - x) ** 2 + (10 - y) ** 2 < 25 + 2e-6
    assert draw_disks(points, SIZE_HW, 1)[10, 10] == np.float32(127 / 128)


def test_whole_disk_has_81_pixels():
    """Lattice points in a circle of radius 5 (OEIS A000328)."""
    assert np.count_nonzero(draw_disks(np.array([[20, 15, 1]]), SIZE_HW, 1)) == 81


quarters = st.integers(-2, 4 * 20).map(lambda n: n / 4)  # exact in float32, squares too
points_strategy = st.lists(st.tuples(quarters, quarters, st.sampled_from([1, 0, -1])), max_size=3)


@given(points_strategy, st.sampled_from([1, 0]))
@settings(max_examples=25, deadline=None)
def test_disks_of_quarter_taps(points, label):
    array = np.array(points, np.float32).reshape(-1, 3)
    np.testing.assert_array_equal(draw_disks(array, (20, 20), label),
                                  _slow_disks(array, (20, 20), label))


@pytest.mark.parametrize("channels", (1, 2))
def test_disk_maps_are_the_disks_of_each_label(channels: int) -> None:
    points = pack_points([Click(3, 4), Click(9, 2, False), Click(12, 12)], 5)
    maps = disk_maps(points, (16, 20), channels)
    assert maps.shape == (16, 20, channels) and maps.dtype == np.float32
    for channel, label in enumerate((POSITIVE, NEGATIVE)[:channels]):
        np.testing.assert_array_equal(maps[..., channel], draw_disks(points, (16, 20), label))
