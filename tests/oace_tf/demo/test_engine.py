"""What the page shows is what the library says."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from oace_tf import pictures
from oace_tf.clicks import Click
from oace_tf.demo.engine import Engine, encode
from oace_tf.demo.photos import Photo, read_photo
from oace_tf.errors import UsageError
from oace_tf.segmenter import DEFAULT_MODEL, TapSegmenter

TAPS = [Click(22, 40), Click(30, 30, positive=False)]


@pytest.fixture
def photo(kinds: Any) -> Photo:
    return read_photo(kinds.encoded(kinds.halves(), "PNG"), "halves.png", 32)


def test_mask_and_cutout_are_the_library_s(tiny_int8: Path, photo: Photo, kinds: Any) -> None:
    engine = Engine(tiny_int8, None)
    expected = TapSegmenter(tiny_int8).segment(photo.image, TAPS)
    answer = engine.answer(photo, TAPS)
    assert expected.any() and not expected.all() and answer.milliseconds > 0
    np.testing.assert_array_equal(answer.mask, expected)
    np.testing.assert_array_equal(kinds.decoded(engine.cutout(photo, TAPS)),
                                  pictures.cutout(photo.image, expected))


def test_a_large_photograph_has_a_small_mask_and_a_large_cutout(tiny_int8: Path,
                                                                kinds: Any) -> None:
    large = cv2.resize(kinds.halves(), (2400, 1600), interpolation=cv2.INTER_NEAREST)
    photo = read_photo(kinds.encoded(large, "PNG"), "a.png", 32)
    engine, taps = Engine(tiny_int8, None), [Click(600, 1000)]
    mask = engine.answer(photo, taps).mask
    cutout = kinds.decoded(engine.cutout(photo, taps))
    assert mask.shape == (1067, 1600) and cutout.shape == (1600, 2400, 4)
    np.testing.assert_array_equal(cutout[..., 3] == 255,
                                  TapSegmenter(tiny_int8).segment(large, taps))
    alike = cv2.resize(cutout[..., 3], (1600, 1067), interpolation=cv2.INTER_NEAREST) == 255
    assert np.mean(alike != mask) < 0.002  # the outline's pixels


def test_transparency_of_the_photograph_stays(tiny_int8: Path, kinds: Any) -> None:
    image = np.dstack([kinds.halves(), np.full((60, 90), 255, np.uint8)])
    image[36:44, 16:22, 3] = 90
    photo = read_photo(kinds.encoded(image, "PNG"), "a.png", 32)
    cutout = kinds.decoded(Engine(tiny_int8, None).cutout(photo, TAPS[:1]))
    assert set(np.unique(cutout[..., 3])) == {0, 90, 255}
    assert (cutout[38:42, 18:20, 3] == 90).all()


def test_float_file(tiny_int8: Path, tiny_float32: Path, photo: Photo) -> None:
    details = Engine(tiny_int8, tiny_float32).details(photo, TAPS)
    assert details.float_ms is not None and details.float_ms > 0
    assert details.agreement == 1.0 and details.float_note == ""
    assert details.oace is None and "TANH" in details.oace_note


def test_without_a_float_file_the_page_says_where_it_comes_from(tiny_int8: Path,
                                                                photo: Photo) -> None:
    details = Engine(tiny_int8, None).details(photo, TAPS)
    assert details.float_ms is None and details.agreement is None
    assert "export/quantize.py" in details.float_note


def test_files_of_two_sizes_are_no_pair(tiny_float32: Path) -> None:
    with pytest.raises(UsageError, match="not of one pair"):
        Engine(DEFAULT_MODEL, tiny_float32)


def test_wrong_taps(tiny_int8: Path, tiny_one_channel: Path, photo: Photo) -> None:
    engine = Engine(tiny_int8, None)
    for taps, words in (([Click(500, 3)], "outside"), ([], "at least one"),
                        ([Click(3, 3)] * 5, "at most 4")):
        with pytest.raises(UsageError, match=words):
            engine.answer(photo, taps)
    with pytest.raises(UsageError, match="one click channel"):
        Engine(tiny_one_channel, None).answer(photo, TAPS)


def test_encode(kinds: Any) -> None:
    image = np.random.default_rng(2).integers(0, 256, (5, 7, 3), np.uint8)
    np.testing.assert_array_equal(kinds.decoded(encode(".png", image)), image)
