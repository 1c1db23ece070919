"""The published networks as ONNX files again: the kept graphs with their seeded weights."""
from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from tests.golden.port.weights import seeded

HERE = Path(__file__).resolve().parent
WRAPPER = "model."  # what `make.Clicked` puts before RITM's names


def graph(key: str) -> Any:
    """Return the onnx.ModelProto of a network, weights inside."""
    import onnx

    model = onnx.load_model_from_string(gzip.decompress((HERE / f"{key}.onnx.gz").read_bytes()))
    for tensor in model.graph.initializer:
        if is_weight(tensor):
            name = tensor.name.removeprefix(WRAPPER)
            tensor.raw_data = seeded(name, tuple(tensor.dims)).tobytes()
    return model


def is_weight(tensor: Any) -> bool:
    """Return whether an initialiser was taken out."""
    return tensor.data_type == 1 and "." in tensor.name


def state_dict(key: str) -> dict[str, np.ndarray]:
    """Return the seeded weights by published name, in PyTorch's layout."""
    import onnx

    model = onnx.load_model_from_string(gzip.decompress((HERE / f"{key}.onnx.gz").read_bytes()))
    names = {tensor.name.removeprefix(WRAPPER): tuple(tensor.dims)
             for tensor in model.graph.initializer if is_weight(tensor)}
    return {name: seeded(name, shape) for name, shape in names.items()}


def outputs(key: str) -> dict[str, np.ndarray]:
    """Return PyTorch's outputs of a network, by the graph's names, channels first."""
    found = load_file(HERE / "outputs.safetensors")
    return {name.removeprefix(f"{key}."): value for name, value in found.items()
            if name.startswith(f"{key}.")}
