"""Photographs and taps in every form that callers have them in, and what is refused."""
from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from oace_tf import images
from oace_tf.clicks import Click
from oace_tf.errors import UsageError
from oace_tf.gestures import Gesture
from oace_tf.images import write_image
from oace_tf.inputs import click_of, clicks_of, gesture_of, photograph_of, pixels_of

RGB = np.random.default_rng(2).integers(0, 256, (6, 8, 3), np.uint8)


@pytest.fixture()
def path(tmp_path: Path) -> Path:
    file = tmp_path / "photo.png"
    write_image(file, RGB)
    return file


def test_paths_bytes_and_files_are_one_photograph(path):
    for image in (path, str(path), path.read_bytes(), bytearray(path.read_bytes()),
                  memoryview(path.read_bytes()), io.BytesIO(path.read_bytes())):
        np.testing.assert_array_equal(pixels_of(image), RGB)
    with path.open("rb") as file:
        np.testing.assert_array_equal(pixels_of(file), RGB)


def test_arrays_of_every_kind():
    assert pixels_of(RGB) is RGB
    grey = RGB[..., 0]
    three = np.repeat(grey[..., None], 3, axis=2)
    for image in (grey, grey[..., None], grey / 255.0, (grey / 255.0).astype(np.float32)):
        np.testing.assert_array_equal(pixels_of(image), three)
    np.testing.assert_array_equal(pixels_of(RGB / 255.0), RGB)
    clear = np.dstack([RGB, np.zeros((6, 8), np.uint8)])
    solid = np.dstack([RGB, np.full((6, 8), 255, np.uint8)])
    assert (pixels_of(clear) == 255).all()
    np.testing.assert_array_equal(pixels_of(solid), RGB)


def test_pictures_of_pil():
    image = pytest.importorskip("PIL.Image")
    np.testing.assert_array_equal(pixels_of(image.fromarray(RGB)), RGB)
    clear = image.fromarray(np.dstack([RGB, np.zeros((6, 8), np.uint8)]))
    assert (pixels_of(clear) == 255).all()
    grey = image.fromarray(RGB).convert("L")
    np.testing.assert_array_equal(pixels_of(grey)[..., 2], np.asarray(grey))
    assert pixels_of(image.fromarray(RGB).convert("P")).shape == (6, 8, 3)


@pytest.mark.parametrize(("image", "words"), [
    ("https://host/photo.jpg", "is an address; fetch the photograph first"),
    ("data:image/png;base64,AAAA", "is an address"),
    (b"no picture", "the photograph's bytes"), (io.StringIO("text"), "open it with mode 'rb'"),
    (None, "a photograph is a path, bytes, an open file, a PIL image or an array, got NoneType"),
    (7, "got int"), ([[1, 2]], "got list"),
    (np.zeros((4, 4, 2), np.uint8), r"got \(4, 4, 2\) uint8"),
    (np.zeros((0, 4, 3), np.uint8), r"got \(0, 4, 3\)"),
    (np.zeros((4, 4, 3), np.int64), "must be uint8, or floats in"),
    (np.full((4, 4, 3), 200.0), r"floats must lie in \[0, 1\]"),
    (np.full((4, 4), np.nan), r"floats must lie in \[0, 1\]")])
def test_what_is_no_photograph_is_said_in_one_line(image, words):
    with pytest.raises(UsageError, match=words) as error:
        pixels_of(image)
    assert "\n" not in str(error.value)


