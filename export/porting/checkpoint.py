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
from oace_tf.errors import UsageError
from oace_tf.fileio import read_bytes

STATE_DICTS = (".pth", ".pt", ".bin")
EXPORT_FLAGS = ("torch.onnx.export(..., dynamo=False, do_constant_folding=False, "
                "training=torch.onnx.TrainingMode.PRESERVE) of a model in eval mode")
# Graph nodes that hold weights, and which of their inputs is the one that names the layer.
WEIGHTED = ("Conv", "ConvTranspose", "BatchNormalization", "Gemm", "MatMul")
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
    elif suffix in STATE_DICTS:
        from oace_tf.networks.ported.state_dict import read_pth

        tensors = read_pth(path)
    else:
        raise UsageError(f"{path}: a checkpoint is a .onnx, .safetensors or .pth file")
    return _checkpoint(path, tensors, None)


def _checkpoint(path: Path, found: Mapping[str, np.ndarray], graph: Any) -> Checkpoint:
    tensors = {}
    counters = []
    for name, array in found.items():
        if name.rpartition(".")[2] == _COUNTER:
            counters.append(name)
        elif not np.issubdtype(array.dtype, np.floating):
            if graph is None:  # a graph's whole numbers are shapes and axes, not weights
                raise UsageError(f"{path}: tensor {name} holds {array.dtype} numbers, expected "
                                 "floating point; is this a state dict of a network?")
        elif not np.isfinite(array).all():
            raise UsageError(f"{path}: tensor {name} holds values that are not finite; "
                             "take an undamaged file")
        else:
            tensors[name] = np.asarray(array, np.float32)
    if not tensors:
        raise UsageError(f"{path}: holds no tensor of a network; export the model with its "
                         "weights inside")
    return Checkpoint(path, tensors, tuple(counters), graph)


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    data = read_bytes(path, MAX_BYTES)
    try:
        return load(data)
    except (SafetensorError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise UsageError(f"{path}: not a whole safetensors file of plain numbers ({error}); "
                         "fetch it again") from error


def _read_onnx(path: Path) -> Checkpoint:
    from onnx import numpy_helper

    model = load_graph(path)
    try:
        tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path}: an initialiser is damaged ({error}); "
                         "export it again") from error
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
                         f"{bare[0].input[1]!r}); export again with {EXPORT_FLAGS}")
