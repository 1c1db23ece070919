"""Files handed over in place of the one meant: every reader says what they are."""
from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from oace_tf.errors import UsageError
from oace_tf.fileio import read_json
from oace_tf.other_files import other_file, other_picture
from oace_tf.segmenter import TapSegmenter

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


def _numpy() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x", "y")
    return file.getvalue()


OTHERS = {
    "pointer": (POINTER, "git lfs pull"), "page": (b"\n<!doctype HTML>", "a web page"),
    "gzip": (gzip.compress(b"x"), "gunzip"), "xz": (b"\xfd7zXZ\0\0", "unxz"),
    "numpy": (_numpy(), "an array of numpy"), "hdf5": (b"\x89HDF\r\n\x1a\n", "HDF5"),
    "answer": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code>", "download the file again"),
    "zip": (_zip(), "unzip")}


def _safetensors(path: Path) -> object:
    from oace_tf.tensor_file import read_tensors

    return read_tensors(path, "any")


def _graph(path: Path) -> object:
    from export.convert.onnx_graph import load_graph

    return load_graph(path)


@pytest.mark.parametrize("read", [TapSegmenter, read_json, _safetensors, _graph])
@pytest.mark.parametrize("name", OTHERS)
def test_every_reader_says_what_it_was_given(tmp_path: Path, read: Callable[[Path], object],
                                             name: str) -> None:
    data, words = OTHERS[name]
    path = tmp_path / "given"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=words) as caught:
        read(path)
    assert "given" in str(caught.value) and "\n" not in str(caught.value)


def test_of_what_is_not_known_nothing_is_said() -> None:
    for data in (b"", b"text", bytes(600), b"\x1c\0\0\0TFL3"):
        assert other_file(data) == other_picture(data) == ""
    assert other_file(_zip(), archives=False) == ""
