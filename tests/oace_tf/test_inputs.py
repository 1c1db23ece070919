"""Photographs and taps in every form that callers have them in, and what is refused."""
from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from oace_tf.clicks import Click
from oace_tf.errors import UsageError
from oace_tf.images import write_image
from oace_tf.inputs import click_of, clicks_of, pixels_of

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
    ([(1, 2, -1)], "is -1"), ((290, 120), "a tap is"), ([None], "a tap is")])
def test_what_is_no_tap_is_refused(taps, words):
    with pytest.raises(UsageError, match=words):
        clicks_of(taps)
