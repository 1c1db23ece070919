"""TensorBoard's event files, written with the standard library: scalars and pictures.

A file is a row of records: length (8 bytes), its checksum, the bytes of one `Event` message, their
checksum. The checksums are CRC-32C, rotated and shifted as TFRecord has it.
"""
from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from oace_tf.errors import UsageError

_POLYNOMIAL = 0x82F63B78  # CRC-32C, bits reversed
_MASK = 0xA282EAD8
_VARINT, _DOUBLE, _BYTES, _FLOAT = 0, 1, 2, 5  # wire types of protocol buffers


class EventFile:
    """Appends to a new file in a folder; TensorBoard reads all files of a folder as one run.

    Args:
      folder: made where it is missing.
      clock: gives seconds since 1970.
    Raises:
      UsageError: the folder cannot be written.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        name = f"events.out.tfevents.{int(clock()):010d}.{socket.gethostname()}.{os.getpid()}"
        self.path = folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = self.path.open("ab")
        except OSError as error:
            raise UsageError(f"cannot write {self.path}: {error.strerror}; "
                             "name another folder") from error
        self._write(_field(3, b"brain.Event:2"))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write figures by name."""
        summary = b"".join(_field(1, _field(1, name.encode()) + _key(2, _FLOAT)
                                  + struct.pack("<f", value)) for name, value in values.items())
        self._write(_number(2, step) + _field(5, summary))

    def picture(self, step: int, name: str, png: bytes, size_hw: tuple[int, int]) -> None:
        """Write a PNG of three channels."""
        height, width = size_hw
        image = _number(1, height) + _number(2, width) + _number(3, 3) + _field(4, png)
        summary = _field(1, _field(1, name.encode()) + _field(4, image))
        self._write(_number(2, step) + _field(5, summary))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, event: bytes) -> None:
        event = _key(1, _DOUBLE) + struct.pack("<d", self._clock()) + event
        head = struct.pack("<Q", len(event))
        self._file.write(head + _masked(head) + event + _masked(event))
        self._file.flush()


def _table() -> tuple[int, ...]:
    entries = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        entries.append(value)
    return tuple(entries)


_TABLE = _table()


def crc32c(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli) of bytes."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _key(field: int, wire: int) -> bytes:
    return _varint(field << 3 | wire)


def _number(field: int, value: int) -> bytes:
    return _key(field, _VARINT) + _varint(value)


def _field(field: int, data: bytes) -> bytes:
    return _key(field, _BYTES) + _varint(len(data)) + data
