"""What a file sees of a photograph, and where the mask before goes."""
from __future__ import annotations

import numpy as np
import pytest

from oace_tf import looks
from oace_tf.clicks import Click
from oace_tf.errors import UsageError
from oace_tf.geometry import Window
from oace_tf.gestures import Gesture


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_mask_before_moves_to_another_window(dtype: type) -> None:
    before, now = Window(10, 10, 42, 42), Window(10, 10, 74, 42)
    mask: np.ndarray = np.zeros((32, 32), dtype)
    mask[:, 16:] = 1 if dtype == np.float32 else 255
    moved = looks._moved(mask, before, now, (100, 120))
    assert moved.dtype == dtype and moved.shape == (32, 32)
    full = float(mask.max())
    np.testing.assert_allclose(moved[4, :8], 0, atol=full / 100)
    np.testing.assert_allclose(moved[4, 9:15], full, rtol=0.01)
    np.testing.assert_allclose(moved[4, 17:], 0)
    assert looks._moved(mask, now, now, (100, 120)) is mask


def test_a_mask_in_the_frame_follows_the_box() -> None:
    """An object tap beside the box makes the window larger: the mask moves along."""
    before = Gesture(box=(20, 20, 60, 60))
    now = Gesture(box=(20, 20, 60, 60), taps=(Click(90, 40),))
    first, second = (looks.window_of(gesture, 100, 120) for gesture in (before, now))
    assert first is not None and second is not None and first != second
    mask = np.full((32, 32), 255, np.uint8)
    size = (100, 120), 32, np.uint8
    assert looks.previous_in_frame(mask, before, first, *size) is mask
    moved = looks.previous_in_frame(mask, now, second, *size)
    assert moved.any() and not moved[:, -1].any()  # what the first window did not show is 0
    np.testing.assert_array_equal(moved, looks._moved(mask, first, second, (100, 120)))


def test_a_mask_of_the_photographs_size_is_cropped() -> None:
    gesture = Gesture(box=(20, 20, 60, 60))
    window = looks.window_of(gesture, 100, 120)
    assert window is not None
    mask = np.zeros((100, 120), bool)
    mask[:, :40] = True
    for dtype, full in ((np.uint8, 255), (np.float32, 1)):
        frame = looks.previous_in_frame(mask, gesture, window, (100, 120), 32, dtype)
        assert frame.shape == (32, 32) and frame.dtype == dtype
        np.testing.assert_allclose(frame[:, :14], full, rtol=1e-6)  # INTER_AREA: 0.9999999
        assert not frame[:, 18:].any()
    with pytest.raises(UsageError, match="previous mask"):
        looks.previous_in_frame(mask[1:], gesture, window, (100, 120), 32, np.uint8)


def test_a_small_object_of_taps_alone_gets_a_second_look() -> None:
    mask = np.zeros((200, 300), bool)
    mask[100:120, 50:80] = True  # 1 % of the photograph
    tap = Gesture(taps=(Click(60, 110), Click(250, 20, positive=False)))
    # 30 px wide, at least 24 (8 % of 300) high, and a quarter of 30 on each side
    assert looks.around_small(mask, tap) == Window(42, 90, 88, 130)
    beside = Gesture(taps=(Click(60, 110), Click(100, 110)))
    window = looks.around_small(mask, beside)
    assert window is not None and window.right > 100  # every object tap is in it
    assert looks.around_small(mask, Gesture(drag=((60, 110), (65, 110)))) is not None
    assert looks.around_small(mask, Gesture(box=(50, 100, 80, 120))) is None
    assert looks.around_small(np.zeros_like(mask), tap) is None
    mask[:40] = True
    assert looks.around_small(mask, tap) is None  # large


def test_a_part_is_never_a_few_pixels() -> None:
    mask = np.zeros((200, 300), bool)
    mask[110, 60] = True
    window = looks.around_small(mask, Gesture(taps=(Click(60, 110),)))
    assert window is not None
    assert window.right - window.left >= 24 and window.bottom - window.top >= 24
    mask[:] = False
    mask[0, 0] = True
    assert looks.around_small(mask, Gesture(taps=(Click(0, 0),))) is not None
