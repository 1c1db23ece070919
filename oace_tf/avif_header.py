"""Size and turning of the first picture of an AVIF file, from its boxes.

AVIF keeps its orientation in properties of its own (`irot`, `imir`), not in EXIF; OpenCV's reader
leaves them out. Source: ISO/IEC 23008-12 (HEIF), ISO/IEC 14496-12.
"""
from __future__ import annotations

import struct
from collections.abc import Iterator

_MOST_BOXES = 4096


def read_avif(data: bytes) -> tuple[int, int, tuple[int, bool]]:
    """Return width, height and turns (see `image_header.Header`) of the primary picture.

    Raises:
      ValueError, IndexError, struct.error, KeyError: the boxes cannot be read.
    """
    meta = _one(data, 0, len(data), b"meta")
    if meta is None:
        raise ValueError("no meta box")
    start, end = meta[0] + 4, meta[1]
    properties, used = _properties(data, start, end)
    sizes = [_size(data, offset) for name, offset in used or properties if name == b"ispe"]
    largest = [_size(data, offset) for name, offset in properties if name == b"ispe"]
    if not sizes:
        raise ValueError("no size")
    turns = (0, False)
    for name, offset in used:
        if name == b"irot":
            turns = _turned(turns, data[offset] & 3)
        elif name == b"imir":  # 0 exchanges top and bottom, 1 left and right
            turns = _turned((turns[0], not turns[1]), 0 if data[offset] & 1 else 2)
    # Any picture of the file may be the one that is decoded: the largest counts.
    width, height = sizes[0]
    if max(w * h for w, h in largest) > width * height:
        width, height = max(largest, key=lambda size: size[0] * size[1])
    return width, height, turns


def _properties(data: bytes, start: int, end: int) -> tuple[list[tuple[bytes, int]],
                                                            list[tuple[bytes, int]]]:
    """Return all properties (name, place), and in order those of the primary picture."""
    primary = _one(data, start, end, b"pitm")
    held = _one(data, start, end, b"iprp")
    if held is None:
        raise ValueError("no properties")
    container = _one(data, *held, b"ipco")
    if container is None:
        raise ValueError("no properties")
    properties = [(name, offset) for name, offset, _ in _boxes(data, *container)]
    links = _one(data, *held, b"ipma")
    if primary is None or links is None:
        return properties, []
    wide = data[primary[0]] > 0
    (number,) = struct.unpack_from(">I" if wide else ">H", data, primary[0] + 4)
    used = [properties[index - 1] for index in _links(data, links[0], number)
            if 0 < index <= len(properties)]
    return properties, used


def _links(data: bytes, offset: int, wanted: int) -> list[int]:
    """Return the numbers, from 1, of the properties of one picture."""
    version, long = data[offset], data[offset + 3] & 1
    (count,) = struct.unpack_from(">I", data, offset + 4)
    offset += 8
    for _ in range(min(count, _MOST_BOXES)):
        (number,) = struct.unpack_from(">I" if version else ">H", data, offset)
        offset += 4 if version else 2
        links = data[offset]
        offset += 1
        step = 2 if long else 1
        if number == wanted:
            return [int.from_bytes(data[offset + k * step:offset + (k + 1) * step], "big")
                    & (0x7FFF if long else 0x7F) for k in range(links)]
        offset += links * step
    return []


def _size(data: bytes, offset: int) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", data, offset + 4)
    return width, height


def _turned(turns: tuple[int, bool], quarters: int) -> tuple[int, bool]:
    """Return the turns, followed by quarter turns anticlockwise."""
    quarter, mirrored = turns
    return ((quarter - quarters if mirrored else quarter + quarters) % 4, mirrored)


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield (name, start, end) of the content of each box."""
    for _ in range(_MOST_BOXES):
        if start + 8 > end:
            return
        length, name = struct.unpack_from(">I4s", data, start)
        head = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, start + 8)
            head = 16
        if length == 0:
            length = end - start
        if length < head or start + length > end:
            return
        yield name, start + head, start + length
        start += length


def _one(data: bytes, start: int, end: int, wanted: bytes) -> tuple[int, int] | None:
    return next(((first, last) for name, first, last in _boxes(data, start, end)
                 if name == wanted), None)
