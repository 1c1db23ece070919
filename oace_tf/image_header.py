"""What an image file says of itself before anything is decoded: kind, size, how it is to be turned.

A few kilobytes may unpack to gigabytes, so sizes are looked at here first. Only kinds that are read
here are decoded at all.
"""
from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

# EXIF orientation -> (quarter turns anticlockwise, then mirrored left to right)
_TURNS = {1: (0, False), 2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (3, False),
          7: (1, True), 8: (1, False)}
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_NETPBM = re.compile(rb"P([1-6])(?:\s|#[^\n]*\n)+(\d{1,9})(?:\s|#[^\n]*\n)+(\d{1,9})"
                     rb"(?:\s|#[^\n]*\n)+(\d{0,9})")
_RADIANCE = re.compile(rb"#\?(?:RADIANCE|RGBE)\n(?:[^\n]+\n)*\n[-+]Y (\d{1,9}) [-+]X (\d{1,9})\n")
_HEIC = (b"heic", b"heix", b"mif1", b"heim", b"heis", b"hevc", b"hevx", b"msf1")
_ORIENTATION = 0x112
# Tags of TIFF.
_SUBFILE, _BITS, _COLOURS, _SAMPLES, _PLANES, _EXTRA, _FORM, _DNG = (
    254, 258, 262, 277, 284, 338, 339, 50706)
_RGB, _CMYK = 2, 5  # of _COLOURS
_READ_COLOURS = (0, 1, _RGB, 3, _CMYK, 6, 8)  # grey, palette, YCbCr, Lab beside them
_WHOLE, _FLOATS = 1, 3  # of _FORM
_UNSPECIFIED, _ALPHA = 0, 2  # of _EXTRA; OpenCV writes RGBA without that tag
_GREY_WITH_ALPHA = "it is grey with transparency, which is read of PNG alone; save it as that"
_FULL_SCALES = (255, 65535)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a file says of its first picture; sizes as stored, before it is turned.

    Attributes:
      kind: jpeg, png, gif, webp, tiff, avif, heic, bmp, netpbm, jpeg2000 or radiance.
      width, height: px.
      turns: quarter turns anticlockwise, then whether it is mirrored left to right.
      has_alpha: whether parts may be transparent.
      is_multiplied: whether its colours come out of the decoder multiplied by its transparency.
      clear_grey: PNG: the grey value that is transparent, 0 to 65535, and the bits of it.
      unpacked: pixels that are in memory at least while it is decoded.
      fault: why its first picture is not that of the photograph, or would come out in other
        brightness, and what to do; empty where it is read.
    """

    kind: str
    width: int
    height: int
    turns: tuple[int, bool] = (0, False)
    has_alpha: bool = False
    is_multiplied: bool = False
    clear_grey: tuple[int, int] | None = None
    unpacked: int = 0
    fault: str = ""

    @property
    def pixels(self) -> int:
        """Pixels to be reckoned with."""
        return max(self.width * self.height, self.unpacked)

    @property
    def is_turned(self) -> bool:
        """Whether the upright picture is another one than the stored."""
        return self.turns != (0, False)

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of the upright picture."""
        sides = (self.height, self.width)
        return sides if self.turns[0] % 2 == 0 else sides[::-1]


def read_header(data: bytes) -> Header | None:
    """Return what a file says of itself; None where it is no image of a kind known here."""
    for start, reader in _READERS:
        if data.startswith(start):
            try:
                header = reader(data)
            except (struct.error, IndexError, ValueError, KeyError, OverflowError):
                return None
            return header if header is not None and min(header.width, header.height) > 0 else None
    return None


def upright(array: np.ndarray, turns: tuple[int, bool]) -> np.ndarray:
    """Return a stored picture, (H, W) or (H, W, C), turned upright."""
    turned = np.rot90(array, turns[0])
    return np.ascontiguousarray(turned[:, ::-1] if turns[1] else turned)


def _jpeg(data: bytes) -> Header | None:
    turns, offset = (0, False), 2
    while offset + 4 <= len(data):
        if data[offset] != 0xFF:  # libjpeg skips what lies between segments as well
            offset = data.find(b"\xff", offset)
            if offset < 0:
                return None
            continue
        marker = data[offset + 1]
        if marker == 0xFF or marker == 0 or 0xD0 <= marker <= 0xD8:
            offset += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, offset + 2)
        part = data[offset + 4:offset + 2 + length]
        if marker == 0xE1 and part.startswith(b"Exif\0\0"):
            turns = _exif(part[6:]) or turns
        if marker in _START_OF_FRAME:
            height, width = struct.unpack_from(">HH", part, 1)
            return Header(kind="jpeg", width=width, height=height, turns=turns)
        offset += 2 + max(length, 2)
    return None


