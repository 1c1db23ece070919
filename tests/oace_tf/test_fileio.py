"""Atomic writing, strict JSON, images with their orientation."""
import os
import stat
import struct

import cv2
import numpy as np
import pytest

from oace_tf import fileio
from oace_tf.errors import UsageError


@pytest.fixture
def photo():
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def test_atomic_write_makes_folders_and_sets_the_mode(tmp_path):
    path = tmp_path / "a" / "b.bin"
    fileio.atomic_write(path, b"one")
    fileio.atomic_write(path, lambda file: file.writelines([b"t", b"wo"]))
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert os.listdir(path.parent) == ["b.bin"]


@pytest.mark.parametrize("error, seen", [(RuntimeError, RuntimeError), (OSError, UsageError)])
def test_a_failed_write_leaves_the_old_file(tmp_path, error, seen):
    path = tmp_path / "a.bin"
    path.write_bytes(b"good")

    def fail(file):
        file.write(b"half")
        raise error("disk full")

    with pytest.raises(seen, match="disk full"):
        fileio.atomic_write(path, fail)
    assert path.read_bytes() == b"good"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_unwritable_places(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"")
    with pytest.raises(UsageError, match="cannot write .*file/inside"):
        fileio.atomic_write(file / "inside", b"")
    with pytest.raises(UsageError, match="not a regular file"):
        fileio.atomic_write(tmp_path, b"")
    with pytest.raises(UsageError, match="not a regular file"):
        fileio.atomic_write("/dev/null", b"")


def test_sha256(tmp_path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2
    assert fileio.sha256_bytes(b"abc") == fileio.sha256_file(path) == expected
    with pytest.raises(UsageError, match="cannot read .*missing"):
        fileio.sha256_file(tmp_path / "missing")


def test_json_there_and_back(tmp_path):
    value = {"b": [1, 2.5, None], "a": {"ü": True}}
    fileio.write_json(tmp_path / "x.json", value)
    found = fileio.read_json(tmp_path / "x.json")
    assert found == value and list(found) == ["b", "a"]
    with pytest.raises(ValueError):
        fileio.write_json(tmp_path / "x.json", float("nan"))
    assert fileio.read_json(tmp_path / "x.json") == value


@pytest.mark.parametrize("text, words", [
    (b'{"a": 1, "a": 2}', "'a' stands twice"),
    (b"[NaN]", "NaN"),
    (b"[-Infinity]", "Infinity"),
    (b"[1e999]", "too large"),
    (b"[1, 2", "not valid JSON"),
    (b"", "not valid JSON"),
    (b"\xff\xfe", "not valid JSON"),
    (b"[" * 100_000, "not valid JSON"),
    (b"1" * 5000, "not valid JSON"),
    (b" " * 20_000 + b"1", "larger than 10000 bytes"),
])
def test_bad_json_is_a_usage_error(tmp_path, text, words):
    path = tmp_path / "x.json"
    path.write_bytes(text)
    max_bytes = 10_000 if len(text) == 20_001 else fileio.JSON_MAX_BYTES
    with pytest.raises(UsageError, match=words) as caught:
        fileio.read_json(path, max_bytes)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".bmp"])
def test_image_there_and_back(tmp_path, photo, suffix):
    path = tmp_path / f"x{suffix}"
    fileio.write_image(path, photo)
    np.testing.assert_array_equal(fileio.read_image(path), photo)


def test_channels_of_cutout_and_mask(tmp_path, photo):
    cutout = np.dstack([photo, photo[..., 0]])
    fileio.write_image(tmp_path / "cutout.png", cutout)
    stored = cv2.imread(str(tmp_path / "cutout.png"), cv2.IMREAD_UNCHANGED)
    assert stored is not None
    np.testing.assert_array_equal(stored, cutout[..., [2, 1, 0, 3]])  # OpenCV keeps BGRA
    fileio.write_image(tmp_path / "mask.png", photo[..., 0])
    np.testing.assert_array_equal(fileio.read_gray(tmp_path / "mask.png"), photo[..., 0])


@pytest.mark.parametrize("name, channels", [("x.jpg", 4), ("x.bmp", 4), ("x.xyz", 3), ("x", 3)])
def test_formats_that_cannot_be_written(tmp_path, name, channels):
    with pytest.raises(UsageError, match="name it"):
        fileio.write_image(tmp_path / name, np.zeros((4, 4, channels), np.uint8))
    assert not os.listdir(tmp_path)


def _with_orientation(jpeg: bytes, orientation: int) -> bytes:
    entry = struct.pack("<HHIHH", 0x112, 3, 1, orientation, 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


@pytest.mark.parametrize("orientation, upright", [
    (1, lambda a: a), (2, np.fliplr), (3, lambda a: np.rot90(a, 2)), (4, np.flipud),
    (5, lambda a: a.transpose(1, 0, 2)), (6, lambda a: np.rot90(a, -1)),
    (7, lambda a: np.rot90(a, 2).transpose(1, 0, 2)), (8, lambda a: np.rot90(a, 1)),
])
def test_exif_orientation_is_applied(tmp_path, orientation, upright):
    stored = np.zeros((32, 48, 3), np.uint8)
    stored[:8, :16] = (200, 100, 50)  # in whole 8x8 blocks: JPEG keeps them apart
    jpeg = cv2.imencode(".jpg", stored[..., ::-1])[1].tobytes()
    path = tmp_path / "x.jpg"
    path.write_bytes(_with_orientation(jpeg, orientation))
    found = fileio.read_image(path)
    plain = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
    np.testing.assert_array_equal(found, upright(plain))
    assert fileio.read_gray(path).shape == (32, 48)  # masks stay as they are stored


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_a_cut_image_is_unreadable(tmp_path, photo, suffix):
    path = tmp_path / f"x{suffix}"
    fileio.write_image(path, np.tile(photo, (8, 8, 1)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UsageError, match=f"x{suffix} is not a readable image"):
        fileio.read_image(path)


@pytest.mark.parametrize("content", [b"", b"text", b"\xff\xd8\xff"])
def test_no_image(tmp_path, content):
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="not a readable image"):
        fileio.read_image(path)
    with pytest.raises(UsageError, match="cannot read"):
        fileio.read_image(tmp_path / "missing.jpg")
    with pytest.raises(UsageError, match="cannot read"):
        fileio.read_image(tmp_path)
