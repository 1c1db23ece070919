"""Tensor files: what goes in comes out, and not one bit may change on the way."""
from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from oace_tf.errors import UsageError
from oace_tf.tensor_file import CHECKSUM, content_sha256, read_tensors, write_tensors

TENSORS: dict[str, np.ndarray] = {
    "b.weight": np.arange(12, dtype=np.float16).reshape(3, 4) / 8,
    "a": np.array([1, -2], np.int32), "scalar": np.array(3, np.int64),
    "empty": np.zeros((0, 4), np.float32)}
METADATA = {"format": "test-1", "record": '{"steps": 3}'}


@pytest.fixture()
def path(tmp_path):
    path = tmp_path / "t.safetensors"
    write_tensors(path, TENSORS, METADATA)
    return path


def test_round_trip(path):
    tensors, metadata = read_tensors(path, "test-1")
    assert metadata == {**METADATA, CHECKSUM: content_sha256(TENSORS, METADATA)}
    assert tensors.keys() == TENSORS.keys()
    for name, array in TENSORS.items():
        assert tensors[name].dtype == array.dtype
        np.testing.assert_array_equal(tensors[name], array, strict=True)


def test_a_flipped_bit_in_any_byte_is_noticed(path, tmp_path):
    whole, damaged = path.read_bytes(), tmp_path / "damaged.safetensors"
    for place, bit in enumerate(np.random.default_rng(0).integers(0, 8, len(whole))):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(bit)
        damaged.write_bytes(flipped)
        with pytest.raises(UsageError, match="damaged.safetensors") as caught:
            read_tensors(damaged, "test-1")
        assert "\n" not in str(caught.value)


def test_a_cut_is_noticed(path, tmp_path):
    whole, cut = path.read_bytes(), tmp_path / "cut.safetensors"
    for end in range(0, len(whole), 3):
        cut.write_bytes(whole[:end])
        with pytest.raises(UsageError, match="cut.safetensors"):
            read_tensors(cut, "test-1")
    cut.write_bytes(whole + b"\0")
    with pytest.raises(UsageError, match="cut.safetensors"):
        read_tensors(cut, "test-1")


def test_the_checksum_covers_names_types_shapes_bytes_and_metadata():
    ours = content_sha256(TENSORS, METADATA)
    assert ours == content_sha256(dict(reversed(TENSORS.items())), METADATA)
    assert ours == content_sha256(TENSORS, {**METADATA, CHECKSUM: "0"})
    array = TENSORS["b.weight"]
    for other in (array.T, array.reshape(2, 6), array.view(np.uint16), array + 1):
        assert content_sha256({**TENSORS, "b.weight": other}, METADATA) != ours
    renamed = {name.replace("a", "c"): value for name, value in TENSORS.items()}
    assert content_sha256(renamed, METADATA) != ours
    assert content_sha256(TENSORS, {**METADATA, "record": "{}"}) != ours


def test_files_of_others_are_refused(path, tmp_path):
    with pytest.raises(UsageError, match="'test-1', expected 'test-2'.*not written by"):
        read_tensors(path, "test-2")
    foreign = tmp_path / "foreign.safetensors"
    save_file({"x": np.zeros(3)}, foreign)
    with pytest.raises(UsageError, match="foreign.safetensors: holds format None"):
        read_tensors(foreign, "test-1")
    save_file({"x": np.zeros(3)}, foreign, {"format": "test-1"})
    with pytest.raises(UsageError, match="its metadata say nothing"):
        read_tensors(foreign, "test-1")


def test_a_failed_write_leaves_the_earlier_file(path, tmp_path):
    before = path.read_bytes()
    with pytest.raises(UsageError, match="cannot write"):
        write_tensors(path / "below", TENSORS, METADATA)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_opened_is_not_damaged(tmp_path):
    for path, words in ((tmp_path, "Is a directory"), (tmp_path / "none", "No such file"),
                        (tmp_path / ("x" * 300), "File name too long"), ("a\0b", "null byte")):
        with pytest.raises(UsageError, match=f"cannot read .*{words}") as caught:
            read_tensors(path, "test-1")
        assert "fresh copy" not in str(caught.value)


@pytest.mark.parametrize("kind, size", [("BF16", 2), ("F8_E4M3", 1)])
def test_numbers_of_another_kind_are_not_damaged(tmp_path, kind, size):
    header = json.dumps({"__metadata__": {"format": "test-1"},
                         "a": {"dtype": kind, "shape": [1], "data_offsets": [0, size]}}).encode()
    path = tmp_path / "other.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(size))
    with pytest.raises(UsageError, match="other.safetensors.*kind that is not read.*float32"):
        read_tensors(path, "test-1")
