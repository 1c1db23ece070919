"""PyTorch `.pth` state dicts -> numpy arrays by name, without PyTorch and without unpickling.

Two formats: the one before PyTorch 1.6 (five pickles in a row, then the raw storages) and the zip
archive since then. Their pickles run on `pickle_machine.PickleMachine`, which builds nothing but
numbers, strings, tuples, lists, dicts and tensors.
"""

import io
import math
import struct
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from oace_tf.errors import UsageError, quoted
from oace_tf.fileio import read_bytes
from oace_tf.networks.ported.containers import (
    SAVE_ALONE,
    Refused,
    refuse_other_files,
    state_dict_choice,
)
from oace_tf.networks.ported.pickle_machine import (
    STORAGE_DTYPES,
    PickleMachine,
    Tensor,
    Unbuilt,
)

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
_MOST_BYTES = 2**32  # of a file; networks of this kind have a hundredth
_MOST_VIEWS = 8  # times the numbers of a file that its tensors may have: tied weights


def read_pth(path: str | Path) -> dict[str, np.ndarray]:
    """Return the tensors of a PyTorch state dict, by name, in the file's order.

    A checkpoint that holds the state dict under a key (`state_dict`, `model`, ...; see
    `state_dict_choice`) is accepted too; what else it holds is left out, and never built.

    Args:
      path: a file written by `torch.save`, either format.
    Returns:
      name -> read-only array of the tensor's shape, float32, float64, float16, bool or whole
      numbers as stored; bfloat16 comes as float32. Arrays may be strided views that share memory
      when the tensors in the file did.
    Raises:
      UsageError: the file is missing, truncated or damaged, is no state dict, or holds something
        else than tensors in it; says which key, and what to do.
    """
    path = Path(path)
    data = read_bytes(path, _MOST_BYTES)
    try:
        refuse_other_files(data, ".pth")
        tensors, storages = _read_zip(data) if data[:2] == b"PK" else _read_legacy(data)
        _refuse_claims(tensors, storages)
        return {name: _view(name, tensor, storages) for name, tensor in tensors.items()}
    except Refused as error:
        raise UsageError(f"{path}: {error}") from None
    except (ValueError, zipfile.BadZipFile, NotImplementedError, EOFError, struct.error) as error:
        raise UsageError(f"{path}: not a whole PyTorch state dict: {quoted(str(error), 300)}; "
                         "fetch the file again") from None


def _state_dict(value: Any) -> dict[str, Tensor]:
    """Return the state dict in `value`: itself, or what is under one of its keys."""
    if isinstance(value, Unbuilt):
        raise Refused(f"the pickle asks for {value.name}, which is never built here: this is a "
                      "whole model or another object; save its state dict: "
                      "torch.save(model.state_dict(), ...)")
    if not isinstance(value, dict):
        raise Refused(f"it holds a {_kind(value)}, expected a dict of tensors; save the state "
                      "dict: torch.save(model.state_dict(), ...)")
    way, chosen = state_dict_choice(value, lambda entry: isinstance(entry, Tensor))
    inner = "".join(f"[{key!r}]" for key in way)
    tensors = {}
    for name, tensor in chosen.items():
        if tensor is None or str(name).endswith("_extra_state"):
            continue  # neither holds a weight
        if not isinstance(name, str):
            raise Refused(f"entry {quoted(repr(name), 60)} of checkpoint{inner} has a number for a "
                          "name; save the state dict: torch.save(model.state_dict(), ...)")
        if not isinstance(tensor, Tensor):
            raise Refused(f"entry {quoted(repr(name), 60)} of checkpoint{inner} is a "
                          f"{_kind(tensor)}, expected a tensor; {SAVE_ALONE}")
        tensors[name] = tensor
    return tensors


def _kind(value: Any) -> str:
    return value.name if isinstance(value, Unbuilt) else type(value).__name__.strip("_")


def _refuse_claims(tensors: Mapping[str, Tensor], storages: Mapping[str, np.ndarray]) -> None:
    """Refuse views of one storage that claim far more numbers than the file has."""
    claimed = sum(math.prod(tensor.size) for tensor in tensors.values())
    held = sum(storage.size for storage in storages.values())
    if claimed > _MOST_VIEWS * held + 2**16:
        raise ValueError(f"its tensors claim {claimed} numbers, it holds {held}")


def _elements(kind: str, raw: memoryview, order: str) -> np.ndarray:
    """Return the elements of a storage, (N,), without a copy where the dtype allows it."""
    stored = np.frombuffer(raw, np.dtype(order + STORAGE_DTYPES[kind]))
    if kind == "BFloat16Storage":  # the upper half of a float32
        wide = np.left_shift(stored.astype(np.uint32), 16).view(np.float32)
        wide.flags.writeable = False
        return wide
    if kind == "BoolStorage":
        return stored != 0
    return stored if order == "<" else stored.astype(stored.dtype.newbyteorder("="))


