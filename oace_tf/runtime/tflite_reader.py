"""Reader of a .tflite file without an interpreter: its signature, checked.

The runtime maps a file into memory and follows its offsets as they stand: a damaged file can take
the whole process down. So this reader, in plain Python, comes first. It knows two proofs that a
file is whole: the *seal* (the SHA-256 of the file, kept in the file's own metadata) and, for files
without one, a walk over everything that the interpreter will follow.

Slot numbers are those of TensorFlow's `schema.fbs`, version 3.
"""
from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from oace_tf.errors import UsageError
from oace_tf.fileio import sha256_bytes
from oace_tf.other_files import other_file

METADATA_NAME = "OACE_METADATA"  # the entry of Model.metadata whose buffer is our JSON
SEAL_KEY = "content_sha256"
SIGNATURE = "serving_default"
PREVIOUS = "previous"  # the third input of a file that takes its mask of the clicks before
MASKS, SCORES = "masks", "scores"  # outputs of the interface `points-multi`, both or none

_IDENTIFIER = b"TFL3"
_SEAL = re.compile(rb'"content_sha256": ?"([0-9a-f]{64})"')
_BLANK_SEAL = b"0" * 64
_MAX_ELEMENTS = 2**28  # of one tensor; the largest of the stride-1 networks has 2**26
_DTYPES = {0: "float32", 2: "int32", 3: "uint8", 9: "int8"}  # TensorType; the rest by number


@dataclass(frozen=True, slots=True)
class TensorSummary:
    """An input or output of the signature: dtype by numpy's name, int8 scale (0 if none)."""

    dtype: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int


@dataclass(frozen=True, slots=True)
class FileSummary:
    """The signature's tensors by name, our metadata (empty if none), and whether it is sealed."""

    inputs: dict[str, TensorSummary]
    outputs: dict[str, TensorSummary]
    metadata: dict[str, Any]
    sealed: bool


def read_facts(data: bytes, name: str) -> FileSummary:
    """Return what a .tflite file says about itself.

    Args:
      data: the bytes of the file.
      name: the file's name, for messages.
    Raises:
      UsageError: it is no .tflite file, is truncated or damaged, its seal does not fit its
        bytes, or it has no signature `serving_default`.
    """
    if data[4:8] != _IDENTIFIER:
        raise UsageError(f"{name} is not a .tflite file (no {_IDENTIFIER.decode()} at byte 4); "
                         f"{other_file(data) or 'make one with export/quantize.py'}")
    try:
        root = _Table(data, _unpack(data, "<I", 0))
        if root.scalar(0, "<I", 0) != 3:
            raise _Damaged("its schema version is not 3")
        metadata, region = _metadata(data, root)
        sealed = _check_seal(data, metadata, region)
        if not sealed:
            _walk(data, root)
        inputs, outputs = _signature(root)
    except _Damaged as error:
        raise UsageError(f"{name} is truncated or damaged: {error}; "
                         "fetch it or build it again") from None
    if not inputs and not outputs:
        raise UsageError(f"{name} has no signature {SIGNATURE}: it is not of this toolkit; "
                         "make one with export/quantize.py")
    return FileSummary(inputs, outputs, metadata, sealed)


def seal(data: bytes) -> bytes:
    """Return the .tflite file with its SHA-256 written into its metadata.

    The JSON of the entry `OACE_METADATA` must hold the key `content_sha256` with 64 hexadecimal
    digits, usually zeros; they are replaced by the SHA-256 of the file in which they are zeros.
    Nothing may be changed in the file afterwards; sealing it again is allowed.

    Raises:
      ValueError: the file has no such key.
    """
    _, region = _metadata(data, _Table(data, _unpack(data, "<I", 0)))
    place = _seal_place(data, region)
    if place is None:
        raise ValueError(f"the metadata {METADATA_NAME} has no key {SEAL_KEY} of 64 digits")
    blank = data[:place] + _BLANK_SEAL + data[place + 64:]
    return data[:place] + sha256_bytes(blank).encode() + data[place + 64:]


