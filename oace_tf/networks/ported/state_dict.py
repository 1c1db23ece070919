"""PyTorch `.pth` state dicts -> numpy arrays by name, without PyTorch and without unpickling.

Two formats: the one before PyTorch 1.6 (five pickles in a row, then the raw storages) and the zip
archive since then. A pickle is a program; this reader runs it on a machine of its own that knows
numbers, strings, tuples, lists, dicts and tensors. Everything else (what a trainer keeps beside the
weights: arguments, numpy scalars, dates) stays an object that is named and never built: no class is
looked up, no function of the file's choice is ever called.
"""

import io
import math
import pickletools
import struct
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import numpy as np

from oace_tf.errors import UsageError, quoted
from oace_tf.networks.ported.containers import (
    SAVE_ALONE,
    Refused,
    refuse_other_files,
    state_dict_choice,
)

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001

# Storage class of torch -> numpy dtype of its elements; bfloat16 is widened to float32 later.
STORAGE_DTYPES = {
    "FloatStorage": "f4", "DoubleStorage": "f8", "HalfStorage": "f2", "BFloat16Storage": "u2",
    "LongStorage": "i8", "IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1",
    "ByteStorage": "u1", "BoolStorage": "u1", "ComplexFloatStorage": "c8",
    "ComplexDoubleStorage": "c16", "QInt8Storage": "i1", "QUInt8Storage": "u1",
    "QInt32Storage": "i4",
}
ORDERED_DICT = "collections OrderedDict"
REBUILD_TENSOR = "torch._utils _rebuild_tensor_v2"
REBUILD_PARAMETERS = ("torch._utils _rebuild_parameter",
                      "torch._utils _rebuild_parameter_with_state")
REBUILD_TYPED = "torch._tensor _rebuild_from_type_v2"

DEFAULT_DICT = "collections defaultdict"
_MOST_VIEWS = 8  # times the numbers of a file that its tensors may have: tied weights

MAX_DIMENSIONS = 32  # numpy 1.26 has no more


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
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); give a .pth file") from None
    try:
        refuse_other_files(data)
        tensors, storages = _read_zip(data) if data[:2] == b"PK" else _read_legacy(data)
        _refuse_claims(tensors, storages)
        return {name: _view(name, tensor, storages) for name, tensor in tensors.items()}
    except Refused as error:
        raise UsageError(f"{path}: {error}") from None
    except (ValueError, zipfile.BadZipFile, NotImplementedError, EOFError, struct.error) as error:
        raise UsageError(f"{path}: not a whole PyTorch state dict: {quoted(str(error), 300)}; "
                         "fetch the file again") from None


@dataclass(frozen=True, slots=True)
class _Global:
    """A name that the pickle asks for; never looked up."""

    name: str


class _Unbuilt:
    """Something that the pickle would build of a class or function that is not known here."""

    def __init__(self, name: str) -> None:
        self.name = quoted(name.replace(" ", "."))


@dataclass(frozen=True, slots=True)
class _Storage:
    """A reference to a storage: its key, torch's class name, its count of elements."""

    key: str
    kind: str
    count: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A view of a storage; offset and stride in elements."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


_MARK = object()


