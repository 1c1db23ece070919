"""What the page shows is what the library says."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import cv2
import numpy as np
import pytest

from oace_tf import pictures
from oace_tf.clicks import Click
from oace_tf.demo.cutouts import CutoutOptions
from oace_tf.demo.engine import Engine, encode
from oace_tf.demo.marks import Mark
from oace_tf.demo.photos import Photo, read_photo
from oace_tf.errors import MissedTapWarning, UsageError
from oace_tf.gestures import Gesture
from oace_tf.segmenter import DEFAULT_MODEL, TapSegmenter

TAPS = [Click(22, 40), Click(30, 30, positive=False)]
MARKS = [Mark("tap", ((tap.x, tap.y),), tap.positive) for tap in TAPS]
BOX = Mark("box", ((600.0, 300.0), (1500.0, 1300.0)))


@pytest.fixture
def photo(kinds: Any) -> Photo:
    return read_photo(kinds.encoded(kinds.halves(), "PNG"), "halves.png")


def test_mask_and_cutout_are_the_library_s(tiny_int8: Path, photo: Photo, kinds: Any) -> None:
    engine = Engine(tiny_int8, None)
    expected = TapSegmenter(tiny_int8).segment(photo.image, TAPS)
    answer = engine.answer(photo, MARKS)
    assert expected.any() and not expected.all() and answer.milliseconds > 0
    np.testing.assert_array_equal(answer.mask, expected)
    np.testing.assert_array_equal(kinds.decoded(engine.cutout(photo, MARKS)),
                                  pictures.cutout(photo.image, expected))


def test_a_large_photograph_has_a_small_mask_and_a_large_cutout(tiny_int8: Path,
                                                                kinds: Any) -> None:
    large = cv2.resize(kinds.halves(), (2400, 1600), interpolation=cv2.INTER_NEAREST)
    photo = read_photo(kinds.encoded(large, "PNG"), "a.png")
    engine, taps = Engine(tiny_int8, None), [Click(600, 1000)]
    marks = [Mark("tap", ((600.0, 1000.0),))]
    mask = engine.answer(photo, marks).mask
    cutout = kinds.decoded(engine.cutout(photo, marks))
    assert mask.shape == (1067, 1600) and cutout.shape == (1600, 2400, 4)
    np.testing.assert_array_equal(cutout[..., 3] == 255,
                                  TapSegmenter(tiny_int8).segment(large, taps))
    alike = cv2.resize(cutout[..., 3], (1600, 1067), interpolation=cv2.INTER_NEAREST) == 255
    assert np.mean(alike != mask) < 0.002  # the outline's pixels


def test_transparency_of_the_photograph_stays(tiny_int8: Path, kinds: Any) -> None:
    image = np.dstack([kinds.halves(), np.full((60, 90), 255, np.uint8)])
    image[36:44, 16:22, 3] = 90
    photo = read_photo(kinds.encoded(image, "PNG"), "a.png")
    cutout = kinds.decoded(Engine(tiny_int8, None).cutout(photo, MARKS[:1]))
    assert set(np.unique(cutout[..., 3])) == {0, 90, 255}
    assert (cutout[38:42, 18:20, 3] == 90).all()


def test_float_file(tiny_int8: Path, tiny_float32: Path, photo: Photo) -> None:
    details = Engine(tiny_int8, tiny_float32).details(photo, MARKS)
    assert details.float_ms is not None and details.float_ms > 0
    assert details.agreement == 1.0 and details.float_note == ""
    assert details.oace is None and "TANH" in details.oace_note


def test_without_a_float_file_the_page_says_where_it_comes_from(tiny_int8: Path,
                                                                photo: Photo) -> None:
    details = Engine(tiny_int8, None).details(photo, MARKS)
    assert details.float_ms is None and details.agreement is None
    assert "export/quantize.py" in details.float_note


def test_files_of_two_sizes_are_no_pair(tiny_float32: Path) -> None:
    with pytest.raises(UsageError, match="not of one pair"):
        Engine(DEFAULT_MODEL, tiny_float32)


def test_a_box_is_answered_in_its_window_at_every_size(tiny_multi: Path, kinds: Any) -> None:
    """The file draws disks at corners alone; what counts here is where its mask is put."""
    large = cv2.resize(kinds.halves(), (2400, 1600), interpolation=cv2.INTER_NEAREST)
    photo = read_photo(kinds.encoded(large, "PNG"), "a.png")
    engine = Engine(tiny_multi, None)
    marks = [BOX, Mark("tap", ((900.0, 900.0),))]
    answer = engine.answer(photo, marks)
    gesture = Gesture(box=(600, 300, 1500, 1300), taps=(Click(900, 900),))
    expected = TapSegmenter(tiny_multi).segment(large, gesture)
    cutout = kinds.decoded(engine.cutout(photo, marks))
    np.testing.assert_array_equal(cutout[..., 3] == 255, expected)
    alike = cv2.resize(expected.astype(np.uint8), (1600, 1067), interpolation=cv2.INTER_NEAREST)
    assert answer.mask.any() and np.mean((alike == 1) != answer.mask) < 0.005
    small = engine.glance(photo, marks).mask
    assert small.shape == (341, 512) and abs(small.mean() - expected.mean()) < 0.01


def test_a_small_object_is_what_the_library_says(tiny_multi: Path, kinds: Any) -> None:
    """A file of gestures is asked again about the part around it; both looks count."""
    image = np.zeros((240, 360, 3), np.uint8)
    image[95:120, 90:115] = (255, 0, 0)
    image[20:220, 200:] = (255, 0, 0)
    photo = read_photo(kinds.encoded(image, "PNG"), "a.png")
    for x, y in ((102.0, 104.0), (300.0, 30.0)):
        expected = TapSegmenter(tiny_multi).segment(image, [Click(x, y)])
        answer = Engine(tiny_multi, None).answer(photo, [Mark("tap", ((x, y),))])
        np.testing.assert_array_equal(answer.mask, expected)
    assert any(photo.memory.second.values())


def test_several_answers_to_choose_from(tiny_multi: Path, photo: Photo) -> None:
    engine, mark = Engine(tiny_multi, None), MARKS[0]
    answer = engine.answer(photo, [mark])
    assert len(answer.alternatives) == len(answer.scores) == 3
    chosen = engine.answer(photo, [replace(mark, choice=2)])
    assert chosen.taken == 2
    np.testing.assert_array_equal(chosen.mask, answer.alternatives[2])


def test_an_encoder_and_its_decoder(photo: Photo) -> None:
    folder = Path(__file__).resolve().parents[3] / "web_app" / "test"
    engine = Engine(folder / "encoder.tflite", None, decoder=folder / "decoder.tflite")
    assert engine.is_split and not Engine(DEFAULT_MODEL, None).is_split
    one, two = engine.answer(photo, MARKS[:1]), engine.answer(photo, MARKS)
    assert one.mask[40, 10] and not one.mask[40, 80] and two.mask.any()
    assert len(photo.memory.looks) == 1 and engine.glance(photo, MARKS).mask.shape == (60, 90)
    assert engine.details(photo, MARKS).oace is None


def test_refined_soft_and_cropped(tiny_int8: Path, photo: Photo, kinds: Any) -> None:
    engine = Engine(tiny_int8, None)
    refined = TapSegmenter(tiny_int8, refine=True).segment(photo.image, TAPS[:1])
    np.testing.assert_array_equal(engine.answer(photo, MARKS[:1], refine=True).mask, refined)
    cutout = kinds.decoded(engine.cutout(photo, MARKS[:1], CutoutOptions(
        feather=4, crop=True, refine=True)))
    assert cutout.shape[0] < 60 and len(np.unique(cutout[..., 3])) > 4


STROKES: dict[str, list[list[tuple[float, float]]]] = {
    "red": [[(10, 20), (30, 50)]], "blue": [[(60, 15), (80, 50)], [(70, 30)]],
    "background": [[(8, 5)]]}


@pytest.mark.parametrize("refine", [False, True])
def test_several_objects_are_the_library_s(photo: Photo, refine: bool) -> None:
    engine = Engine(DEFAULT_MODEL, None)
    expected, legend = TapSegmenter(refine=refine).regions(photo.image, STROKES)
    found = engine.regions(photo, STROKES, refine)
    assert len(np.unique(expected)) > 1 and found.milliseconds > 0
    np.testing.assert_array_equal(found.labels, expected)
    assert found.legend == legend == {0: "background", 1: "red", 2: "blue"}


def test_several_objects_of_files_of_taps_and_of_ritm(tiny_int8: Path, photo: Photo) -> None:
    """One of taps alone is asked once, one that takes its last answer tap by tap."""
    strokes = {"red": [[(10.0, 40.0), (30.0, 50.0)]], "other": [[(60.0, 30.0)]]}
    with pytest.warns(MissedTapWarning, match="nothing was found for other"):
        expected, _ = TapSegmenter(tiny_int8).regions(photo.image, strokes)
    np.testing.assert_array_equal(Engine(tiny_int8, None).regions(photo, strokes).labels, expected)
    assert set(np.unique(expected)) == {0, 1}
    engine = Engine(tiny_int8, None)
    asked: list[tuple[int, bool]] = []

    def run(image: np.ndarray, points: np.ndarray, previous: np.ndarray | None) -> np.ndarray:
        asked.append((int((points[:, 2] >= 0).sum()), previous is not None))
        return np.full((32, 32), 200, np.uint8)

    model = SimpleNamespace(
        run=run, size=32, max_points=8, gestures=frozenset(), takes_previous=True, path="record",
        has_alternatives=False, click_channels=2, quantized=True)
    with mock.patch("oace_tf.segmenter.open_model", return_value=model):
        with pytest.warns(MissedTapWarning):  # both labels are equally probable everywhere
            TapSegmenter("record").regions(photo.image, strokes)
    expected_calls, asked[:] = asked[:], []
    engine.model = model  # type: ignore[assignment]
    engine.regions(photo, strokes)
    assert asked == expected_calls and (1, False) in asked and (2, True) in asked


def test_several_objects_at_both_sizes(tiny_int8: Path, kinds: Any) -> None:
    large = cv2.resize(kinds.halves(), (2400, 1600), interpolation=cv2.INTER_NEAREST)
    photo = read_photo(kinds.encoded(large, "PNG"), "a.png")
    engine, strokes = Engine(tiny_int8, None), {"red": [[(500.0, 1000.0)]]}
    small, whole = (engine.regions(photo, strokes, whole=one).labels for one in (False, True))
    assert small.shape == (1067, 1600) and whole.shape == (1600, 2400)
    np.testing.assert_array_equal(whole, TapSegmenter(tiny_int8).regions(large, strokes)[0])
    alike = cv2.resize(whole, (1600, 1067), interpolation=cv2.INTER_NEAREST)
    assert whole.any() and np.mean(alike != small) < 0.002
    for wrong, said in (({}, "no label"), ({"a": [[(9999.0, 3.0)]]}, "outside the photograph"),
                        ({"a": [[(3.0, 3.0)]] * 9}, "room for 4 taps")):
        with pytest.raises(UsageError, match=said):
            engine.regions(photo, wrong)


def test_encode(kinds: Any) -> None:
    image = np.random.default_rng(2).integers(0, 256, (5, 7, 3), np.uint8)
    np.testing.assert_array_equal(kinds.decoded(encode(".png", image)), image)
