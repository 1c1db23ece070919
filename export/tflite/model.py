"""TFLite file as Python objects: read, write, tensors and operators by name.

Everything here works on `ModelT`, the object form of the file's schema that the LiteRT wheel
brings along. Files in this toolkit have one subgraph and one signature.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from oace_tf.errors import UsageError
from oace_tf.runtime.tflite_reader import SIGNATURE

FILE_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16  # bytes: what the schema demands of buffer contents (force_align)


def _names(enum: type) -> dict[int, str]:
    return {value: name for name, value in vars(enum).items() if isinstance(value, int)}


_OPERATORS = _names(schema.BuiltinOperator)
_TYPES = _names(schema.TensorType)


class _AlignedBuffer(schema.BufferT):
    """A buffer that keeps the schema's alignment; the generated class packs at any byte."""

    def Pack(self, builder: Any) -> int:  # noqa: N802 (the generated code calls it so)
        data = None
        if self.data is not None and len(self.data):
            content = np.ascontiguousarray(self.data, np.uint8).tobytes()
            builder.StartVector(1, len(content), _ALIGNMENT)
            head = builder.head - len(content)
            builder.head = head
            builder.Bytes[head : head + len(content)] = content
            data = builder.EndVector()
        schema.BufferStart(builder)
        if data is not None:
            schema.BufferAddData(builder, data)
        return schema.BufferEnd(builder)


class _SharingBuilder(flatbuffers.Builder):
    """Writes equal vectors once: nothing forbids that two tables point at the same one.

    Every channel of every kernel and bias has a zero point of eight bytes, and all are zero.
    """

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._written: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: np.ndarray) -> int:  # noqa: N802 (the generated code's name)
        key = (x.dtype.str, x.tobytes())
        if key not in self._written:
            self._written[key] = super().CreateNumpyVector(x)
        return self._written[key]


# Prefixes of the tensors that draw the taps (`disks`) or gestures and their means: always float.
FLOAT_PREFIXES = ("disks/", "gestures/")


def parse(content: bytes | bytearray | memoryview) -> Any:
    """Return the `ModelT` of a TFLite file, every buffer's bytes inside it.

    Writers that put weights behind the flatbuffer (`Buffer.offset`) are understood: the bytes
    are copied back, so that the model can be packed again.

    Raises:
      UsageError: the bytes are no TFLite file, or are cut short.
    """
    raw = bytes(content)
    if len(raw) < 8 or raw[4:8] != FILE_IDENTIFIER:
        raise UsageError("not a TFLite file (the file identifier TFL3 is missing)")
    try:
        model = schema.ModelT.InitFromPackedBuf(raw, 0)
    except (IndexError, ValueError, TypeError, OverflowError, UnicodeDecodeError,
            flatbuffers.packer.struct.error) as error:
        raise UsageError(f"the TFLite file is damaged or cut short ({error})") from error
    for buffer in model.buffers:
        if buffer.offset > 1:
            if buffer.offset + buffer.size > len(raw):
                raise UsageError("the TFLite file is cut short: a buffer lies behind its end")
            buffer.data = np.frombuffer(raw, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    return model


def serialise(model: Any, compact: bool = False) -> bytes:
    """Return the bytes of `model`; its buffers lie inside the flatbuffer, aligned to 16 bytes.

    Args:
      model: as `parse` gives it.
      compact: write equal shapes, scales and zero points once: an int8 file is 3 to 9 % smaller
        and means the same.
    """
    buffers = []
    for old in model.buffers:
        buffer = _AlignedBuffer()
        buffer.data = old.data
        buffers.append(buffer)
    model.buffers = buffers
    builder = _SharingBuilder(1 << 20) if compact else flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=FILE_IDENTIFIER)
    return bytes(builder.Output())


def graph(model: Any) -> Any:
    """Return the model's one subgraph.

    Raises:
      UsageError: it has several, or none.
    """
    if len(model.subgraphs) != 1:
        raise UsageError(f"the TFLite file has {len(model.subgraphs)} subgraphs, expected 1")
    return model.subgraphs[0]


def signature(model: Any) -> tuple[dict[str, int], dict[str, int]]:
    """Return name -> tensor index of the signature's inputs and of its outputs.

    Raises:
      UsageError: the file has not exactly one signature.
    """
    definitions = model.signatureDefs or []
    if len(definitions) != 1:
        raise UsageError(f"the TFLite file has {len(definitions)} signatures, expected 1")
    return _tensor_map(definitions[0].inputs), _tensor_map(definitions[0].outputs)


