"""Files: atomic writing, SHA-256, strict JSON with a size cap, images.

Whatever is wrong with a file becomes one `UsageError` that names it.
"""
from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np

from oace_tf.errors import UsageError

PathLike = str | os.PathLike[str]

JSON_MAX_BYTES = 16 * 2**20
_CHUNK = 2**20
_WITH_ALPHA = (".png", ".webp", ".tif", ".tiff")


def atomic_write(path: PathLike, data: bytes | Callable[[BinaryIO], None]) -> None:
    """Write a file beside its place and rename it there; missing folders are made.

    A failure, of whatever kind, leaves an earlier file as it was and nothing half-written.

    Args:
      path: where the file shall be.
      data: its bytes, or a function that writes them to the open file it is given.
    Raises:
      UsageError: the file cannot be written there.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise UsageError(f"cannot write {path}: it is not a regular file; name another place")
    beside = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.",
                                         delete=False) as file:
            beside = file.name
            if callable(data):
                data(file)  # type: ignore[arg-type]  # a wrapper of typeshed, a BinaryIO in truth
            else:
                file.write(data)
            file.flush()
            os.fchmod(file.fileno(), 0o644)  # tempfile makes 0600
            os.fsync(file.fileno())
        os.replace(beside, path)
        beside = None
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}; "
                         "free the place or name another") from error
    finally:
        if beside is not None:
            Path(beside).unlink(missing_ok=True)


def sha256_bytes(data: bytes) -> str:
    """Return the SHA-256 of the bytes, 64 hexadecimal digits in lower case."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: PathLike) -> str:
    """Return the SHA-256 of a file's bytes, 64 hexadecimal digits in lower case.

    Raises:
      UsageError: the file is missing or cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise _unreadable(path, error) from error
    return digest.hexdigest()


def read_bytes(path: PathLike, max_bytes: int | None = None) -> bytes:
    """Return a file's bytes.

    Args:
      max_bytes: refuse larger files; None for no limit.
    Raises:
      UsageError: the file is missing, cannot be read, or is too large.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(-1 if max_bytes is None else max_bytes + 1)
    except OSError as error:
        raise _unreadable(path, error) from error
    if max_bytes is not None and len(data) > max_bytes:
        raise UsageError(f"{path} is larger than {max_bytes} bytes; it is not the file meant here")
    return data


def read_json(path: PathLike, max_bytes: int = JSON_MAX_BYTES) -> Any:
    """Return what a JSON file holds: strict, finite numbers only, every key once.

    Raises:
      UsageError: the file is missing, too large, not UTF-8, not JSON, has a key twice in one
        object, or a number that is not finite.
    """
    text = read_bytes(path, max_bytes)
    try:
        return strict_json(text)
    except (ValueError, RecursionError) as error:  # a UnicodeDecodeError is a ValueError too
        raise UsageError(f"{path} is not valid JSON: {error}") from error


def strict_json(text: bytes) -> Any:
    """Return what UTF-8 text holds: strict JSON, as in `read_json`.

    Raises:
      ValueError: it is not that.
    """
    return json.loads(text.decode("utf-8"), object_pairs_hook=_unique_keys,
                      parse_constant=_refuse_constant, parse_float=_finite_float)


def write_json(path: PathLike, value: Any) -> None:
    """Write a value as JSON, indented, in the order of its keys, atomically.

    Raises:
      UsageError: the file cannot be written.
      ValueError: a number is not finite.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    atomic_write(path, text.encode("utf-8") + b"\n")


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


def read_gray(path: PathLike) -> np.ndarray:
    """Return a grey image, such as a mask, as it is stored.

    Returns:
      (H, W) uint8.
    Raises:
      UsageError: the file is missing, cut short, or no image.
    """
    return _decode(read_bytes(path), os.fspath(path),
                   cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)


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


def _unreadable(path: PathLike, error: OSError) -> UsageError:
    return UsageError(f"cannot read {path}: {error.strerror or error}")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large a number")
    return value
