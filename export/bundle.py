"""The `.task` bundle of MediaPipe 1.x's InteractiveSegmenter: a zip of two models and a record.

The same files give the same bytes: entries are stored, in a fixed order, with a fixed date.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

ENCODER = "interactive_segmentation_encoder.int8.tflite"  # names that the engine looks for
DECODER = "interactive_segmentation_decoder.int8.tflite"
RECORD = "metadata.pb"
_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold


def pack(encoder: bytes, decoder: bytes, size: int) -> bytes:
    """Return the bundle of two TFLite files that both work in a square of `size` pixels."""
    entries = {ENCODER: encoder, DECODER: decoder, RECORD: _record(size)}
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, content in entries.items():
            entry = zipfile.ZipInfo(name, _DATE)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return target.getvalue()


def unpack(content: bytes) -> Mapping[str, bytes]:
    """Return the bundle's files by name."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _record(size: int) -> bytes:
    """Return the protobuf: width and height of encoder and decoder, fields 1 to 4."""
    # a key is the field's number and wire type 0
    return b"".join(bytes([field << 3]) + _varint(size) for field in range(1, 5))


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*made, number])