def test_a_photograph_that_is_open_in_text_mode_is_said(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n")
    with open(tmp_path / "a.png", encoding="utf-8") as file:
        with pytest.raises(UsageError, match="open it with mode 'rb'"):
            pixels_of(file)


@pytest.mark.parametrize("tap", [
    Click(3, 4, False), (3, 4, 0), [3.0, 4.0, 0.0], np.array([3, 4, 0]), (3, 4, False)])
def test_a_label_is_honoured(tap):
    assert click_of(tap) == Click(3, 4, False)


def test_a_tap_without_a_label_is_on_the_object():
    assert clicks_of([(3, 4), np.array([3.0, 4.0]), (3, 4, 1)]) == [Click(3, 4)] * 3
    assert clicks_of(np.array([[3, 4, 1], [5, 6, 0]])) == [Click(3, 4), Click(5, 6, False)]
    assert clicks_of(Click(3, 4)) == [Click(3, 4)] and clicks_of([]) == []


@pytest.mark.parametrize(("taps", "words"), [
    ("290,120", r"taps are a list of \(x, y\)"), (["290,120"], "a tap is"), (7, "taps are a list"),
    ([(1,)], "a tap is"), ([(1, 2, 1, 1)], "a tap is"), ([("a", "b")], "a tap is"),
    ([(1, 2, 3)], "the label of the tap 1,2 is 3; 1 is the object, 0 the background"),
    ([(1, 2, -1)], "is -1"), ((290, 120), r"write \[\(290, 120\)\]"),
    (np.array([290, 120, 1]), "got the numbers of a single"),
    ([None], "a tap is")])
def test_what_is_no_tap_is_refused(taps, words):
    with pytest.raises(UsageError, match=words):
        clicks_of(taps)


def test_transparency_is_kept_beside_the_white(path):
    image = pytest.importorskip("PIL.Image")
    alpha = np.arange(48, dtype=np.uint8).reshape(6, 8)
    rgba = np.dstack([RGB, alpha])
    write_image(path, rgba)
    for given in (rgba, rgba / 255.0, path, path.read_bytes(), image.fromarray(rgba)):
        photograph = photograph_of(given)
        np.testing.assert_array_equal(photograph.alpha, alpha)
        np.testing.assert_array_equal(photograph.colours[alpha > 0], RGB[alpha > 0])
        np.testing.assert_array_equal(photograph.image, pixels_of(rgba))
    palette = image.fromarray(np.array([[0, 1]], np.uint8), mode="P")
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.info["transparency"] = 0
    np.testing.assert_array_equal(photograph_of(palette).alpha, [[0, 255]])


def test_too_many_pixels_are_refused_in_every_form(monkeypatch, path):
    image = pytest.importorskip("PIL.Image")
    monkeypatch.setattr(images, "MAX_PIXELS", 40)
    for given in (RGB, RGB / 255.0, path, path.read_bytes(), image.fromarray(RGB)):
        with pytest.raises(UsageError, match="megapixels; at most"):
            photograph_of(given)


SIZE = (300, 400)


def test_keywords_become_a_gesture():
    def made(gesture=None, **words):
        return gesture_of(gesture, words, SIZE, 20)

    assert made([(1, 2)]) == made(taps=[(1, 2)]) == made(taps=np.array([[1, 2]])) == [Click(1, 2)]
    assert made((), taps=None, box=None, extreme=[], scribble=()) == []
    assert made([(1, 2)], background=[(3, 4)]) == [Click(1, 2), Click(3, 4, False)]
    assert made(background=[(3, 4, 1)]) == [Click(3, 4, False)]
    whole = Gesture(box=(1, 2, 30, 40), taps=(Click(5, 6),))
    assert made(whole) is whole
    assert made(box=np.array([1, 2, 30, 40]), taps=[(5, 6)]) == whole
    assert made(drag=[(1, 2), (3, 9)]) == Gesture(drag=((1, 2), (3, 9)))
    four = [(1, 9), (30, 9), (15, 1), (15, 20)]
    assert made(extreme=four) == Gesture(extreme=tuple(four))
    taps = made(scribble=[(10, 10), (10, 50)], background=[(3, 4)])
    assert taps == [*(Click(10, y) for y in (10, 20, 30, 40, 50)), Click(3, 4, False)]


@pytest.mark.parametrize(("words", "said"), [
    ({"box": "1,2,3,4"}, "a box is"), ({"box": (1, 2, 3)}, "a box is"),
    ({"box": (1, 2, 1, 9)}, "has no area"), ({"box": [(1, 2), (3, 4)]}, "a box is"),
    ({"box": (1, 2, float("nan"), 9)}, "not finite"),
    ({"extreme": [(1, 2)] * 3}, "extreme is four points"), ({"extreme": "abcd"}, "extreme is four"),
    ({"drag": [(1, 2)]}, "drag is two points"), ({"drag": (1, 2, 3, 4)}, "drag is two points"),
    ({"scribble": "1,2"}, "a scribble is"), ({"taps": "1,2"}, "taps are a list"),
    ({"background": [(1, 2, 3)]}, "the label of the tap"),
    ({"scribble": [[(1, 2)]] * 30}, "30 strokes")])
def test_what_is_no_gesture_is_refused_in_one_line(words, said):
    with pytest.raises(UsageError, match=said) as error:
        gesture_of(None, words, SIZE, 20)
    assert "\n" not in str(error.value)


def test_a_gesture_is_given_once():
    whole = Gesture(box=(1, 2, 30, 40))
    with pytest.raises(UsageError, match="a Gesture and taps"):
        gesture_of(whole, {"taps": [(1, 2)]}, SIZE, 20)
    with pytest.raises(UsageError, match="two places"):
        gesture_of([(1, 2)], {"taps": [(1, 2)]}, SIZE, 20)
    with pytest.raises(TypeError, match="'boxes'; a gesture is made of taps, background, box"):
        gesture_of(None, {"boxes": (1, 2, 3, 4)}, SIZE, 20)


def test_pil_images_with_transparency_in_every_mode():
    pil = pytest.importorskip("PIL.Image")
    pixels = np.full((4, 6, 4), (200, 60, 20, 255), np.uint8)
    pixels[:2, :, 3] = 0
    whole = pil.fromarray(pixels)
    for image in (whole, whole.convert("RGBa"), whole.convert("LA"),
                  whole.convert("LA").convert("La"), whole.quantize(8)):
        photo = photograph_of(image)
        assert photo.alpha is not None, image.mode
        np.testing.assert_array_equal(photo.alpha, pixels[..., 3])
        assert (photo.image[:2] == 255).all()


def test_pil_images_whose_file_is_damaged_or_closed():
    pil = pytest.importorskip("PIL.Image")
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (99, 99, 3), np.uint8)
    pil.fromarray(noise).save(file, "JPEG")
    closed = io.BytesIO(file.getvalue())
    images = [pil.open(io.BytesIO(file.getvalue()[:2000])), pil.open(closed)]
    closed.close()
    for image in images:
        with pytest.raises(UsageError, match="the PIL image cannot be read: .*give the photograph"):
            photograph_of(image)


