"""Cutout, mask picture and overlay."""
from __future__ import annotations

import numpy as np

from oace_tf import pictures
from oace_tf.clicks import Click


def _scene() -> tuple[np.ndarray, np.ndarray]:
    image = np.random.default_rng(1).integers(0, 256, (60, 80, 3), np.uint8)
    mask = np.zeros((60, 80), bool)
    mask[20:50, 30:70] = True
    return image, mask


def test_cutout_keeps_the_object_and_nothing_else() -> None:
    image, mask = _scene()
    cut = pictures.cutout(image, mask)
    assert cut.shape == (60, 80, 4) and cut.dtype == np.uint8
    np.testing.assert_array_equal(cut[mask][:, :3], image[mask])
    np.testing.assert_array_equal(cut[..., 3], np.where(mask, 255, 0))
    assert not cut[~mask].any()


def test_mask_picture() -> None:
    _, mask = _scene()
    picture = pictures.mask_picture(mask)
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, np.where(mask, 255, 0))


def test_overlay_dims_the_rest_and_marks_the_taps() -> None:
    image, mask = _scene()
    before = image.copy()
    shown = pictures.overlay(image, mask, [Click(50, 35), Click(10.4, 9.6, positive=False)])
    assert shown.shape == image.shape and shown.dtype == np.uint8
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(shown[25, 35], image[25, 35])
    np.testing.assert_array_equal(shown[55, 5], (image[55, 5] * 0.35).astype(np.uint8))
    np.testing.assert_array_equal(shown[20, 40], pictures.OUTLINE)
    np.testing.assert_array_equal(shown[35, 50], pictures.TAP_COLOURS[True])
    np.testing.assert_array_equal(shown[10, 10], pictures.TAP_COLOURS[False])


def test_overlay_of_an_empty_mask_and_a_tap_on_the_border() -> None:
    image, mask = _scene()
    shown = pictures.overlay(image, np.zeros_like(mask), [Click(-0.5, 59.5)])
    np.testing.assert_array_equal(shown[0, 79], (image[0, 79] * 0.35).astype(np.uint8))
