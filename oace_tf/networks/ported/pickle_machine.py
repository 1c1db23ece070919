"""Pickle machine: runs a checkpoint's pickle, and builds of it plain values and tensors alone.

A pickle is a program; this machine knows numbers, strings, tuples, lists, dicts and tensors.
Everything else (what a trainer keeps beside the weights: arguments, numpy scalars, dates) stays an
object that is named and never built: no class is looked up, no function of the file's choice is
ever called.
"""

import io
import pickletools
from dataclasses import dataclass
from typing import Any, Callable

from oace_tf.errors import quoted
from oace_tf.networks.ported.containers import Refused

# Storage class of torch -> numpy dtype of its elements; bfloat16 is widened to float32 later.
STORAGE_DTYPES = {
    "FloatStorage": "f4", "DoubleStorage": "f8", "HalfStorage": "f2", "BFloat16Storage": "u2",
    "LongStorage": "i8", "IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1",
    "ByteStorage": "u1", "BoolStorage": "u1", "ComplexFloatStorage": "c8",
    "ComplexDoubleStorage": "c16", "QInt8Storage": "i1", "QUInt8Storage": "u1",
    "QInt32Storage": "i4",
}
ORDERED_DICT = "collections OrderedDict"
DEFAULT_DICT = "collections defaultdict"
REBUILD_TENSOR = "torch._utils _rebuild_tensor_v2"
REBUILD_OLD_TENSOR = "torch._utils _rebuild_tensor"  # PyTorch before 0.4: without the last two
REBUILD_PARAMETERS = ("torch._utils _rebuild_parameter",
                      "torch._utils _rebuild_parameter_with_state")
REBUILD_TYPED = "torch._tensor _rebuild_from_type_v2"
MAX_DIMENSIONS = 32  # numpy 1.26 has no more


@dataclass(frozen=True, slots=True)
class Global:
    """A name that the pickle asks for; never looked up."""

    name: str


class Unbuilt:
    """Something that the pickle would build of a class or function that is not known here."""

    def __init__(self, name: str) -> None:
        self.name = quoted(name.replace(" ", "."))


@dataclass(frozen=True, slots=True)
class Storage:
    """A reference to a storage: its key, torch's class name, its count of elements."""

    key: str
    kind: str
    count: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """A view of a storage; offset and stride in elements."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


_MARK = object()


class PickleMachine:
    """Runs one pickle from a stream and leaves the stream right behind it."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}

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
        if self.stack and isinstance(self.stack[-1], Unbuilt):
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
        self.stack.append(Global(name))

    def stack_global(self) -> None:
        """STACK_GLOBAL: the same, with module and name on the stack."""
        module, name = self.pop_many(2)
        if type(module) is not str or type(name) is not str:
            raise ValueError("the pickle asks for something without a name")
        self.find_global(f"{module} {name}")

    def reduce(self) -> None:
        """REDUCE: an ordered dict, a tensor or a parameter, built here; else nothing is built."""
        function, arguments = self.pop_many(2)
        if isinstance(function, Unbuilt):
            self.stack.append(function)
            return
        if not isinstance(function, Global) or type(arguments) is not tuple:
            raise ValueError("the pickle calls something that is no function")
        if function.name in (ORDERED_DICT, DEFAULT_DICT) and len(arguments) <= 1:
            self.stack.append({})
            if arguments and not isinstance(arguments[0], Global):
                self.set_items(_items(arguments[0], function.name))
        elif function.name == REBUILD_TENSOR:
            self.stack.append(_rebuild_tensor(arguments))
        elif function.name == REBUILD_OLD_TENSOR:
            self.stack.append(_rebuild_tensor((*arguments, False, None)))
        elif function.name == REBUILD_TYPED and len(arguments) == 4 and (
                arguments[0] == Global(REBUILD_TENSOR)) and type(arguments[2]) is tuple:
            self.stack.append(_rebuild_tensor(arguments[2]))
        elif function.name in REBUILD_PARAMETERS and arguments and isinstance(
                arguments[0], Tensor):
            self.stack.append(arguments[0])
        else:
            self.stack.append(Unbuilt(function.name))

    def make(self, count: int) -> None:
        """NEWOBJ, NEWOBJ_EX: a class and what it is made of; nothing is built."""
        made = self.pop_many(count)[0]
        self.stack.append(Unbuilt(made.name if isinstance(made, (Global, Unbuilt)) else "?"))

    def instance(self, name: str | None) -> None:
        """INST, OBJ: the same of protocol 0 and 1."""
        values = self.pop_to_mark()
        first = values[0] if values and name is None else None
        self.stack.append(Unbuilt(name or (first.name if isinstance(first, Global) else "?")))

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
            self.stack.append(Unbuilt("builtins frozenset"))

    def add_items(self, _: Any) -> None:
        """ADDITEMS: into a set, which is not built."""
        self.pop_to_mark()
        if not self.stack or not isinstance(self.stack[-1], Unbuilt):
            raise ValueError("the pickle fills something that is no set")

    def build(self) -> None:
        """BUILD: attributes of an ordered dict (torch's `_metadata`); left out."""
        self.pop()
        if self.stack and isinstance(self.stack[-1], Tensor):
            return  # a parameter's own attributes
        self.top(dict)

    def persistent(self) -> None:
        """BINPERSID: ("storage", class, key, device, count[, view])."""
        reference = self.pop()
        if type(reference) is not tuple or len(reference) not in (5, 6) or (
                reference[0] != "storage" or not isinstance(reference[1], Global)):
            raise ValueError("the pickle refers to something that is no storage")
        module, _, kind = reference[1].name.partition(" ")
        if module in ("torch", "torch.storage") and kind not in STORAGE_DTYPES:
            raise Refused(f"it keeps numbers as torch.{quoted(kind, 40)}, which is not known here; "
                          "save the state dict as float32: {k: v.float() for k, v in ...}")
        key, count = reference[2], reference[4]
        if module != "torch" or type(key) is not str or not _is_count(count):
            raise ValueError("the pickle refers to a storage in an unknown way")
        if reference[5:] not in ((), (None,)):
            raise ValueError("the pickle has views of storages (PyTorch before 0.4); refused")
        storage = Storage(key, kind, count)
        if self.storages.setdefault(key, storage) != storage:
            raise ValueError(f"the pickle describes storage {key} in two ways")
        self.stack.append(storage)


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_LITERALS = ("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE",
             "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING", "BINBYTES",
             "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "INT", "LONG", "FLOAT", "STRING",
             "UNICODE")
