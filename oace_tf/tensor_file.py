"""Safetensors files that carry a checksum of their content.

Safetensors checks that a file is whole, not that its bits are right. So the metadata hold
`content_sha256`: the SHA-256 over every other entry of the metadata and over the name, dtype, shape
and bytes of every tensor, each in the order of the names.
"""
from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from oace_tf.errors import UsageError, quoted
from oace_tf.fileio import PathLike, atomic_write, read_start
from oace_tf.other_files import other_file

CHECKSUM = "content_sha256"
_KINDS = frozenset(("F64", "F32", "F16", "BOOL", *(f"{sign}{bits}" for sign in "IU"
                                                   for bits in (8, 16, 32, 64))))
PAIR_FORMAT = "oace-pair-1"  # the `format` of a weights file (networks/weights.py)
PORTED_FORMAT = "oace-ported-1"  # of a network from another place (networks/ported.py)


def content_sha256(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> str:
    """Return the checksum of tensors and metadata (an entry `content_sha256` is left out)."""
    digest = hashlib.sha256()
    entries = sorted((key, text) for key, text in metadata.items() if key != CHECKSUM)
    digest.update(json.dumps(entries).encode())
    for name in sorted(tensors):
        array = np.asarray(tensors[name])
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def format_of(path: PathLike) -> str | None:
    """Return the `format` that a safetensors file names; None where it is no such file."""
    try:
        with safe_open(str(Path(path)), framework="np") as file:
            return (file.metadata() or {}).get("format")
    except (SafetensorError, OSError, ValueError, TypeError):
        return None


def write_tensors(path: PathLike, tensors: Mapping[str, np.ndarray],
                  metadata: Mapping[str, str]) -> None:
    """Write tensors and metadata beside `path`, checksum added, and move them there.

    Raises:
      UsageError: the file cannot be written.
    """
    # `np.ascontiguousarray` would make a vector of a scalar.
    contiguous = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    checked = {**metadata, CHECKSUM: content_sha256(contiguous, metadata)}
    atomic_write(path, save(contiguous, checked))


def read_tensors(path: PathLike, expected: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return (tensors as stored, metadata) of a file that `write_tensors` wrote.

    Args:
      path: an existing file.
      expected: what its metadata must name as `format`.
    Raises:
      UsageError: missing, truncated or damaged, of another format or kind of numbers, or content
        unlike its checksum.
    """
    start = read_start(path)
    try:
        with safe_open(str(Path(path)), framework="np") as file:
            metadata = dict(file.metadata() or {})
            if metadata.get("format") != expected:
                raise UsageError(f"{path}: holds format {quoted(repr(metadata.get('format')))}, "
                                 f"expected {expected!r}; it was not written by this project")
            for name in file.keys():
                kind = file.get_slice(name).get_dtype()
                if kind not in _KINDS:
                    raise UsageError(f"{path}: tensor {quoted(name)} holds {kind} numbers, a kind "
                                     "that is not read here; save it as float32")
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"{path}: not a whole safetensors file ({error}); "
                         f"{other_file(start) or 'take a fresh copy'}") from error
    digest, written = content_sha256(tensors, metadata), metadata.get(CHECKSUM)
    if digest != written:
        raise UsageError(f"{path}: its content has SHA-256 {digest:.12}…, its metadata say "
                         f"{written or 'nothing':.12}…; it is damaged, take a fresh copy")
    return tensors, metadata
