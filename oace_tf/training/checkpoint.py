"""Checkpoints: weights, moving average, optimizer and step in one file, written atomically."""
from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from oace_tf.errors import UsageError
from oace_tf.fileio import clear_leftovers
from oace_tf.tensor_file import read_tensors, write_tensors

FORMAT = "oace-checkpoint-1"
CHECKPOINT = "checkpoint.safetensors"  # the newest
_OLDER = "checkpoint-*.safetensors"
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The state of a run before a step; the data position is the step itself."""

    step: int
    run: Mapping[str, Any]  # stage, network, settings and data, as JSON
    weights: Mapping[str, np.ndarray]
    average: Mapping[str, np.ndarray]  # empty where no moving average is kept
    optimizer: Mapping[str, np.ndarray]
    skipped: tuple[str, ...]  # unreadable images met so far
    notes: Mapping[str, Any] = field(default_factory=dict)  # what validation found, as JSON
    optimizer_of: str = ""  # the stage that the optimizer belongs to; empty in older files


def write_checkpoint(path: Path, state: Checkpoint) -> None:
    """Write a checkpoint beside `path` and move it there (raises UsageError where it cannot)."""
    tensors = {f"weights/{name}": array for name, array in state.weights.items()}
    tensors |= {f"average/{name}": array for name, array in state.average.items()}
    tensors |= {f"optimizer/{name}": array for name, array in state.optimizer.items()}
    metadata = {"format": FORMAT, "step": str(state.step), "run": json.dumps(state.run),
                "skipped": json.dumps(state.skipped), "notes": json.dumps(state.notes),
                "optimizer_of": state.optimizer_of}
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

    return Checkpoint(step=int(metadata["step"]), run=json.loads(metadata["run"]),
                      weights=part("weights/"), average=part("average/"),
                      optimizer=part("optimizer/"), skipped=tuple(json.loads(metadata["skipped"])),
                      notes=json.loads(metadata.get("notes", "{}")),
                      optimizer_of=metadata.get("optimizer_of", ""))


def keep_older(folder: Path, step: int, keep: int) -> None:
    """Keep the newest checkpoint, which was made before `step`, under a name of its own.

    Called before a newer one takes its place. The file is linked, not copied, so that at any
    moment the newest one is there.

    Args:
      folder: of the run.
      step: of the newest checkpoint.
      keep: checkpoints in all, the coming one included, at least 1.
    """
    newest = folder / CHECKPOINT
    if keep > 1 and newest.is_file():
        older = folder / f"checkpoint-{step:08d}.safetensors"
        older.unlink(missing_ok=True)
        os.link(newest, older)
    for surplus in older_checkpoints(folder)[max(keep - 1, 0):]:
        surplus.unlink(missing_ok=True)


def older_checkpoints(folder: Path) -> list[Path]:
    """Return the earlier checkpoints of a run, the latest first."""
    return sorted(folder.glob(_OLDER), reverse=True)


def last_good(folder: Path) -> tuple[Path, Checkpoint]:
    """Return the newest checkpoint of a run that can be read, damaged ones named in a warning.

    What writes that were killed have left half-written is removed.

    Raises:
      UsageError: there is none.
    """
    clear_leftovers(folder)
    newest = folder / CHECKPOINT
    try:
        return newest, read_checkpoint(newest)
    except UsageError as error:
        older = older_checkpoints(folder)
        if not newest.is_file() and not older:
            raise
        for path in older:
            try:
                state = read_checkpoint(path)
            except UsageError as fault:
                logger.warning("%s", fault)
                continue
            logger.warning("%s; going on from %s instead", error, path.name)
            return path, state
        raise