def test_pil_images_of_more_than_8_bits():
    pil = pytest.importorskip("PIL.Image")
    grey = np.arange(48, dtype=np.uint16).reshape(6, 8) * 1000
    for mode in ("I;16", "I;16B"):
        stored = grey.astype(">u2" if mode.endswith("B") else "<u2")
        image = pil.frombytes(mode, (8, 6), stored.tobytes())
        np.testing.assert_array_equal(pixels_of(image)[..., 0], grey // 256)
    shares = pil.fromarray(grey.astype(np.float32) / 65535)
    np.testing.assert_allclose(pixels_of(shares)[..., 0], grey / 257, atol=0.51)
    with pytest.raises(UsageError, match="does not say which number is white"):
        pixels_of(pil.fromarray(grey.astype(np.int32)))
    with pytest.raises(UsageError, match=r"must lie in \[0, 1\]"):
        pixels_of(pil.fromarray(grey.astype(np.float32)))


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"x")
    with open(tmp_path / "a.jpg", "rb") as closed:
        pass
    with pytest.raises(UsageError, match="closed file; open it with mode 'rb'"):
        pixels_of(closed)
    with open(tmp_path / "b.jpg", "wb") as writing:
        with pytest.raises(UsageError, match="open it with mode 'rb'"):
            pixels_of(writing)


@pytest.mark.parametrize("words", [
    {"taps": [(10**400, 1)]}, {"box": (0, 0, 10**400, 5)}, {"box": (-1e300, -1e300, 1e300, 1e300)},
    {"extreme": [(0, 0), (1e30, 0), (0, 1), (1, 1)]}, {"scribble": [(10**400, 1), (2, 2)]},
    {"drag": [(0, 0), (1e20, 0)]}])
def test_numbers_that_overflow(words):
    with pytest.raises(UsageError):
        gesture_of(None, words, (60, 80), 8)