def _read_legacy(data: bytes) -> tuple[dict[str, Tensor], dict[str, np.ndarray]]:
    """Return tensors and storages of the format before PyTorch 1.6."""
    stream = io.BytesIO(data)
    for number in (LEGACY_MAGIC, LEGACY_PROTOCOL):
        start = PickleMachine().run(stream)
        if isinstance(start, (dict, list, tuple, Unbuilt)):
            raise Refused("it is a pickle that torch.save did not write; read it as it was "
                          "written, and save the state dict: torch.save(model.state_dict(), ...)")
        if start != number:
            raise ValueError("it does not start as one")
    PickleMachine().run(stream)  # sizes of short, int, long where it was written; torch skips them
    machine = PickleMachine()
    tensors = _state_dict(machine.run(stream))
    keys = PickleMachine().run(stream)
    if type(keys) is not list or not all(type(key) is str for key in keys):
        raise ValueError("its list of storages is damaged")
    wanted = machine.storages  # those of other entries of a checkpoint too: they must be skipped
    storages = {}
    place = stream.tell()
    for key in keys:
        if len(data) - place < 8:
            raise ValueError(f"it ends at byte {len(data)}, before storage {key}")
        (count,) = struct.unpack_from("<q", data, place)
        place += 8
        if key not in wanted or count != wanted[key].count:
            raise ValueError(f"storage {key} has {count} elements, which no tensor expects")
        size = count * np.dtype(STORAGE_DTYPES[wanted[key].kind]).itemsize
        if size > len(data) - place:
            raise ValueError(f"it ends at byte {len(data)}, within storage {key}")
        # torch writes these little-endian on every machine.
        storages[key] = _elements(wanted[key].kind, memoryview(data)[place:place + size], "<")
        place += size
    if place != len(data):
        raise ValueError(f"{len(data) - place} bytes follow its end")
    return tensors, storages


def _read_zip(data: bytes) -> tuple[dict[str, Tensor], dict[str, np.ndarray]]:
    """Return tensors and storages of the zip format (PyTorch 1.6 and later)."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        pickles = [name for name in archive.namelist() if name.split("/")[1:] == ["data.pkl"]]
        if len(pickles) != 1:
            names = ", ".join(archive.namelist()[:3])
            raise Refused("it is a zip archive without a data.pkl, which torch.save did not write "
                          f"(it holds {quoted(names) or 'nothing'}); unpack it where the "
                          "checkpoint is inside, or save the state dict: "
                          "torch.save(model.state_dict(), ...)")
        folder = pickles[0].split("/")[0]
        tensors = _state_dict(PickleMachine().run(io.BytesIO(_member(archive, pickles[0]))))
        order = "<"
        if f"{folder}/byteorder" in archive.namelist():
            name = _member(archive, f"{folder}/byteorder")
            if name not in (b"little", b"big"):
                raise ValueError(f"its byte order is {name[:20]!r}")
            order = "<" if name == b"little" else ">"
        storages: dict[str, np.ndarray] = {}
        held = 0
        for storage in {tensor.storage for tensor in tensors.values()}:
            key = storage.key
            raw = _member(archive, f"{folder}/data/{key}")
            size = storage.count * np.dtype(STORAGE_DTYPES[storage.kind]).itemsize
            if len(raw) != size:
                raise ValueError(f"storage {key} has {len(raw)} bytes, expected {size}")
            held += size
            if held > len(data):  # one member under many names
                raise ValueError("its storages lie on each other")
            storages[key] = _elements(storage.kind, memoryview(raw), order)
    return tensors, storages


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return one file of the archive; its checksum is checked by zipfile."""
    if name not in archive.namelist():
        raise ValueError(f"the archive holds no {name}")
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:  # torch never compresses
        raise ValueError(f"{name} is compressed")
    try:
        return archive.read(name)
    except (RuntimeError, OSError, struct.error) as error:  # encrypted; a bad place in the file
        raise ValueError(f"{name} cannot be read ({error})") from None


def _view(name: str, tensor: Tensor, storages: dict[str, np.ndarray]) -> np.ndarray:
    """Return the tensor as a read-only view of its storage."""
    if tensor.storage.key not in storages:
        raise ValueError(f"{name}: its storage {tensor.storage.key} is missing")
    flat = storages[tensor.storage.key]
    if max(tensor.size, default=0) > sys.maxsize:  # beside a size of 0 it would need no storage
        raise ValueError(f"{name}: shape {tensor.size} does not fit its storage of {len(flat)}")
    elements = 1
    last = tensor.offset
    for size, stride in zip(tensor.size, tensor.stride):
        elements *= size
        last += (size - 1) * stride
    if elements == 0:
        empty = np.zeros(tensor.size, flat.dtype)
        empty.flags.writeable = False
        return empty
    # More elements than the storage has (stride 0) would let a small file claim any memory.
    if last >= len(flat) or elements > len(flat):
        raise ValueError(f"{name}: shape {tensor.size} does not fit its storage of {len(flat)}")
    # The stride along a side of one element says nothing, and may be any number.
    strides = tuple(stride * flat.itemsize if size > 1 else 0
                    for size, stride in zip(tensor.size, tensor.stride))
    return np.lib.stride_tricks.as_strided(
        flat[tensor.offset:], tensor.size, strides, writeable=False)