class _Machine:
    """Runs one pickle from a stream and leaves the stream right behind it."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, _Storage] = {}

    def run(self, stream: io.BytesIO) -> Any:
        """Return what the pickle builds; ValueError where it cannot be read."""
        # genops reads lazily, checks every length against what is left, and ends after STOP.
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name == "STOP":
                return self.pop()
            if opcode.name in _CONSTANTS:
                self.stack.append(_CONSTANTS[opcode.name])
            elif opcode.name in _LITERALS:
                self.stack.append(argument)
            elif opcode.name in _ACTIONS:
                _ACTIONS[opcode.name](self, argument)
            elif opcode.name not in ("PROTO", "FRAME"):
                raise ValueError(f"the pickle uses {opcode.name}; refused")
        raise ValueError("the pickle has no end")

    def pop(self) -> Any:
        """Return and remove the top of the stack, which must be a value."""
        if not self.stack or self.stack[-1] is _MARK:
            raise ValueError("the pickle takes from an empty stack")
        return self.stack.pop()

    def pop_many(self, count: int) -> tuple[Any, ...]:
        """Return the top `count` values, in the order in which they were put there."""
        return tuple(self.pop() for _ in range(count))[::-1]

    def pop_to_mark(self) -> tuple[Any, ...]:
        """Return the values above the last mark and remove them and the mark."""
        values = []
        while self.stack and self.stack[-1] is not _MARK:
            values.append(self.stack.pop())
        if not self.stack:
            raise ValueError("the pickle misses a mark")
        self.stack.pop()
        return tuple(values[::-1])

    def top(self, kind: type) -> Any:
        """Return the top of the stack, which must be of `kind`, or is something unbuilt."""
        if self.stack and isinstance(self.stack[-1], _Unbuilt):
            return kind()  # filled, and lost
        if not self.stack or type(self.stack[-1]) is not kind:
            raise ValueError(f"the pickle fills something that is no {kind.__name__}")
        return self.stack[-1]

    def mark(self, _: Any) -> None:
        """MARK."""
        self.stack.append(_MARK)

    def put(self, index: int) -> None:
        """BINPUT and kin; the memo is a dict, so a huge index costs nothing."""
        value = self.pop()
        self.stack.append(value)
        self.memo[index] = value

    def get(self, index: int) -> None:
        """BINGET and kin."""
        if index not in self.memo:
            raise ValueError(f"the pickle recalls entry {index}, which it never stored")
        self.stack.append(self.memo[index])

    def append(self, values: tuple[Any, ...]) -> None:
        """APPEND, APPENDS."""
        self.top(list).extend(values)

    def set_items(self, values: tuple[Any, ...]) -> None:
        """SETITEM, SETITEMS: entries under names and whole numbers; others are left out."""
        target = self.top(dict)
        if len(values) % 2:
            raise ValueError("the pickle gives a key without a value")
        for key, value in zip(values[::2], values[1::2]):
            if type(key) in (str, int):  # no tuples: hashing shared nested ones never ends
                target[key] = value

    def find_global(self, name: str) -> None:
        """GLOBAL: a name, kept as such."""
        self.stack.append(_Global(name))

    def stack_global(self) -> None:
        """STACK_GLOBAL: the same, with module and name on the stack."""
        module, name = self.pop_many(2)
        if type(module) is not str or type(name) is not str:
            raise ValueError("the pickle asks for something without a name")
        self.find_global(f"{module} {name}")

    def reduce(self) -> None:
        """REDUCE: an ordered dict, a tensor or a parameter, built here; else nothing is built."""
        function, arguments = self.pop_many(2)
        if isinstance(function, _Unbuilt):
            self.stack.append(function)
            return
        if not isinstance(function, _Global) or type(arguments) is not tuple:
            raise ValueError("the pickle calls something that is no function")
        if function.name in (ORDERED_DICT, DEFAULT_DICT) and len(arguments) <= 1:
            if arguments and not isinstance(arguments[0], _Global):
                raise ValueError(f"the pickle calls {function.name.replace(' ', '.')} wrongly")
            self.stack.append({})
        elif function.name == REBUILD_TENSOR:
            self.stack.append(_rebuild_tensor(arguments))
        elif function.name == REBUILD_TYPED and len(arguments) == 4 and (
                arguments[0] == _Global(REBUILD_TENSOR)) and type(arguments[2]) is tuple:
            self.stack.append(_rebuild_tensor(arguments[2]))
        elif function.name in REBUILD_PARAMETERS and arguments and isinstance(
                arguments[0], _Tensor):
            self.stack.append(arguments[0])
        else:
            self.stack.append(_Unbuilt(function.name))

    def make(self, count: int) -> None:
        """NEWOBJ, NEWOBJ_EX: a class and what it is made of; nothing is built."""
        made = self.pop_many(count)[0]
        self.stack.append(_Unbuilt(made.name if isinstance(made, (_Global, _Unbuilt)) else "?"))

    def instance(self, name: str | None) -> None:
        """INST, OBJ: the same of protocol 0 and 1."""
        values = self.pop_to_mark()
        first = values[0] if values and name is None else None
        self.stack.append(_Unbuilt(name or (first.name if isinstance(first, _Global) else "?")))

    def drop_to_mark(self, _: Any) -> None:
        """POP_MARK."""
        self.pop_to_mark()

    def drop(self, _: Any) -> None:
        """POP: also a mark, as Python's own does."""
        if not self.stack:
            raise ValueError("the pickle takes from an empty stack (POP)")
        self.stack.pop()

    def repeat(self, _: Any) -> None:
        """DUP."""
        value = self.pop()
        self.stack += [value, value]

    def collect(self, kind: str) -> None:
        """LIST, DICT, FROZENSET of what is above the mark."""
        values = self.pop_to_mark()
        if kind == "LIST":
            self.stack.append(list(values))
        elif kind == "DICT":
            self.stack.append({})
            self.set_items(values)
        else:
            self.stack.append(_Unbuilt("builtins frozenset"))

    def add_items(self, _: Any) -> None:
        """ADDITEMS: into a set, which is not built."""
        self.pop_to_mark()
        if not self.stack or not isinstance(self.stack[-1], _Unbuilt):
            raise ValueError("the pickle fills something that is no set")

    def build(self) -> None:
        """BUILD: attributes of an ordered dict (torch's `_metadata`); left out."""
        self.pop()
        if self.stack and isinstance(self.stack[-1], _Tensor):
            return  # a parameter's own attributes
        self.top(dict)

    def persistent(self) -> None:
        """BINPERSID: ("storage", class, key, device, count[, view])."""
        reference = self.pop()
        if type(reference) is not tuple or len(reference) not in (5, 6) or (
                reference[0] != "storage" or not isinstance(reference[1], _Global)):
            raise ValueError("the pickle refers to something that is no storage")
        module, _, kind = reference[1].name.partition(" ")
        if module == "torch" and kind not in STORAGE_DTYPES:
            raise Refused(f"it keeps numbers as torch.{quoted(kind, 40)}, which is not known here; "
                          "save the state dict as float32: {k: v.float() for k, v in ...}")
        key, count = reference[2], reference[4]
        if module != "torch" or type(key) is not str or not _is_count(count):
            raise ValueError("the pickle refers to a storage in an unknown way")
        if reference[5:] not in ((), (None,)):
            raise ValueError("the pickle has views of storages (PyTorch before 0.4); refused")
        storage = _Storage(key, kind, count)
        if self.storages.setdefault(key, storage) != storage:
            raise ValueError(f"the pickle describes storage {key} in two ways")
        self.stack.append(storage)


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_LITERALS = ("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE",
             "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING", "BINBYTES",
             "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "INT", "LONG", "FLOAT", "STRING",
             "UNICODE")
