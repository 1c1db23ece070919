"""Images: there and back, their orientation, and what is no image."""
import os
import struct

import cv2
import numpy as np
import pytest

from oace_tf.errors import UsageError
from oace_tf.images import read_brightest, read_image, write_image


@pytest.fixture
def photo():
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".bmp"])
def test_image_there_and_back(tmp_path, photo, suffix):
    path = tmp_path / f"x{suffix}"
    write_image(path, photo)
    np.testing.assert_array_equal(read_image(path), photo)


def test_channels_of_cutout_and_mask(tmp_path, photo):
    cutout = np.dstack([photo, photo[..., 0]])
    write_image(tmp_path / "cutout.png", cutout)
    stored = cv2.imread(str(tmp_path / "cutout.png"), cv2.IMREAD_UNCHANGED)
    assert stored is not None
    np.testing.assert_array_equal(stored, cutout[..., [2, 1, 0, 3]])  # OpenCV keeps BGRA
    write_image(tmp_path / "mask.png", photo[..., 0])
    np.testing.assert_array_equal(read_brightest(tmp_path / "mask.png"), photo[..., 0])


@pytest.mark.parametrize("name, channels", [("x.jpg", 4), ("x.bmp", 4), ("x.xyz", 3), ("x", 3)])
def test_formats_that_cannot_be_written(tmp_path, name, channels):
    with pytest.raises(UsageError, match="name it"):
        write_image(tmp_path / name, np.zeros((4, 4, channels), np.uint8))
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
    found = read_image(path)
    plain = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
    np.testing.assert_array_equal(found, upright(plain))
    assert read_brightest(path).shape == (32, 48)  # masks stay as they are stored


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_a_cut_image_is_unreadable(tmp_path, photo, suffix):
    path = tmp_path / f"x{suffix}"
    write_image(path, np.tile(photo, (8, 8, 1)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UsageError, match=f"x{suffix} is not a readable image"):
        read_image(path)


@pytest.mark.parametrize("content", [b"", b"text", b"\xff\xd8\xff"])
def test_no_image(tmp_path, content):
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="not a readable image"):
        read_image(path)
    with pytest.raises(UsageError, match="cannot read"):
        read_image(tmp_path / "missing.jpg")
    with pytest.raises(UsageError, match="cannot read"):
        read_image(tmp_path)
