"""Image files: reading upright, as stored, or the brightest channel; writing by the suffix.

Whatever is wrong with a file becomes one `UsageError` that names it.
"""
from __future__ import annotations

import io
import os
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from oace_tf.errors import UsageError, install_line
from oace_tf.fileio import PathLike, atomic_write, read_bytes
from oace_tf.image_header import Header, read_header, upright
from oace_tf.other_files import other_picture
from oace_tf.quiet import quiet_libraries

MAX_PIXELS = 200_000_000  # of one photograph: 600 MB
MAX_SIDE = 2**20  # px, that of OpenCV
# Beyond so many pixels a file must hold something for them: zlib packs at most a thousand into one.
SURE_PIXELS, MOST_PER_BYTE = 25_000_000, 1000
MAX_FILE_BYTES = 256 * 2**20
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".avif", ".heic",
            ".heif")
WITH_ALPHA = (".png", ".webp", ".tif", ".tiff")  # suffixes of pictures that may be transparent
WRITTEN = (*WITH_ALPHA, ".jpg", ".jpeg")  # suffixes of pictures that are written
_UPRIGHT_WITH_ALPHA = ("tiff", "heic")  # kinds that come upright with their transparency


def read_image(path: PathLike) -> np.ndarray:
    """Return a photograph, upright, whatever way its file says that it is to be turned.

    Returns:
      (H, W, 3) uint8 RGB; transparent parts stand on white, grey is repeated.
    Raises:
      UsageError: the file is missing, cut short, no image, or one of too many pixels.
    """
    return read_photograph(path).image


def decode_image(data: bytes, name: str) -> np.ndarray:
    """Return the photograph that these bytes are, as `read_image`; `name` is for messages."""
    return decode_photograph(data, name).image


@dataclass(frozen=True, slots=True, eq=False)
class Photograph:
    """A photograph, upright.

    Attributes:
      image: (H, W, 3) uint8 RGB; transparent parts stand on white.
      alpha: (H, W) uint8, the file's own transparency, or None where nothing is clear.
      colours: (H, W, 3) uint8 RGB, as `image`, without the white.
      stored_hw: height and width of the stored picture.
      is_turned: whether it is stored in another orientation.
    """

    image: np.ndarray
    alpha: np.ndarray | None
    colours: np.ndarray
    stored_hw: tuple[int, int]
    is_turned: bool


def read_photograph(path: PathLike) -> Photograph:
    """Return a photograph with its transparency (raises UsageError as `read_image`)."""
    return decode_photograph(read_bytes(path, MAX_FILE_BYTES), os.fspath(path))


def decode_photograph(data: bytes, name: str) -> Photograph:
    """Return the photograph that these bytes are, as `read_photograph`; `name` is for messages."""
    header = _checked_header(data, name)
    image = _decoded(data, name, header, cv2.IMREAD_COLOR_RGB)
    if header.kind == "avif":  # OpenCV turns all other kinds by itself
        image = upright(image, header.turns)
    alpha = _alpha(data, name, header, image.shape[:2]) if header.has_alpha else None
    if alpha is not None and header.is_multiplied:
        image = _divided(image, alpha)
    shown = image if alpha is None else on_white(image, alpha)
    stored_hw = header.height, header.width
    if header.kind == "heic":  # its header may name the size before the picture's edge is cut off
        height, width = image.shape[:2]
        stored_hw = (width, height) if header.turns[0] % 2 else (height, width)
    return Photograph(shown, alpha, image, stored_hw, header.is_turned)


def checked_size(height: int, width: int, name: str) -> None:
    """Raise UsageError where a photograph has too many pixels; `name` is for the message."""
    if height * width > MAX_PIXELS:
        raise UsageError(f"{name} has {height * width / 1e6:.0f} megapixels; at most "
                         f"{MAX_PIXELS / 1e6:.0f} are taken, make it smaller")
    if max(height, width) > MAX_SIDE:
        raise UsageError(f"{name} has {width}x{height} pixels; a side of at most "
                         f"{MAX_SIDE} is taken, make it smaller")


