"""The frame: where clicks and pixels go, and back."""
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oace_tf.clicks import Click, pack_points
from oace_tf.errors import UsageError
from oace_tf.geometry import Frame, normalise

sides = st.integers(1, 5000)
shares = st.floats(0, 1)


@given(sides, sides, st.integers(1, 1024), shares, shares, st.booleans())
@settings(max_examples=100, deadline=None)
def test_clicks_stay_in_the_frame(height, width, size, share_x, share_y, positive):
    frame = Frame(height, width, size)
    click = Click(share_x * width - 0.5, share_y * height - 0.5, positive)
    inside = frame.click(click)
    assert -0.5 <= inside.x <= size - 0.5 + 1e-9 and -0.5 <= inside.y <= size - 0.5 + 1e-9
    assert inside.positive == positive
    assert ((inside.x + 0.5) / size, (inside.y + 0.5) / size) == pytest.approx(
        (share_x, share_y), abs=1e-6)


def test_hand_worked_clicks():
    frame = Frame(256, 1024)
    assert frame.click(Click(0, 0)) == Click(-0.25, 0.5)  # (0 + .5) / 2 - .5, (0 + .5) * 2 - .5
    assert frame.click(Click(-0.5, 255.5, False)) == Click(-0.5, 511.5, False)
    assert frame.click(Click(511.5, 127.5)) == Click(255.5, 255.5)  # middle to middle


@pytest.mark.parametrize("x, y", [(-0.6, 0), (0, -0.6), (100, 0), (0, 60), (99.6, 0), (1e9, 0)])
def test_click_outside_the_photograph(x, y):
    with pytest.raises(UsageError, match="outside the photograph of 100x60"):
        Frame(60, 100).click(Click(x, y))


@pytest.mark.parametrize("shape, method", [
    ((700, 900), cv2.INTER_AREA), ((513, 513), cv2.INTER_AREA), ((400, 900), cv2.INTER_LINEAR),
    ((900, 512), cv2.INTER_LINEAR), ((100, 50), cv2.INTER_LINEAR)])
def test_interpolation_is_area_only_when_both_sides_shrink(shape, method):
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    found = Frame(*shape).image(image)
    np.testing.assert_array_equal(found, cv2.resize(image, (512, 512), interpolation=method))
    other = cv2.INTER_LINEAR if method == cv2.INTER_AREA else cv2.INTER_AREA
    assert (found != cv2.resize(image, (512, 512), interpolation=other)).any()


def test_an_image_of_the_frames_size_stays():
    image = np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    np.testing.assert_array_equal(Frame(64, 64, 64).image(image), image)


@pytest.mark.parametrize("height, width", [(32, 96), (33, 97), (200, 31)])
def test_a_bright_pixel_goes_where_its_click_goes(height, width):
    frame = Frame(height, width, 64)
    image = np.zeros((height, width, 3), np.uint8)
    row, column = height // 3, width // 4
    image[row, column] = 255
    bright = frame.image(image)[..., 0].astype(float)
    click = frame.click(Click(column, row))
    rows, columns = np.indices(bright.shape)
    centre = (bright * columns).sum() / bright.sum(), (bright * rows).sum() / bright.sum()
    # sampling and rounding to bytes: within a pixel of the frame, 0.50 at worst here
    assert centre == pytest.approx((click.x, click.y), abs=0.75)


def test_mask_back():
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 16:48] = 128  # one half exactly
    frame = Frame(128, 192, 64)
    found = frame.mask_back(mask)
    assert found.dtype == np.float32 and found.shape == (128, 192)
    assert found.max() == 0.5 and found.min() == 0
    assert found[64, 96] == 0.5 and found[16, 96] == 0
    np.testing.assert_array_equal(found, frame.mask_back(mask[..., None]))
    np.testing.assert_array_equal(found, frame.mask_back(mask.astype(np.float32) / 256))
    expected = cv2.resize(mask.astype(np.float32) / 256, (192, 128), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(found, expected)


def test_wrong_shapes():
    frame = Frame(10, 20, 16)
    with pytest.raises(ValueError, match="frame of 10x20"):
        frame.image(np.zeros((20, 10, 3), np.uint8))
    with pytest.raises(ValueError, match="frame of 16x16"):
        frame.mask_back(np.zeros((10, 20), np.uint8))
    with pytest.raises(UsageError, match="one pixel"):
        Frame(0, 10)


def test_normalise_is_the_signed_byte():
    normalised = normalise(np.arange(256, dtype=np.uint8))
    assert normalised.dtype == np.float32
    np.testing.assert_array_equal(normalised * 128, np.arange(-128, 128))


def test_points_are_the_clicks_of_the_frame():
    frame, clicks = Frame(256, 1024), [Click(0, 0), Click(8, 100, False)]
    points = frame.points(clicks, 4)
    np.testing.assert_array_equal(points, pack_points([frame.click(c) for c in clicks], 4))
    with pytest.raises(UsageError, match="outside the photograph"):
        frame.points([Click(2000, 0)], 4)
