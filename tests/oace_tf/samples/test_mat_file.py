"""SBD's .mat files: as scipy reads them, and damaged in every way within limits."""
from __future__ import annotations

import io
import random
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

from oace_tf.errors import UsageError
from oace_tf.samples.mat_file import MatFault, read_field
from oace_tf.samples.sbd import read_instances

scipy_io = pytest.importorskip("scipy.io")


def written(array: np.ndarray, compressed: bool = False, **more: object) -> bytes:
    """Return a file as SBD's are, by scipy."""
    file = io.BytesIO()
    scipy_io.savemat(file, {"other": np.ones(3), "GTinst": {
        "Segmentation": array, "Categories": np.array([[3], [5]], np.uint8),
        "Boundaries": np.array([[np.ones((2, 2))], [np.zeros((3, 3))]], object), **more}},
        do_compression=compressed)
    return file.getvalue()


def instances() -> np.ndarray:
    found = np.zeros((40, 61), np.uint8)
    found[5:20, 5:30], found[22:35, 10:50] = 1, 2
    return found


def read(data: bytes) -> np.ndarray:
    return read_field(data, "GTinst", "Segmentation")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("shape", [(40, 61), (1, 1), (1, 3), (2, 1), (7, 3)])
def test_it_reads_what_scipy_writes(compressed: bool, shape: tuple[int, int]) -> None:
    array = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    np.testing.assert_array_equal(read(written(array, compressed)), array)


@pytest.mark.parametrize(("data", "words"), [
    (written(instances().astype(float)), "no matrix of bytes"),
    (written(np.zeros((2, 2, 2), np.uint8)), "no matrix of bytes"),
    (written(instances())[:500], "cut short"), (written(instances(), True)[:300], "cut short"),
    (b"", "no MATLAB"), (b"MATLAB 7.3 MAT-file" + bytes(600), "save it with -v7"),
    (bytes(200), "no MATLAB")])
def test_other_files(data: bytes, words: str) -> None:
    with pytest.raises(MatFault, match=words):
        read(data)


def test_other_variables_and_fields() -> None:
    data = written(instances())
    with pytest.raises(MatFault, match="has no GTcls"):
        read_field(data, "GTcls", "Segmentation")
    with pytest.raises(MatFault, match="no field Other"):
        read_field(data, "GTinst", "Other")
    with pytest.raises(MatFault, match="no struct"):
        read_field(data, "other", "Segmentation")


def test_a_small_file_that_unpacks_to_much() -> None:
    packed = zlib.compress(bytes(2**28), 9)
    data = written(instances())[:128] + struct.pack("<II", 15, len(packed)) + packed
    with pytest.raises(MatFault, match="unpacks to more than"):
        read(data)


def damaged(data: bytes, dice: random.Random) -> bytes:
    """Return the file with flipped bits, cut, or with an odd number at a place of its head."""
    content = bytearray(data)
    kind = dice.random()
    for _ in range(dice.choice([1, 1, 2, 6, 30]) if kind < 0.6 else 0):
        content[dice.randrange(min(len(content), 500))] ^= 1 << dice.randrange(8)
    if kind >= 0.8:
        return bytes(content[:dice.randrange(len(content))])
    if kind >= 0.6:
        place = dice.randrange(128, min(len(content), 500)) & ~3
        content[place:place + 4] = dice.choice([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff",
                                                b"\0\0\0\x80"])
    return bytes(content)


def test_damaged_files_are_read_or_refused_at_once(tmp_path: Path) -> None:
    whole = [written(instances(), compressed) for compressed in (False, True)]
    path, dice, start, refused = tmp_path / "a.mat", random.Random(5), time.perf_counter(), 0
    for _ in range(1000):
        path.write_bytes(damaged(dice.choice(whole), dice))
        try:
            found = read_instances(path)
        except UsageError as error:
            refused += 1
            assert "a.mat is not a readable .mat file of SBD" in str(error)
        else:
            assert found.dtype == np.uint8 and found.ndim == 2
    assert refused > 300 and time.perf_counter() - start < 20  # 1 s, alone


def _element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def _matrix(number_class: int, sides: tuple[int, ...], name: bytes, *parts: bytes) -> bytes:
    return _element(14, _element(6, struct.pack("<II", number_class, 0)) + _element(
        5, struct.pack(f"<{len(sides)}i", *sides)) + _element(1, name) + b"".join(parts))


def _struct(width: int, names: bytes, *fields: bytes) -> bytes:
    return b"MATLAB 5.0".ljust(124) + b"\0\1IM" + _matrix(
        2, (1, 1), b"GTinst", _element(5, struct.pack("<i", width)), _element(1, names), *fields)


NAME = b"Segmentation".ljust(32, b"\0")


@pytest.mark.parametrize(("kind", "numbers"), [
    (9, struct.pack("<2d", 300, 1)), (9, struct.pack("<2d", float("nan"), 1)),
    (9, struct.pack("<2d", 0.5, 1)), (12, struct.pack("<2q", -1, 1)),
    (4, struct.pack("<2H", 256, 1))])
def test_numbers_that_are_no_bytes(kind: int, numbers: bytes) -> None:
    with pytest.raises(MatFault, match="no bytes"):
        read(_struct(32, NAME, _matrix(9, (1, 2), b"", _element(kind, numbers))))


def test_bytes_that_are_kept_as_other_numbers() -> None:
    field = _matrix(9, (1, 2), b"", _element(9, struct.pack("<2d", 255, 1)))
    assert read(_struct(32, NAME, field)).tolist() == [[255, 1]]


def test_a_field_twice() -> None:
    fields = [_matrix(9, (1, 1), b"", _element(2, bytes([number]))) for number in (1, 2)]
    with pytest.raises(MatFault, match="several fields"):
        read(_struct(32, NAME * 2, *fields))


@pytest.mark.parametrize("width", [1, 2])
def test_field_names_without_end_take_no_time(width: int) -> None:
    start = time.perf_counter()
    with pytest.raises(MatFault, match="field names"):
        read(_struct(width, b"a" * 20_000_000))
    assert time.perf_counter() - start < 1