_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": lambda machine, _: machine.put(len(machine.memo)),
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "EMPTY_DICT": lambda machine, _: machine.stack.append({}),
    "EMPTY_LIST": lambda machine, _: machine.stack.append([]),
    "TUPLE": lambda machine, _: machine.stack.append(machine.pop_to_mark()),
    "TUPLE1": lambda machine, _: machine.stack.append(machine.pop_many(1)),
    "TUPLE2": lambda machine, _: machine.stack.append(machine.pop_many(2)),
    "TUPLE3": lambda machine, _: machine.stack.append(machine.pop_many(3)),
    "APPEND": lambda machine, _: machine.append(machine.pop_many(1)),
    "APPENDS": lambda machine, _: machine.append(machine.pop_to_mark()),
    "SETITEM": lambda machine, _: machine.set_items(machine.pop_many(2)),
    "SETITEMS": lambda machine, _: machine.set_items(machine.pop_to_mark()),
    "GLOBAL": _Machine.find_global,
    "STACK_GLOBAL": lambda machine, _: machine.stack_global(),
    "REDUCE": lambda machine, _: machine.reduce(),
    "NEWOBJ": lambda machine, _: machine.make(2),
    "NEWOBJ_EX": lambda machine, _: machine.make(3),
    "INST": _Machine.instance,
    "OBJ": _Machine.instance,
    "POP": _Machine.drop,
    "POP_MARK": _Machine.drop_to_mark,
    "DUP": _Machine.repeat,
    "LIST": lambda machine, _: machine.collect("LIST"),
    "DICT": lambda machine, _: machine.collect("DICT"),
    "FROZENSET": lambda machine, _: machine.collect("FROZENSET"),
    "EMPTY_SET": lambda machine, _: machine.stack.append(_Unbuilt("builtins set")),
    "ADDITEMS": _Machine.add_items,
    "PUT": _Machine.put,
    "GET": _Machine.get,
    "BUILD": lambda machine, _: machine.build(),
    "BINPERSID": lambda machine, _: machine.persistent(),
}


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**62