def on_white(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Return a picture with its transparent parts on a white ground; (H, W, 3) uint8."""
    share = alpha[..., None].astype(np.uint16)
    return ((image * share + np.uint16(255) * (255 - share) + 127) // 255).astype(np.uint8)


def _divided(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Return the colours of a picture that was multiplied by its transparency; (H, W, 3) uint8."""
    share = np.maximum(alpha, 1)[..., None].astype(np.uint16)
    colours = (image.astype(np.uint16) * np.uint16(255) + share // 2) // share
    return np.minimum(colours, 255).astype(np.uint8)


def read_brightest(path: PathLike) -> np.ndarray:
    """Return the greatest of an image's channels, as stored: masks that are coloured or grey.

    One of 16 bits whose values are those of 8 keeps them: so some tools write labels. What is
    transparent, whatever its colour, is 0: so others write the ground.

    Returns:
      (H, W) uint8.
    Raises:
      UsageError: the file is missing, cut short, or no image.
    """
    data, name = read_bytes(path, MAX_FILE_BYTES), os.fspath(path)
    header = _checked_header(data, name)
    blue, green, red = cv2.split(_decoded(data, name, header, cv2.IMREAD_COLOR
                                          | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION))
    brightest = cv2.max(cv2.max(blue, green), red)  # much faster than .max(axis=2)
    if header.has_alpha:
        stored = replace(header, turns=(0, False))
        alpha = _alpha(data, name, stored, brightest.shape)
        if alpha is not None:
            brightest[alpha < 128] = 0
    if brightest.dtype == np.uint16:
        return (brightest if brightest.max() < 256 else brightest // 256).astype(np.uint8)
    if brightest.dtype != np.uint8:
        raise UsageError(f"{path}: its values are floating point; save it with 8 or 16 bits")
    return brightest


def write_image(path: PathLike, image: np.ndarray) -> None:
    """Write an image in the format of the path's suffix, atomically.

    Args:
      image: uint8: (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA.
    Raises:
      UsageError: unknown suffix, one that cannot hold the alpha channel, or an unwritable place.
    """
    suffix = Path(path).suffix.lower()
    channels = 1 if image.ndim == 2 else image.shape[2]
    if suffix not in WRITTEN:
        raise UsageError(f"{path}: pictures are written as {', '.join(WRITTEN)}; name it so")
    if channels == 4 and suffix not in WITH_ALPHA:
        raise UsageError(f"{path}: a cutout needs transparency; name it "
                         f"{', '.join(WITH_ALPHA)}")
    if channels == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    elif channels == 4:
        image = cv2.cvtColor(image, cv2.COLOR_RGBA2BGRA)
    done, encoded = cv2.imencode(suffix, image)
    if not done:
        raise UsageError(f"{path}: an image of {image.shape[1]}x{image.shape[0]} pixels does not "
                         f"fit into {suffix}; name another format")
    atomic_write(path, encoded.tobytes())


def _checked_header(data: bytes, name: str) -> Header:
    """Return what the file says of itself; too many pixels are refused before any is unpacked."""
    header = read_header(data)
    if header is None:
        raise _unreadable(name, other_picture(data))
    if header.fault:
        raise UsageError(f"{name}: {header.fault}")
    if header.pixels > MAX_PIXELS:
        raise UsageError(f"{name} has {header.pixels / 1e6:.0f} megapixels; at most "
                         f"{MAX_PIXELS / 1e6:.0f} are taken, make it smaller")
    if header.pixels > SURE_PIXELS and header.pixels > MOST_PER_BYTE * len(data):
        raise UsageError(f"{name} says that its {len(data)} bytes hold {header.pixels / 1e6:.0f} "
                         "megapixels, more than a photograph can; save it anew")
    if max(header.width, header.height) > MAX_SIDE:
        raise UsageError(f"{name} has {header.width}x{header.height} pixels; a side of at most "
                         f"{MAX_SIDE} is taken, make it smaller")
    return header


def _decoded(data: bytes, name: str, header: Header, flags: int) -> np.ndarray:
    if header.kind == "heic":
        return _heic(data, name, flags)
    # OpenCV gives an AVIF with transparency as BGR, whatever it is asked for.
    is_rgb = header.kind == "avif" and flags == cv2.IMREAD_COLOR_RGB
    try:
        with quiet_libraries():
            image = cv2.imdecode(np.frombuffer(data, np.uint8),
                                 cv2.IMREAD_COLOR if is_rgb else flags)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise UsageError(f"{name}: memory does not suffice for its {header.pixels / 1e6:.0f} "
                             "megapixels; make it smaller") from None
        image = None
    if image is None:
        raise _unreadable(name)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if is_rgb else image


def _heic(data: bytes, name: str, flags: int) -> np.ndarray:
    """Return a HEIC photograph as OpenCV gives others for the flags, upright whatever they say."""
    try:
        import pillow_heif
    except ImportError:
        raise UsageError(f"{name} is a HEIC photograph: {install_line('heic')} to read it, or "
                         "save it as JPEG (iPhone: Settings, Camera, Formats, Most Compatible)"
                         ) from None
    try:
        with quiet_libraries():
            picture = pillow_heif.read_heif(io.BytesIO(data)).to_pillow()
            rgba = np.asarray(picture.convert("RGBA"))
    except MemoryError:
        raise
    except Exception as error:  # whatever libheif and Pillow make of damaged bytes
        raise UsageError(f"{name}: this HEIC photograph cannot be read (damaged, or of a kind that "
                         "pillow-heif does not know); save it as JPEG") from error
    if flags == cv2.IMREAD_UNCHANGED:
        return cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA)
    colours = np.ascontiguousarray(rgba[..., :3])
    return colours if flags == cv2.IMREAD_COLOR_RGB else cv2.cvtColor(colours, cv2.COLOR_RGB2BGR)


def _unreadable(name: str, words: str = "") -> UsageError:
    """Return the error; `words`: what it is in truth, and what to do, where that is known."""
    return UsageError(f"{name} is not a readable image" + (f": {words}" if words else (
        " (damaged, cut short or another kind of file); replace it or leave it out")))


def _alpha(data: bytes, name: str, header: Header, size_hw: tuple[int, ...]) -> np.ndarray | None:
    """Return the transparency, (H, W) uint8, upright; None where nothing is clear."""
    stored = _decoded(data, name, header, cv2.IMREAD_UNCHANGED)
    if stored.ndim == 2 and header.clear_grey is not None:
        value, bits = header.clear_grey
        if bits < 8:
            value = value * 255 // (2**bits - 1)
        alpha = np.where(stored == value, np.uint8(0), np.uint8(255))
    elif stored.ndim == 3 and stored.shape[2] == 4 and stored.dtype in (np.uint8, np.uint16):
        alpha = stored[..., 3]
        if stored.dtype == np.uint16:
            alpha = (alpha // 256).astype(np.uint8)
    else:
        return None
    if (alpha == 255).all() or (header.kind == "bmp" and not alpha.any()):
        return None  # programs that know no transparency leave a BMP's at 0
    if header.kind not in _UPRIGHT_WITH_ALPHA:  # of OpenCV's kinds TIFF alone
        alpha = upright(alpha, header.turns)
    return np.ascontiguousarray(alpha) if alpha.shape == size_hw else None
