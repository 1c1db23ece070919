"""Checkpoints: weights, their moving average, optimizer and step in one file, written atomically."""
from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from oace_tf.errors import UsageError
from oace_tf.fileio import atomic_write

FORMAT = "oace-checkpoint-1"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a run before a step; the data position is the step itself."""

    step: int
    run: Mapping[str, Any]  # stage, network and settings, as JSON
    weights: Mapping[str, np.ndarray]
    average: Mapping[str, np.ndarray]  # empty where no moving average is kept
    optimizer: tuple[np.ndarray, ...]
    skipped: tuple[str, ...]  # unreadable images met so far


def write_checkpoint(path: Path, state: Checkpoint) -> None:
    """Write a checkpoint beside `path` and move it there."""
    tensors = {f"weights/{name}": array for name, array in state.weights.items()}
    tensors |= {f"average/{name}": array for name, array in state.average.items()}
    tensors |= {f"optimizer/{index}": array for index, array in enumerate(state.optimizer)}
    tensors = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    metadata = {"format": FORMAT, "step": str(state.step), "run": json.dumps(state.run),
                "skipped": json.dumps(state.skipped)}
    atomic_write(path, save(tensors, metadata))


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
      UsageError: no such file, damaged, or not a checkpoint.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no checkpoint to resume from; start without --resume")
    try:
        with safe_open(str(path), framework="np") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        if metadata.get("format") != FORMAT:
            raise UsageError(f"{path}: not a checkpoint of this project")
        step, run = int(metadata["step"]), json.loads(metadata["run"])
        skipped = tuple(json.loads(metadata["skipped"]))
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise UsageError(f"{path}: damaged checkpoint ({error}); start without --resume") from error

    def part(prefix: str) -> dict[str, np.ndarray]:
        return {name.removeprefix(prefix): array for name, array in tensors.items()
                if name.startswith(prefix)}

    optimizer = part("optimizer/")
    return Checkpoint(step, run, part("weights/"), part("average/"),
                      tuple(optimizer[str(index)] for index in range(len(optimizer))), skipped)
