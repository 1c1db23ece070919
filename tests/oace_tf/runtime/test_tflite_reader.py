"""Reading and sealing .tflite files, whole and damaged."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from export.tflite import model as tflite
from oace_tf.errors import UsageError
from oace_tf.runtime.tflite_reader import METADATA_NAME, SEAL_KEY, TensorSummary, read_facts, seal


def _unsealed(data: bytes) -> bytes:
    """Return the file with zeros for its seal, so that the walk is what checks it."""
    place = data.index(SEAL_KEY.encode()) + len(SEAL_KEY) + 4
    return data[:place] + b"0" * 64 + data[place + 64:]


def _damage(data: bytes, count: int) -> list[bytes]:
    """Return the file cut short and with single bits flipped, `count` times each."""
    rng = np.random.default_rng(11)
    cut = [data[:length] for length in rng.integers(0, len(data), count)]
    flipped = []
    for place, bit in zip(rng.integers(0, len(data), count), rng.integers(0, 8, count)):
        copy = bytearray(data)
        copy[place] ^= 1 << bit
        flipped.append(bytes(copy))
    return cut + flipped


def test_facts(tiny_int8: Path, tiny_float32: Path) -> None:
    facts = read_facts(tiny_int8.read_bytes(), "tiny")
    assert facts.inputs == {"image": TensorSummary("uint8", (1, 32, 32, 3), 1 / 128, 128),
                            "points": TensorSummary("float32", (1, 4, 3), 0.0, 0)}
    assert facts.outputs == {"mask": TensorSummary("uint8", (1, 32, 32, 1), 1 / 256, 0)}
    assert facts.metadata["click_channels"] == 2 and facts.metadata["interface"] == "points"
    assert facts.sealed
    assert read_facts(tiny_float32.read_bytes(), "tiny").inputs["image"].dtype == "float32"


def test_agrees_with_the_schema_reader(tiny_int8: Path) -> None:
    data = tiny_int8.read_bytes()
    model = tflite.parse(data)
    inputs, outputs = tflite.signature(model)
    facts = read_facts(data, "tiny")
    for name, index in {**inputs, **outputs}.items():
        tensor = tflite.graph(model).tensors[index]
        fact = {**facts.inputs, **facts.outputs}[name]
        assert fact.shape == tuple(tensor.shape) and fact.dtype == tflite.type_name(tensor)
        assert (fact.scale, fact.zero_point) == (tflite.scale_and_zero(tensor) or (0.0, 0))


def test_sealing(tiny_int8: Path) -> None:
    data = tiny_int8.read_bytes()
    assert seal(data) == data
    blank = _unsealed(data)
    assert blank != data and seal(blank) == data
    assert not read_facts(blank, "tiny").sealed
    model = tflite.parse(data)
    model.metadata = []
    with pytest.raises(ValueError, match=SEAL_KEY):
        seal(tflite.serialise(model))


def test_one_changed_byte_breaks_the_seal(tiny_int8: Path) -> None:
    data = bytearray(tiny_int8.read_bytes())
    place = data.index(b"Apache-2.0")
    data[place] ^= 1
    with pytest.raises(UsageError, match="SHA-256"):
        read_facts(bytes(data), "tiny")


@pytest.mark.parametrize("digits", [b"0" * 63 + b"1", b"G" * 64])
def test_wrong_seals(tiny_int8: Path, digits: bytes) -> None:
    blank = _unsealed(tiny_int8.read_bytes())
    with pytest.raises(UsageError, match="sealed"):
        read_facts(blank.replace(b'": "' + b"0" * 64 + b'"}', b'": "' + digits + b'"}'), "tiny")


def test_sealed_file_shows_every_damage(tiny_int8: Path) -> None:
    for damaged in _damage(tiny_int8.read_bytes(), 300):
        try:
            facts = read_facts(damaged, "tiny.tflite")
        except UsageError as error:
            assert "tiny.tflite" in str(error)
        else:  # a flip in the names `OACE_METADATA` or `content_sha256` itself
            assert SEAL_KEY not in facts.metadata and not facts.sealed


def test_unsealed_file_shows_every_truncation(tiny_int8: Path) -> None:
    data = _unsealed(tiny_int8.read_bytes())
    for length in range(0, len(data) - 4, 97):
        with pytest.raises(UsageError, match="tiny.tflite"):
            read_facts(data[:length], "tiny.tflite")


def test_unsealed_file_gives_facts_or_one_error(tiny_int8: Path) -> None:
    for damaged in _damage(_unsealed(tiny_int8.read_bytes()), 300):
        try:
            read_facts(damaged, "tiny.tflite")
        except UsageError as error:
            assert "tiny.tflite" in str(error)


@pytest.mark.parametrize("data", [
    b"", b"TFL3", b"\x1c\0\0\0TFL2" + bytes(99), b"PK\3\4" + bytes(9),
    b"\xff\xff\xff\xffTFL3" + bytes(99), b"\x08\0\0\0TFL3" + bytes(99)])
def test_what_is_no_tflite_file(data: bytes) -> None:
    with pytest.raises(UsageError, match="photo.jpg is"):
        read_facts(data, "photo.jpg")


def test_no_signature(tiny_int8: Path) -> None:
    model = tflite.parse(_unsealed(tiny_int8.read_bytes()))
    model.signatureDefs = []
    with pytest.raises(UsageError, match="no signature"):
        read_facts(tflite.serialise(model), "tiny")


def test_weights_behind_the_flatbuffer(tiny_int8: Path) -> None:
    """The quantizer stores buffers behind the flatbuffer: found there, and missed if cut off."""
    model = tflite.parse(_unsealed(tiny_int8.read_bytes()))
    record = b'{"version": "behind"}'
    entry = next(e for e in model.metadata if tflite.name_of(e) == METADATA_NAME)
    packed = b""
    for _ in range(2):  # the second time with the true offset, which does not change the length
        buffer = schema.BufferT()
        buffer.offset, buffer.size = len(packed) or 2**20, len(record)
        model.buffers[entry.buffer] = buffer
        builder = tflite.flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        packed = bytes(builder.Output())
    assert read_facts(packed + record, "tiny").metadata == {"version": "behind"}
    with pytest.raises(UsageError, match="ends at byte"):
        read_facts(packed + record[:-1], "tiny")


@pytest.mark.parametrize("record", [b"{", b"[1]", b"\xff", b"[" * 5000])
def test_metadata_that_is_no_json_object(tiny_int8: Path, record: bytes) -> None:
    model = tflite.parse(tiny_int8.read_bytes())
    entry = next(e for e in model.metadata if tflite.name_of(e) == METADATA_NAME)
    model.buffers[entry.buffer].data = np.frombuffer(record, np.uint8)
    with pytest.raises(UsageError, match="metadata"):
        read_facts(tflite.serialise(model), "tiny")


def _break(model: Any, change: str) -> None:
    graph = tflite.graph(model)
    if change == "operator input":
        graph.operators[0].inputs = [len(graph.tensors)]
    elif change == "operator code":
        graph.operators[0].opcodeIndex = len(model.operatorCodes)
    elif change == "buffer":
        graph.tensors[0].buffer = len(model.buffers)
    elif change == "shape":
        graph.tensors[0].shape = [2**16, 2**16]
    elif change == "negative shape":
        graph.tensors[0].shape = [-3]
    elif change == "signature":
        model.signatureDefs[0].inputs[0].tensorIndex = len(graph.tensors)
    elif change == "version":
        model.version = 2
    elif change == "metadata":
        model.metadata[-1].buffer = len(model.buffers)


@pytest.mark.parametrize("change", ["operator input", "operator code", "buffer", "shape",
                                    "negative shape", "signature", "version", "metadata"])
def test_indices_that_point_nowhere(tiny_int8: Path, change: str) -> None:
    model = tflite.parse(_unsealed(tiny_int8.read_bytes()))
    _break(model, change)
    with pytest.raises(UsageError, match="truncated or damaged"):
        read_facts(tflite.serialise(model), "tiny")