_ACTIONS: dict[str, Callable[[PickleMachine, Any], None]] = {
    "MARK": PickleMachine.mark,
    "BINPUT": PickleMachine.put,
    "LONG_BINPUT": PickleMachine.put,
    "MEMOIZE": lambda machine, _: machine.put(len(machine.memo)),
    "BINGET": PickleMachine.get,
    "LONG_BINGET": PickleMachine.get,
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
    "GLOBAL": PickleMachine.find_global,
    "STACK_GLOBAL": lambda machine, _: machine.stack_global(),
    "REDUCE": lambda machine, _: machine.reduce(),
    "NEWOBJ": lambda machine, _: machine.make(2),
    "NEWOBJ_EX": lambda machine, _: machine.make(3),
    "INST": PickleMachine.instance,
    "OBJ": PickleMachine.instance,
    "POP": PickleMachine.drop,
    "POP_MARK": PickleMachine.drop_to_mark,
    "DUP": PickleMachine.repeat,
    "LIST": lambda machine, _: machine.collect("LIST"),
    "DICT": lambda machine, _: machine.collect("DICT"),
    "FROZENSET": lambda machine, _: machine.collect("FROZENSET"),
    "EMPTY_SET": lambda machine, _: machine.stack.append(Unbuilt("builtins set")),
    "ADDITEMS": PickleMachine.add_items,
    "PUT": PickleMachine.put,
    "GET": PickleMachine.get,
    "BUILD": lambda machine, _: machine.build(),
    "BINPERSID": lambda machine, _: machine.persistent(),
}


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**62


def _items(pairs: Any, name: str) -> tuple[Any, ...]:
    """Return key, value, key, value of a list of pairs: so Python 2 wrote an ordered dict."""
    if type(pairs) is not list or any(type(pair) not in (list, tuple) or len(pair) != 2
                                      for pair in pairs):
        raise ValueError(f"the pickle calls {name.replace(' ', '.')} wrongly")
    return tuple(part for pair in pairs for part in pair)


def _rebuild_tensor(arguments: tuple[Any, ...]) -> Tensor:
    """Return the tensor of `_rebuild_tensor_v2(storage, offset, size, stride, ...)`."""
    if len(arguments) not in (6, 7):
        raise ValueError(f"a tensor is built from {len(arguments)} values, expected 6 or 7")
    storage, offset, size, stride = arguments[:4]
    shape_ok = type(size) is tuple and type(stride) is tuple and len(size) == len(stride)
    if not isinstance(storage, Storage) or not shape_ok or len(size) > MAX_DIMENSIONS or not all(
            _is_count(number) for number in (offset, *size, *stride)):
        raise ValueError("a tensor's storage, offset, size or stride is not what it should be")
    return Tensor(storage, offset, size, stride)
