"""Image files: reading upright, as stored, or the brightest channel; writing by the suffix.

Whatever is wrong with a file becomes one `UsageError` that names it.
"""
from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from oace_tf.errors import UsageError
from oace_tf.fileio import PathLike, atomic_write, read_bytes

_WITH_ALPHA = (".png", ".webp", ".tif", ".tiff")


def read_image(path: PathLike) -> np.ndarray:
    """Return a photograph, upright: its EXIF orientation is applied.

    Returns:
      (H, W, 3) uint8 RGB; an alpha channel is dropped, grey is repeated.
    Raises:
      UsageError: the file is missing, cut short, or no image.
    """
    return decode_image(read_bytes(path), os.fspath(path))


def decode_image(data: bytes, name: str) -> np.ndarray:
    """Return the photograph that these bytes are, as `read_image`; `name` is for messages."""
    return _decode(data, name, cv2.IMREAD_COLOR_RGB)


def read_brightest(path: PathLike) -> np.ndarray:
    """Return the greatest of an image's channels, as stored: masks that are coloured or grey.

    Returns:
      (H, W) uint8.
    Raises:
      UsageError: the file is missing, cut short, or no image.
    """
    blue, green, red = cv2.split(_decode(read_bytes(path), os.fspath(path),
                                         cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION))
    return cv2.max(cv2.max(blue, green), red)  # much faster than .max(axis=2)


def write_image(path: PathLike, image: np.ndarray) -> None:
    """Write an image in the format of the path's suffix, atomically.

    Args:
      image: uint8: (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA.
    Raises:
      UsageError: unknown suffix, one that cannot hold the alpha channel, or an unwritable place.
    """
    suffix = Path(path).suffix.lower()
    channels = 1 if image.ndim == 2 else image.shape[2]
    if channels == 4 and suffix not in _WITH_ALPHA:
        raise UsageError(f"{path}: a cutout needs transparency; name it .png or .webp")
    if channels == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    elif channels == 4:
        image = cv2.cvtColor(image, cv2.COLOR_RGBA2BGRA)
    if not suffix or not cv2.haveImageWriter(f"image{suffix}"):
        raise UsageError(f"{path}: cannot write images of this kind; name it .png, .jpg or .webp")
    done, encoded = cv2.imencode(suffix, image)
    if not done:
        raise UsageError(f"{path}: an image of {image.shape[1]}x{image.shape[0]} pixels does not "
                         f"fit into {suffix}; name another format")
    atomic_write(path, encoded.tobytes())


def _decode(data: bytes, name: str, flags: int) -> np.ndarray:
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error:  # such as more pixels than OpenCV takes
        image = None
    if image is None:
        raise UsageError(f"{name} is not a readable image (damaged, cut short or another kind of "
                         "file); replace it or leave it out")
    return image
