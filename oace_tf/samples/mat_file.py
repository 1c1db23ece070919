"""One matrix of a struct in a MATLAB file of version 5 (to 7), read by hand.

scipy trusts its input: a damaged file of 3 KB crashes the interpreter, or runs for a minute. Here
every length is checked against what is there, and nothing but the asked field is looked into.
Source: MathWorks, "MAT-File Format", chapter 1.
"""
from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_STRUCT_CLASS, _UINT8_CLASS = 2, 9
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8",
            13: "u8"}
_MOST_UNPACKED = 2**26  # bytes
_MOST_ELEMENTS = 4096
_MOST_OF_BYTE = 255


class MatFault(ValueError):
    """What is wrong with the file."""


def read_field(data: bytes, variable: str, field: str) -> np.ndarray:
    """Return a matrix of bytes that lies in a field of a struct.

    Args:
      data: the file's bytes.
      variable: the name of the struct, 1x1.
      field: the name of its field.
    Returns:
      (H, W) uint8.
    Raises:
      MatFault: damaged, of another version, or without that variable, field or matrix.
    """
    if data.startswith(b"MATLAB 7.3") or data[512:516] == b"\x89HDF":
        raise MatFault("it is of MATLAB 7.3; save it with -v7")
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise MatFault("it is no MATLAB file of version 5 to 7")
    try:
        for kind, content in _elements(data[_HEADER:], order):
            if kind == _COMPRESSED:
                kind, content = next(_elements(_unpacked(content), order), (0, b""))
            if kind == _MATRIX:
                name, parts = _matrix(content, order)
                if name == variable.encode():
                    return _field(content, parts, field.encode(), order)
    except (struct.error, IndexError, zlib.error) as error:
        raise MatFault(f"it is damaged: {error}") from error
    raise MatFault(f"it has no {variable}")


def _field(content: bytes, parts: list[bytes], field: bytes, order: str) -> np.ndarray:
    """Return the matrix in one field of a struct, whose parts behind its name are given."""
    flags = next(_elements(content, order))[1]
    if len(flags) < 4 or struct.unpack(order + "I", flags[:4])[0] & 0xFF != _STRUCT_CLASS or (
            len(parts) < 2):
        raise MatFault("its variable is no struct")
    (width,) = struct.unpack(order + "i", parts[0][:4])
    if width < 1 or len(parts[1]) > width * _MOST_ELEMENTS:
        raise MatFault("its field names are damaged")
    names = [parts[1][k:k + width].split(b"\0")[0] for k in range(0, len(parts[1]), width)]
    if field not in names or len(parts) < 2 + len(names):
        raise MatFault(f"its variable has no field {field.decode()}")
    if names.count(field) > 1:
        raise MatFault(f"its variable has several fields {field.decode()}")
    inner = parts[2 + names.index(field)]
    matrix_class, sides, numbers = _head(inner, order)
    if matrix_class != _UINT8_CLASS or len(sides) != 2:
        raise MatFault(f"its {field.decode()} is no matrix of bytes")
    kind, raw = numbers
    if kind not in _NUMBERS:
        raise MatFault(f"its {field.decode()} holds no numbers")
    array = np.frombuffer(raw, order + _NUMBERS[kind]) if len(raw) % np.dtype(
        _NUMBERS[kind]).itemsize == 0 else np.zeros(0)
    if min(sides) < 0 or array.size != sides[0] * sides[1]:
        raise MatFault(f"its {field.decode()} has not the numbers of {sides[0]}x{sides[1]}")
    if not ((array >= 0) & (array <= _MOST_OF_BYTE) & (array == np.floor(array))).all():
        raise MatFault(f"its {field.decode()} holds numbers that are no bytes")
    return np.ascontiguousarray(array.astype(np.uint8).reshape(sides[::-1]).T)


def _matrix(content: bytes, order: str) -> tuple[bytes, list[bytes]]:
    """Return the name of a matrix, and the contents of the elements behind it."""
    parts = [part for _, part in _elements(content, order)]
    if len(parts) < 3:
        raise MatFault("a matrix of it is cut short")
    return parts[2], parts[3:]


def _head(content: bytes, order: str) -> tuple[int, tuple[int, ...], tuple[int, bytes]]:
    """Return class and sides of a matrix, and kind and bytes of its numbers."""
    parts = list(_elements(content, order))
    if len(parts) < 4 or len(parts[0][1]) < 4 or len(parts[1][1]) % 4:
        raise MatFault("a matrix of it is cut short")
    (flags,) = struct.unpack(order + "I", parts[0][1][:4])
    sides = struct.unpack(f"{order}{len(parts[1][1]) // 4}i", parts[1][1])
    return flags & 0xFF, sides, parts[3]


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Yield kind and content of the elements that lie one behind the other."""
    offset = 0
    for _ in range(_MOST_ELEMENTS):
        if offset + 8 > len(data):
            return
        first, length = struct.unpack_from(order + "II", data, offset)
        if first >> 16:  # a small one: up to four bytes in the head itself
            kind, length = first & 0xFFFF, first >> 16
            if length > 4:
                raise MatFault("an element of it is damaged")
            yield kind, data[offset + 4:offset + 4 + length]
            offset += 8
            continue
        if length > len(data) - offset - 8:
            raise MatFault("it is cut short")
        yield first, data[offset + 8:offset + 8 + length]
        offset += 8 + length
        if first != _COMPRESSED:
            offset += -length % 8


def _unpacked(data: bytes) -> bytes:
    """Return compressed bytes, unpacked."""
    machine = zlib.decompressobj()
    content = machine.decompress(data, _MOST_UNPACKED)
    if machine.unconsumed_tail:
        raise MatFault(f"it unpacks to more than {_MOST_UNPACKED} bytes")
    if not machine.eof:
        raise MatFault("its compressed part is cut short")
    return content