def add_signature(model: Any, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> None:
    """Give `model` the one signature `serving_default` and name its tensors accordingly."""
    entry = schema.SignatureDefT()
    entry.signatureKey = SIGNATURE
    entry.subgraphIndex = 0
    entry.inputs = [_entry(name, index) for name, index in inputs.items()]
    entry.outputs = [_entry(name, index) for name, index in outputs.items()]
    model.signatureDefs = [entry]
    for name, index in {**inputs, **outputs}.items():
        graph(model).tensors[index].name = name


def name_of(tensor: Any) -> str:
    """Return a tensor's name as text ("" where it has none)."""
    name = tensor.name or b""
    return name if isinstance(name, str) else name.decode("utf-8")


def by_name(model: Any, name: str) -> int:
    """Return the index of the tensor called `name`.

    Raises:
      KeyError: no tensor, or several, have that name.
    """
    indices = [i for i, tensor in enumerate(graph(model).tensors) if name_of(tensor) == name]
    if len(indices) != 1:
        raise KeyError(f"{len(indices)} tensors are called {name!r}")
    return indices[0]


def has_name(model: Any, name: str) -> bool:
    """Return whether a tensor is called `name`."""
    return any(name_of(tensor) == name for tensor in graph(model).tensors)


def operator_name(model: Any, operator: Any) -> str:
    """Return an operator's name: `CONV_2D`, ..., or `CUSTOM:FlexErf` for one outside the set."""
    code = model.operatorCodes[operator.opcodeIndex]
    # Files older than schema 3a keep the code in a byte of its own; the larger one holds.
    builtin = max(code.builtinCode, code.deprecatedBuiltinCode)
    name = _OPERATORS.get(builtin, f"UNKNOWN_{builtin}")
    if name == "CUSTOM":
        custom = code.customCode or b""
        name = "CUSTOM:" + (custom if isinstance(custom, str) else custom.decode("utf-8"))
    return name


def type_name(tensor: Any) -> str:
    """Return a tensor's element type in lower case, such as `int8`."""
    return _TYPES.get(tensor.type, f"unknown_{tensor.type}").lower()


def is_constant(model: Any, index: int) -> bool:
    """Return whether a tensor's content is stored in the file."""
    data = model.buffers[graph(model).tensors[index].buffer].data
    return data is not None and len(data) > 0


def constant(model: Any, index: int) -> np.ndarray:
    """Return a float32 constant of the file, a copy in its shape."""
    tensor = graph(model).tensors[index]
    data = bytes(np.ascontiguousarray(model.buffers[tensor.buffer].data, np.uint8))
    return np.frombuffer(data, np.float32).reshape([int(n) for n in tensor.shape]).copy()


def set_constant(model: Any, index: int, value: np.ndarray) -> None:
    """Give a float32 constant another value of the same shape.

    A buffer that other tensors share is left to them; the tensor gets one of its own.
    """
    tensors = graph(model).tensors
    tensor = tensors[index]
    if sum(other.buffer == tensor.buffer for other in tensors) > 1:
        model.buffers.append(schema.BufferT())
        tensor.buffer = len(model.buffers) - 1
    content = np.ascontiguousarray(value, np.float32).tobytes()
    model.buffers[tensor.buffer].data = np.frombuffer(content, np.uint8)


def activations(model: Any, indices: Iterable[int]) -> list[int]:
    """Return those of `indices` that are computed at run time (no constants, no absent ones)."""
    return [int(i) for i in indices if i >= 0 and not is_constant(model, int(i))]


def consumers(model: Any, index: int) -> list[Any]:
    """Return the operators that read tensor `index`."""
    return [op for op in graph(model).operators if index in list(op.inputs)]


def scale_and_zero(tensor: Any) -> tuple[float, int] | None:
    """Return a tensor's one scale and zero point, or None if it has none or several."""
    quantization = tensor.quantization
    if quantization is None or quantization.scale is None or len(quantization.scale) != 1:
        return None
    return float(quantization.scale[0]), int(quantization.zeroPoint[0])


def _tensor_map(entries: Any) -> dict[str, int]:
    return {
        (e.name if isinstance(e.name, str) else e.name.decode("utf-8")): int(e.tensorIndex)
        for e in entries or []
    }


def _entry(name: str, index: int) -> Any:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name, index
    return entry
