"""Checkpoints: weights, moving average, optimizer and step in one file, written atomically."""
from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from oace_tf.errors import UsageError
from oace_tf.tensor_file import read_tensors, write_tensors

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
    """Write a checkpoint beside `path` and move it there (raises UsageError where it cannot)."""
    tensors = {f"weights/{name}": array for name, array in state.weights.items()}
    tensors |= {f"average/{name}": array for name, array in state.average.items()}
    tensors |= {f"optimizer/{index}": array for index, array in enumerate(state.optimizer)}
    metadata = {"format": FORMAT, "step": str(state.step), "run": json.dumps(state.run),
                "skipped": json.dumps(state.skipped)}
    write_tensors(path, tensors, metadata)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
      UsageError: no such file, damaged, or not a checkpoint.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no checkpoint to resume from; start without --resume")
    try:
        tensors, metadata = read_tensors(path, FORMAT)
    except UsageError as error:
        raise UsageError(f"{error}, or start without --resume") from error

    def part(prefix: str) -> dict[str, np.ndarray]:
        return {name.removeprefix(prefix): array for name, array in tensors.items()
                if name.startswith(prefix)}

    optimizer = part("optimizer/")
    return Checkpoint(int(metadata["step"]), json.loads(metadata["run"]), part("weights/"),
                      part("average/"), tuple(optimizer[str(i)] for i in range(len(optimizer))),
                      tuple(json.loads(metadata["skipped"])))