def _png(data: bytes) -> Header | None:
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    turns, has_alpha, clear_grey = (0, False), colour in (4, 6), None
    offset = 8
    while offset + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, offset)
        if offset + 12 + length > len(data):
            return None  # OpenCV would make room for up to 4 GB before it looks
        if name == b"IEND":
            break
        part = data[offset + 8:offset + 8 + min(length, 2**16)]
        if name == b"eXIf":
            turns = _exif(part) or turns
        elif name == b"tRNS":
            has_alpha = True
            if colour == 0 and len(part) == 2:
                clear_grey = (int.from_bytes(part, "big"), depth)
        offset += 12 + length
    return Header(kind="png", width=width, height=height, turns=turns, has_alpha=has_alpha,
                  clear_grey=clear_grey)


def _gif(data: bytes) -> Header | None:
    width, height = struct.unpack_from("<HH", data, 6)
    return Header(kind="gif", width=width, height=height, has_alpha=True)


def _riff(data: bytes) -> Header | None:
    if data[8:12] != b"WEBP":
        return None
    size, has_alpha, turns, offset = (0, 0), False, (0, False), 12
    while offset + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, offset)
        part = data[offset + 8:offset + 8 + min(length, 2**16)]
        if name == b"VP8X":
            has_alpha = bool(part[0] & 0x10)
            size = (1 + int.from_bytes(part[4:7], "little"),
                    1 + int.from_bytes(part[7:10], "little"))
        elif name == b"VP8L" and size == (0, 0):
            bits = int.from_bytes(part[1:5], "little")
            size, has_alpha = ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1), bool(bits >> 28 & 1)
        elif name == b"VP8 " and size == (0, 0):
            wide, high = struct.unpack_from("<HH", part, 6)
            size = (wide & 0x3FFF, high & 0x3FFF)
        elif name == b"EXIF":
            turns = _exif(part.removeprefix(b"Exif\0\0")) or turns
        offset += 8 + length + length % 2
    return Header(kind="webp", width=size[0], height=size[1], turns=turns, has_alpha=has_alpha)


def _bmp(data: bytes) -> Header | None:
    (length,) = struct.unpack_from("<I", data, 14)
    if length == 12:
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        width, height = struct.unpack_from("<ii", data, 18)
    has_alpha = length >= 56 and struct.unpack_from("<H", data, 28)[0] == 32 and any(data[66:70])
    return Header(kind="bmp", width=width, height=abs(height), has_alpha=has_alpha)


def _tiff(data: bytes) -> Header | None:
    tags = dict(_directory(data, (_SUBFILE, 256, 257, _BITS, _COLOURS, _ORIENTATION, _SAMPLES,
                                  _PLANES, 322, 323, _EXTRA, _FORM, _DNG)))
    tile = tags.get(322, 0) * tags.get(323, 0)
    # A fourth channel may be anything else: infrared, a selection.
    has_alpha = (tags.get(_SAMPLES, 1) == 4 and tags.get(_COLOURS, _RGB) == _RGB
                 and tags.get(_EXTRA, _ALPHA) != _UNSPECIFIED)
    return Header(kind="tiff", width=tags[256], height=tags[257],
                  turns=_TURNS.get(tags.get(_ORIENTATION, 1), (0, False)),
                  has_alpha=has_alpha, is_multiplied=has_alpha and _EXTRA in tags, unpacked=tile,
                  fault=_tiff_fault(data, tags))


def _tiff_fault(data: bytes, tags: Mapping[int, int]) -> str:
    """Return why a TIFF is not read, or would come out as another picture; empty if it is."""
    samples, bits = tags.get(_SAMPLES, 1), tags.get(_BITS, 1)
    colours, form = tags.get(_COLOURS, _RGB), tags.get(_FORM, _WHOLE)
    if _DNG in tags or tags.get(_SUBFILE, 0) & 1 or data[8:10] == b"CR":
        return ("it is a camera's raw file, or begins with a small preview; develop it to JPEG, "
                "or save the picture itself")
    if form == _FLOATS:
        return "its values are floating point; save it with 8 or 16 bits a channel"
    if form > _FLOATS or form == 2 or bits > 16:
        return (f"its values are of {bits} bits{', signed' if form == 2 else ''}; save it with 8 "
                "or 16 bits a channel, unsigned")
    if samples == 2:
        return _GREY_WITH_ALPHA
    if samples > 4 or (samples == 4 and tags.get(_PLANES, 1) == 2 and bits > 8):
        return f"it has {samples} channels, kept in a way that is not read here; save it as RGB"
    if colours not in _READ_COLOURS or (colours == _CMYK and bits > 8):
        return "its colours are kept in a way that is not read here; save it as RGB"
    return ""