class _Damaged(ValueError):
    """An offset or number in the file cannot be."""


def _unpack(data: bytes, form: str, place: int) -> Any:
    """Return one number at a place; never before or behind the file."""
    if place < 0 or place + struct.calcsize(form) > len(data):
        raise _Damaged(f"it points to byte {place} of {len(data)}")
    return struct.unpack_from(form, data, place)[0]


class _Table:
    """A table of a flatbuffer, every access checked against the size of the file."""

    __slots__ = ("data", "place", "vtable", "slots", "size")

    def __init__(self, data: bytes, place: int) -> None:
        self.data, self.place = data, place
        self.vtable = place - _unpack(data, "<i", place)
        length = _unpack(data, "<H", self.vtable)
        self.size = _unpack(data, "<H", self.vtable + 2)
        if length < 4 or length % 2 or self.size < 4:
            raise _Damaged(f"the table at byte {place} is malformed")
        _unpack(data, "<H", self.vtable + length - 2)  # vtable and table end within the file
        _unpack(data, "<B", place + self.size - 1)
        self.slots = length // 2 - 2

    def field(self, slot: int) -> int | None:
        """Return the place of a field, None if it is not there."""
        if slot >= self.slots:
            return None
        offset = _unpack(self.data, "<H", self.vtable + 4 + 2 * slot)
        if offset and not 4 <= offset < self.size:
            raise _Damaged(f"field {slot} of the table at byte {self.place} lies outside it")
        return self.place + offset if offset else None

    def scalar(self, slot: int, form: str, default: int) -> Any:
        """Return a number, `default` if it is not there."""
        place = self.field(slot)
        return default if place is None else _unpack(self.data, form, place)

    def target(self, slot: int) -> int | None:
        """Return the place that a field points to."""
        place = self.field(slot)
        return None if place is None else place + _unpack(self.data, "<I", place)

    def table(self, slot: int) -> _Table | None:
        """Return the table that a field points to."""
        place = self.target(slot)
        return None if place is None else _Table(self.data, place)

    def vector(self, slot: int, width: int) -> tuple[int, int]:
        """Return place and count of a vector of elements of `width` bytes; (0, 0) if none."""
        place = self.target(slot)
        if place is None:
            return 0, 0
        count = _unpack(self.data, "<I", place)
        if count * width > len(self.data) - place - 4:
            raise _Damaged(f"the vector at byte {place} is longer than the file")
        return place + 4, count

    def numbers(self, slot: int, form: str) -> tuple[Any, ...]:
        """Return a vector of numbers; `form` is one letter of struct."""
        place, count = self.vector(slot, struct.calcsize("<" + form))
        return struct.unpack_from(f"<{count}{form}", self.data, place)

    def text(self, slot: int) -> str:
        """Return a string."""
        place, count = self.vector(slot, 1)
        return self.data[place:place + count].decode("utf-8", "replace")

    def tables(self, slot: int) -> Iterator[_Table]:
        """Return the tables of a vector one by one."""
        place, count = self.vector(slot, 4)
        for entry in range(place, place + 4 * count, 4):
            yield _Table(self.data, entry + _unpack(self.data, "<I", entry))


def _region(data: bytes, buffer: _Table) -> tuple[int, int]:
    """Return place and length of a buffer's bytes, inside the flatbuffer or behind it."""
    offset, size = buffer.scalar(1, "<Q", 0), buffer.scalar(2, "<Q", 0)
    if offset > 1:
        if offset + size > len(data):
            raise _Damaged(f"it ends at byte {len(data)}, before the end of its weights at byte "
                           f"{offset + size}")
        return offset, size
    return buffer.vector(0, 1)


