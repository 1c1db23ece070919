"""Checkpoint of PyTorch: an ONNX graph, or a state dict -> tensors by published name.

ONNX is read through its initialisers, so it must have been exported such that names and batch
normalisations survive; `EXPORT_FLAGS` says how, and docs/port.md shows it.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from export.convert.onnx_graph import MAX_BYTES, load_graph
from oace_tf.errors import UsageError, quoted
from oace_tf.fileio import read_bytes, strict_json

STATE_DICTS = (".pth", ".pt", ".bin", ".ckpt", ".pth.tar", ".pt.tar")
EXPORT_FLAGS = ("torch.onnx.export(..., dynamo=False, do_constant_folding=False, "
                "training=torch.onnx.TrainingMode.PRESERVE) of a model in eval mode")
# Graph nodes that hold weights, and which of their inputs is the one that names the layer.
WEIGHTED = ("Conv", "ConvTranspose", "BatchNormalization", "Gemm", "MatMul")
_SAFETENSORS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8",
                "I32": "<i4", "I16": "<i2", "I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2",
                "U8": "u1", "BOOL": "?"}
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A file's tensors, and the graph they belong to where the file has one."""

    path: Path
    tensors: Mapping[str, np.ndarray]  # float32, by the file's names, in its order
    counters: tuple[str, ...]  # names of `num_batches_tracked`, which no network needs
    graph: Any = None  # onnx.ModelProto, weights inside


def read_checkpoint(path: Path) -> Checkpoint:
    """Return what a `.onnx`, `.safetensors` or `.pth` file holds.

    Raises:
      UsageError: missing, of another kind, damaged, or exported in a way that cannot be used.
    """
    suffix = path.suffix.lower()
    if suffix == ".onnx":
        return _read_onnx(path)
    if suffix == ".safetensors":
        tensors = _read_safetensors(path)
    elif path.name.lower().endswith(STATE_DICTS):
        from oace_tf.networks.ported.state_dict import read_pth

        tensors = read_pth(path)
    else:
        raise UsageError(f"{path}: a checkpoint is a .onnx, .safetensors or .pth file (also "
                         f"{', '.join(STATE_DICTS[1:])}); name it so, if it is one")
    return _checkpoint(path, tensors, None)


def _checkpoint(path: Path, arrays: Mapping[str, np.ndarray], graph: Any) -> Checkpoint:
    tensors = {}
    counters = []
    for name, array in arrays.items():
        if name.rpartition(".")[2] == _COUNTER:
            counters.append(name)
        elif not np.issubdtype(array.dtype, np.floating):
            if graph is None:  # a graph's whole numbers are shapes and axes, not weights
                raise UsageError(f"{path}: tensor {name} holds {array.dtype} numbers, expected "
                                 "floating point; is this a state dict of a network?")
        elif not np.isfinite(array).all():
            raise UsageError(f"{path}: tensor {name} holds values that are not finite; "
                             "take an undamaged file")
        elif np.abs(array).max(initial=0) > np.finfo(np.float32).max:
            raise UsageError(f"{path}: tensor {name} holds values that float32 does not; take an "
                             "undamaged file")
        else:
            tensors[name] = np.asarray(array, np.float32)
    if not tensors and any(array.ndim > 1 for array in arrays.values()):
        raise UsageError(f"{path}: its weights are whole numbers, of a quantized model; export the "
                         "model as it was before")
    if not tensors:
        raise UsageError(f"{path}: holds no tensor of a network; export the model with its "
                         "weights inside")
    return Checkpoint(path, tensors, tuple(counters), graph)


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError, deserialize

    from oace_tf.networks.ported.containers import Refused, refuse_other_files

    data = read_bytes(path, MAX_BYTES)
    try:
        refuse_other_files(data, ".safetensors")
        parts = deserialize(data)
        header = data[8:8 + int.from_bytes(data[:8], "little")]
        strict_json(header)  # of a name that stands twice, the parser keeps one
        return {name: _plain(path, name, part) for name, part in parts}
    except Refused as error:
        raise UsageError(f"{path}: {error}") from error
    except (SafetensorError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise UsageError(f"{path}: not a whole safetensors file of plain numbers "
                         f"({quoted(str(error))}); fetch it again") from error


def _plain(path: Path, name: str, part: Mapping[str, Any]) -> np.ndarray:
    """Return a tensor of a safetensors file; bfloat16 as float32."""
    kind, shape = part["dtype"], part["shape"]
    if kind not in _SAFETENSORS:
        raise UsageError(f"{path}: tensor {quoted(name)} holds {quoted(kind)} numbers, which are "
                         "not read here; save it as float32: tensor.float()")
    array = np.frombuffer(part["data"], _SAFETENSORS[kind])
    if kind == "BF16":  # the upper half of a float32
        array = np.left_shift(array.astype(np.uint32), 16).view(np.float32)
    return array.reshape(shape)


def _read_onnx(path: Path) -> Checkpoint:
    from onnx import numpy_helper

    model = load_graph(path)
    tensors: dict[str, np.ndarray] = {}
    for tensor in model.graph.initializer:
        if tensor.name in tensors:
            raise UsageError(f"{path}: the initialiser {quoted(tensor.name)} stands twice; export "
                             "it again")
        try:
            if any(side < 0 for side in tensor.dims):
                raise ValueError(f"a side of {min(tensor.dims)}")
            array = numpy_helper.to_array(tensor)
            # bfloat16 and the floats of 8 bits are types of their own
            floats = "float" in array.dtype.name
            tensors[tensor.name] = array.astype(np.float32) if floats else array
        except Exception as error:  # onnx raises what it likes for damaged ones
            raise UsageError(f"{path}: the initialiser {quoted(tensor.name)} is damaged "
                             f"({type(error).__name__}: {quoted(str(error))}); export it "
                             "again") from error
    if not tensors:
        raise UsageError(f"{path}: the graph has no weights inside; export it with "
                         "export_params=True")
    _refuse_lost_names(path, model, tensors)
    return _checkpoint(path, tensors, model)


def _refuse_lost_names(path: Path, model: Any, found: Mapping[str, np.ndarray]) -> None:
    """Say how to export where normalisations were folded or names lost."""
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    kinds = {node.op_type for node in model.graph.node}
    bare = [node for node in convolutions if len(node.input) > 1
            and not node.input[1].endswith(".weight")]
    if convolutions and "BatchNormalization" not in kinds:
        raise UsageError(
            f"{path}: batch normalisation is folded into its {len(convolutions)} convolutions, so "
            f"its four tensors cannot be ported; export again with {EXPORT_FLAGS}")
    if convolutions and len(bare) == len(convolutions):
        raise UsageError(f"{path}: the weights have lost their names (the first is "
                         f"{quoted(bare[0].input[1])!r}); export again with {EXPORT_FLAGS}")