def _rebuild_tensor(arguments: tuple[Any, ...]) -> _Tensor:
    """Return the tensor of `_rebuild_tensor_v2(storage, offset, size, stride, ...)`."""
    if len(arguments) not in (6, 7):
        raise ValueError(f"a tensor is built from {len(arguments)} values, expected 6 or 7")
    storage, offset, size, stride = arguments[:4]
    shape_ok = type(size) is tuple and type(stride) is tuple and len(size) == len(stride)
    if not isinstance(storage, _Storage) or not shape_ok or len(size) > MAX_DIMENSIONS or not all(
            _is_count(number) for number in (offset, *size, *stride)):
        raise ValueError("a tensor's storage, offset, size or stride is not what it should be")
    return _Tensor(storage, offset, size, stride)


def _state_dict(value: Any) -> dict[str, _Tensor]:
    """Return the state dict in `value`: itself, or what is under one of its keys."""
    if isinstance(value, _Unbuilt):
        raise Refused(f"the pickle asks for {value.name}, which is never built here: this is a "
                      "whole model or another object; save its state dict: "
                      "torch.save(model.state_dict(), ...)")
    if not isinstance(value, dict):
        raise Refused(f"it holds a {_kind(value)}, expected a dict of tensors; save the state "
                      "dict: torch.save(model.state_dict(), ...)")
    way, chosen = state_dict_choice(value, lambda entry: isinstance(entry, _Tensor))
    inner = "".join(f"[{key!r}]" for key in way)
    tensors = {}
    for name, tensor in chosen.items():
        if tensor is None or str(name).endswith("_extra_state"):
            continue  # neither holds a weight
        if not isinstance(name, str) or not isinstance(tensor, _Tensor):
            raise Refused(f"entry {quoted(repr(name), 60)} of checkpoint{inner} is a "
                          f"{_kind(tensor)}, expected a tensor; {SAVE_ALONE}")
        tensors[name] = tensor
    return tensors


def _kind(value: Any) -> str:
    return value.name if isinstance(value, _Unbuilt) else type(value).__name__.strip("_")


def _refuse_claims(tensors: Mapping[str, _Tensor], storages: Mapping[str, np.ndarray]) -> None:
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


def _read_legacy(data: bytes) -> tuple[dict[str, _Tensor], dict[str, np.ndarray]]:
    """Return tensors and storages of the format before PyTorch 1.6."""
    stream = io.BytesIO(data)
    if _Machine().run(stream) != LEGACY_MAGIC or _Machine().run(stream) != LEGACY_PROTOCOL:
        raise ValueError("it does not start as one")
    _Machine().run(stream)  # sizes of short, int, long where it was written; unused by torch too
    machine = _Machine()
    tensors = _state_dict(machine.run(stream))
    keys = _Machine().run(stream)
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


def _read_zip(data: bytes) -> tuple[dict[str, _Tensor], dict[str, np.ndarray]]:
    """Return tensors and storages of the zip format (PyTorch 1.6 and later)."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        pickles = [name for name in archive.namelist() if name.split("/")[1:] == ["data.pkl"]]
        if len(pickles) != 1:
            raise ValueError("the archive holds no data.pkl")
        folder = pickles[0].split("/")[0]
        tensors = _state_dict(_Machine().run(io.BytesIO(_member(archive, pickles[0]))))
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


def _view(name: str, tensor: _Tensor, storages: dict[str, np.ndarray]) -> np.ndarray:
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