def _metadata(data: bytes, root: _Table) -> tuple[dict[str, Any], tuple[int, int]]:
    """Return our metadata and the place of its JSON in the file; ({}, (0, 0)) if none."""
    for entry in root.tables(6):
        if entry.text(0) != METADATA_NAME:
            continue
        index = entry.scalar(1, "<I", 0)
        buffers = list(root.tables(4))
        if index >= len(buffers):
            raise _Damaged(f"its metadata is in buffer {index} of {len(buffers)}")
        place, count = _region(data, buffers[index])
        try:
            metadata = json.loads(data[place:place + count].decode("utf-8"))
        except (ValueError, RecursionError):
            raise _Damaged("its metadata is not JSON") from None
        if not isinstance(metadata, dict):
            raise _Damaged("its metadata is no JSON object")
        return metadata, (place, count)
    return {}, (0, 0)


def _seal_place(data: bytes, region: tuple[int, int]) -> int | None:
    """Return where the 64 digits of the seal stand in the file."""
    start, count = region
    match = _SEAL.search(data, start, start + count)
    return None if match is None else match.start(1)


def _check_seal(data: bytes, metadata: dict[str, Any], region: tuple[int, int]) -> bool:
    """Return whether the file has a seal, which then fits its bytes."""
    if metadata.get(SEAL_KEY, _BLANK_SEAL.decode()) == _BLANK_SEAL.decode():
        return False
    if _seal_place(data, region) is None or seal(data) != data:
        raise _Damaged("its bytes do not have the SHA-256 that it was sealed with")
    return True


def _signature(root: _Table) -> tuple[dict[str, TensorSummary], dict[str, TensorSummary]]:
    """Return inputs and outputs of the signature by name; empty if there is none."""
    graphs = list(root.tables(2))
    for signature in root.tables(7):
        if signature.text(2) != SIGNATURE:
            continue
        index = signature.scalar(4, "<I", 0)
        if index >= len(graphs):
            raise _Damaged(f"its signature names subgraph {index} of {len(graphs)}")
        tensors = list(graphs[index].tables(0))
        sides: list[dict[str, TensorSummary]] = [{}, {}]
        for slot in (0, 1):
            for entry in signature.tables(slot):
                tensor = entry.scalar(1, "<I", 0)
                if tensor >= len(tensors):
                    raise _Damaged(f"its signature names tensor {tensor} of {len(tensors)}")
                sides[slot][entry.text(0)] = _tensor_summary(tensors[tensor])
        return sides[0], sides[1]
    return {}, {}


def _tensor_summary(tensor: _Table) -> TensorSummary:
    """Return dtype, shape and quantization of a tensor."""
    code = tensor.scalar(1, "<b", 0)
    parameters = tensor.table(4)
    scales = parameters.numbers(2, "f") if parameters else ()
    zeros = parameters.numbers(3, "q") if parameters else ()
    return TensorSummary(_DTYPES.get(code, f"type {code}"), tensor.numbers(0, "i"),
                         scales[0] if scales else 0.0, zeros[0] if zeros else 0)


def _walk(data: bytes, root: _Table) -> None:
    """Check every offset and index that an interpreter will follow; _Damaged if one is wrong."""
    codes = sum(1 for _ in root.tables(1))
    buffers = 0
    for buffer in root.tables(4):
        _region(data, buffer)
        buffers += 1
    graphs = 0
    for graph in root.tables(2):
        graphs += 1
        tensors = 0
        for tensor in graph.tables(0):
            tensors += 1
            tensor.text(3)
            _tensor_summary(tensor)
            shape = tensor.numbers(0, "i")
            if tensor.scalar(2, "<I", 0) >= buffers or min(shape, default=0) < 0 or (
                    math.prod(shape) > _MAX_ELEMENTS):
                raise _Damaged(f"tensor {tensors - 1} has no buffer or an impossible shape")
        indices = [*graph.numbers(1, "i"), *graph.numbers(2, "i")]
        for operator in graph.tables(3):
            indices += [*operator.numbers(1, "i"), *operator.numbers(2, "i")]
            operator.table(4)
            if operator.scalar(0, "<I", 0) >= codes:
                raise _Damaged("an operator has no code")
        if any(not -1 <= index < tensors for index in indices):
            raise _Damaged(f"an operator names a tensor that is not among the {tensors}")
    if not graphs:
        raise _Damaged("it holds no graph")
