"""MediaPipe task bundle of 1.x's InteractiveSegmenter: a zip of two models and a record.

The same files give the same bytes: entries are stored, in a fixed order, with a fixed date. Each
begins at a multiple of 16 bytes, as a TFLite file must where it is read in place.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping

ENCODER = "interactive_segmentation_encoder.int8.tflite"  # names that the engine looks for
DECODER = "interactive_segmentation_decoder.int8.tflite"
RECORD = "metadata.pb"
_ALIGNMENT = 16  # bytes; elsewhere the engine warns and copies the weights
_LOCAL_HEADER = 30  # bytes before the name of an entry
_PADDING = 0xD935  # the extra field that Android's zipalign uses: a size, then zeros
_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold


def pack(encoder: bytes, decoder: bytes, size: int) -> bytes:
    """Return the bundle of two TFLite files that both work in a square of `size` pixels."""
    entries = {ENCODER: encoder, DECODER: decoder, RECORD: tensor_record(size)}
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, content in entries.items():
            entry = zipfile.ZipInfo(name, _DATE)
            entry.external_attr = 0o644 << 16
            begin = target.tell() + _LOCAL_HEADER + len(name)
            entry.extra = _padding(begin)
            archive.writestr(entry, content)
    return target.getvalue()


def unpack(content: bytes) -> Mapping[str, bytes]:
    """Return the bundle's files by name."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _padding(begin: int) -> bytes:
    """Return the extra field, of at least 6 bytes, behind which an entry at `begin` is aligned."""
    zeros = -(begin + 6) % _ALIGNMENT
    return struct.pack("<HHH", _PADDING, 2 + zeros, _ALIGNMENT) + bytes(zeros)


def tensor_record(size: int) -> bytes:
    """Return the protobuf: width and height of encoder and decoder, fields 1 to 4."""
    # a key is the field's number and wire type 0
    return b"".join(bytes([field << 3]) + _varint(size) for field in range(1, 5))


def _varint(number: int) -> bytes:
    content = bytearray()
    while number > 0x7F:
        content.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*content, number])
