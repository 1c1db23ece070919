"""Photographs as people have them."""
from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from oace_tf.demo.photos import PREVIEW_SIDE, Shelf, read_photo
from oace_tf.errors import UsageError


def test_plain_png(kinds: Any) -> None:
    image = kinds.halves()
    photo = read_photo(kinds.encoded(image, "PNG"), "a.png")
    np.testing.assert_array_equal(photo.image, image)
    assert photo.alpha is None and photo.note == "" and photo.preview.shape == image.shape


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("with_alpha", [False, True])
def test_exif(kinds: Any, orientation: int, with_alpha: bool) -> None:
    """Upright whatever the camera held, and the transparency turns along."""
    image = kinds.halves()
    record = kinds.exif(orientation)
    if with_alpha:
        alpha = np.full(image.shape[:2], 255, np.uint8)
        alpha[:20, 60:] = 0  # the upper right corner of the upright picture
        image = np.dstack([image, alpha])
    stored = np.ascontiguousarray(kinds.turned(image, orientation))
    options = {} if with_alpha else {"quality": 100, "subsampling": 0}
    data = kinds.encoded(stored, "PNG" if with_alpha else "JPEG", exif=record, **options)
    photo = read_photo(data, "a")
    expected = image[..., :3].copy()
    if with_alpha:
        assert photo.alpha is not None
        np.testing.assert_array_equal(photo.alpha, image[..., 3])
        expected[image[..., 3] == 0] = 255
    assert np.abs(photo.image.astype(int) - expected).mean() < 1  # JPEG: 0.2


def test_half_transparent_stands_on_white(kinds: Any) -> None:
    image = np.zeros((8, 8, 4), np.uint8)
    image[..., 0], image[..., 3] = 200, 51  # one fifth of (200, 0, 0), four fifths of white
    photo = read_photo(kinds.encoded(image, "PNG"), "a.png")
    assert photo.image[3, 3].tolist() == [244, 204, 204]
    assert "ransparent" in photo.note


def test_opaque_alpha_is_no_alpha(kinds: Any) -> None:
    image = np.dstack([kinds.halves(), np.full((60, 90), 255, np.uint8)])
    photo = read_photo(kinds.encoded(image, "PNG"), "a.png")
    assert photo.alpha is None and photo.note == ""


def test_sixteen_bits(kinds: Any) -> None:
    image = np.dstack([kinds.halves(), np.full((60, 90), 255, np.uint8)])
    image[10:20, 10:20, 3] = 0
    wide = cv2.cvtColor(image, cv2.COLOR_RGBA2BGRA).astype(np.uint16) * 257
    done, data = cv2.imencode(".png", wide)
    photo = read_photo(data.tobytes(), "a.png")
    assert done and photo.alpha is not None
    np.testing.assert_array_equal(photo.alpha, image[..., 3])
    assert photo.image[12, 12].tolist() == [255, 255, 255]
    assert photo.image[50, 5].tolist() == [240, 0, 0]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_animations_give_their_first_picture(kinds: Any, kind: str) -> None:
    photo = read_photo(kinds.animated(kind), "a")
    assert "animated" in photo.note
    np.testing.assert_array_equal(photo.image, kinds.halves())


def test_one_picture_is_no_animation(kinds: Any) -> None:
    for kind in ("GIF", "WEBP", "PNG"):
        assert "animated" not in read_photo(kinds.encoded(kinds.halves(), kind), "a").note


def test_grey(kinds: Any) -> None:
    photo = read_photo(kinds.encoded(kinds.halves()[..., 0], "PNG"), "a.png")
    assert photo.image.shape == (60, 90, 3) and len(set(photo.image[50, 5].tolist())) == 1


def test_a_large_photograph(kinds: Any) -> None:
    photo = read_photo(kinds.fifty_megapixels(), "large.jpg")
    assert photo.image.shape == (5774, 8660, 3)
    assert max(photo.preview.shape) == PREVIEW_SIDE == photo.preview.shape[1]
    assert photo.preview[900, 100, 0] > 200 > 60 > photo.preview[900, 1500, 0]


def test_extreme_shapes(kinds: Any) -> None:
    for height, width in ((1, 1), (1, 5000), (3000, 1)):
        image = np.full((height, width, 3), 7, np.uint8)
        photo = read_photo(kinds.encoded(image, "PNG"), "a.png")
        assert photo.image.shape == image.shape and min(photo.preview.shape[:2]) == 1


@pytest.mark.parametrize("data", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"GIF89a" + bytes(30)])
def test_broken_files(data: bytes) -> None:
    with pytest.raises(UsageError, match="holiday.jpg is not a readable image"):
        read_photo(data, "holiday.jpg")


def test_cut_files(kinds: Any) -> None:
    for kind in ("JPEG", "PNG", "WEBP", "GIF"):
        data = kinds.encoded(np.random.default_rng(1).integers(0, 256, (90, 90, 3), np.uint8), kind)
        with pytest.raises(UsageError, match="not a readable image"):
            read_photo(data[: len(data) // 2], "a")


def test_heic_says_what_to_do() -> None:
    with pytest.raises(UsageError, match="HEIC.*JPEG"):
        read_photo(b"\0\0\0\x18ftypheic" + bytes(40), "IMG_1.HEIC")


def test_too_many_pixels(kinds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oace_tf.images.MAX_PIXELS", 5000)
    with pytest.raises(UsageError, match="megapixels"):
        read_photo(kinds.encoded(kinds.halves(), "PNG"), "a.png")


def test_the_shelf_drops_the_longest_unused(kinds: Any) -> None:
    photo = read_photo(kinds.encoded(kinds.halves(), "PNG"), "a.png")  # 5400 pixels
    shelf = Shelf(max_pixels=12000)
    first, second = shelf.put(photo), shelf.put(photo)
    assert shelf.get(first) is photo  # so now the second is the older one
    third = shelf.put(photo)
    assert shelf.get(first) is photo and shelf.get(third) is photo
    with pytest.raises(KeyError):
        shelf.get(second)
    alone = Shelf(max_pixels=10)
    assert alone.get(alone.put(photo)) is photo  # the newest stays, however large