def _exif(data: bytes) -> tuple[int, bool] | None:
    """Return how an EXIF record says that the picture is to be turned."""
    try:
        return _TURNS.get(dict(_directory(data, (_ORIENTATION,))).get(_ORIENTATION, 0))
    except (struct.error, ValueError):
        return None


def _directory(data: bytes, wanted: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Yield the wanted entries of the first directory of a TIFF: tag, its first whole number."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        raise ValueError("no TIFF")
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    (offset,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, offset)
    entry, offset = (20, offset + 8) if big else (12, offset + 2)
    for number in range(min(count, 2**12)):
        tag, kind, values = struct.unpack_from(order + ("HHQ" if big else "HHI"), data,
                                               offset + number * entry)
        form = {1: "B", 3: "H", 4: "I", 16: "Q"}.get(kind)
        if tag in wanted and form is not None:
            at = offset + number * entry + (12 if big else 8)
            if values * struct.calcsize(form) > (8 if big else 4):  # they lie elsewhere
                (at,) = struct.unpack_from(order + ("Q" if big else "I"), data, at)
                if at + struct.calcsize(form) > len(data):
                    continue
            yield tag, struct.unpack_from(order + form, data, at)[0]


def _netpbm(data: bytes) -> Header | None:
    match = _NETPBM.match(data[:4096])
    if match is None:
        return None
    fault = ""
    if match[1] not in b"14" and int(match[4] or 0) not in _FULL_SCALES:
        fault = (f"its values go up to {int(match[4] or 0)}, those that are read to 255 or 65535; "
                 "save it as PNG")  # OpenCV would take them as they stand: too dark
    return Header(kind="netpbm", width=int(match[2]), height=int(match[3]), fault=fault)


def _radiance(data: bytes) -> Header | None:
    match = _RADIANCE.match(data[:4096])
    return None if match is None else Header(kind="radiance", width=int(match[2]),
                                             height=int(match[1]))


def _jpeg2000(data: bytes) -> Header | None:
    offset = data.find(b"ihdr", 0, 4096)
    if offset >= 0:
        height, width, samples = struct.unpack_from(">IIH", data, offset + 4)
    else:
        offset = data.find(b"\xff\x51", 0, 4096)
        if offset < 0:
            return None
        right, bottom, left, top = struct.unpack_from(">IIII", data, offset + 6)
        width, height = right - left, bottom - top
        (samples,) = struct.unpack_from(">H", data, offset + 38)
    return Header(kind="jpeg2000", width=width, height=height, has_alpha=samples == 4,
                  fault=_GREY_WITH_ALPHA if samples == 2 else "")


def _base_media(data: bytes) -> Header | None:
    if data[4:8] != b"ftyp":
        return None
    from oace_tf.avif_header import read_avif

    is_heic = data[8:12] in _HEIC and b"avif" not in data[8:8 + 64]
    try:
        width, height, turns = read_avif(data)
    except (struct.error, IndexError, ValueError, KeyError):
        if not is_heic:
            raise
        return Header(kind="heic", width=1, height=1)  # what it is can be said all the same
    return Header(kind="heic" if is_heic else "avif", width=width, height=height, turns=turns,
                  has_alpha=True)


_READERS = ((b"\xff\xd8", _jpeg), (b"\x89PNG\r\n\x1a\n", _png), (b"GIF8", _gif), (b"RIFF", _riff),
            (b"BM", _bmp), (b"II*\0", _tiff), (b"MM\0*", _tiff), (b"II+\0", _tiff),
            (b"MM\0+", _tiff), (b"P", _netpbm), (b"#?R", _radiance),
            (b"\0\0\0\x0cjP", _jpeg2000), (b"\xff\x4f\xff\x51", _jpeg2000), (b"\0\0", _base_media))
