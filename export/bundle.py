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


def pack(encoder: bytes, decoder: bytes, sides: tuple[int, int]) -> bytes:
    """Return the bundle of two TFLite files.

    Args:
      encoder, decoder: the files.
      sides: of the square photograph that the encoder takes, and of the decoder's heat map, pixels.
    """
    entries = {ENCODER: encoder, DECODER: decoder, RECORD: _record(sides)}
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


def _record(sides: tuple[int, int]) -> bytes:
    """Return the protobuf: width and height of encoder and decoder, each key and number."""
    numbers = (sides[0], sides[0], sides[1], sides[1])
    return b"".join(bytes([field << 3]) + _varint(number)  # wire type 0
                    for field, number in enumerate(numbers, 1))


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*made, number])
