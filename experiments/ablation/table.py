"""Ablations: the same short schedule for every row of a plan, each row measured in the same way.

A plan is a JSON file: settings that all rows share, and for each row only what is different.
"""
from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oace_tf.config import NetworkConfig
from oace_tf.errors import UsageError
from oace_tf.fileio import read_json, sha256_bytes
from oace_tf.training.settings import STAGES, TrainSettings

INITS = ("none", "imagenet")


@dataclass(frozen=True, slots=True)
class Stage:
    """One run of the trainer; a row has one or several, each going on from the one before."""

    stage: str
    settings: TrainSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of the table."""

    name: str
    what: str  # for the reader
    against: str  # the row that it is compared with; empty for none
    network: NetworkConfig
    stages: tuple[Stage, ...]
    fingerprint: str  # of everything in the plan that changes its figures
    prior: Path | None = None  # weights of a pair whose prior the row starts from


@dataclass(frozen=True, slots=True, kw_only=True)
class Sets:
    """What every row is measured on, read at `size`."""

    size: int = 256  # side of the frame, px
    chosen_by: tuple[str, ...] = ("ecssd", "coco_mval")  # pooled: mIoU@1 and within-pass AUC
    reported: tuple[str, ...] = ("grabcut",)  # mIoU@1 and spread over taps
    multi: str = "coco_multi"  # own - other and confusion
    multi_photographs: int = 60
    spread_taps: int = 4  # at each of the three places

    def __post_init__(self) -> None:
        if type(self.size) is not int or self.size < 64 or self.size % 64:
            raise UsageError(f"sets.size is {self.size!r}, expected a multiple of 64")
        if not self.chosen_by or self.multi_photographs < 1 or self.spread_taps == 1:
            raise UsageError("sets: at least one set to choose by and one photograph with several "
                             "objects; spread_taps 0, or 2 and more")


@dataclass(frozen=True, slots=True)
class AblationTable:
    """A table to be made."""

    path: Path
    init: str
    sets: Sets
    rows: tuple[Row, ...]

    def row(self, name: str) -> Row:
        """Return a row by its name (raises UsageError)."""
        for row in self.rows:
            if row.name == name:
                return row
        raise UsageError(f"{self.path}: no row {name!r}; there are "
                         f"{', '.join(row.name for row in self.rows)}")


def read_table(path: Path) -> AblationTable:
    """Read a plan.

    Raises:
      UsageError: unreadable, an unknown key, a bad value, a name twice, or a row compared with one
        that is not there.
    """
    fields = read_json(path)
    try:
        known = ("init", "network", "settings", "sets", "rows")
        _only(fields, known, "the plan")
        if fields.get("init", "imagenet") not in INITS:
            raise UsageError(f"init is {fields['init']!r}, expected one of {', '.join(INITS)}")
        sets = _sets(fields.get("sets", {}))
        rows = tuple(_row(row, fields, sets, path.parent) for row in fields.get("rows", ()))
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    except (TypeError, AttributeError, KeyError) as error:
        raise UsageError(f"{path}: not a plan of ablations ({error})") from error
    names = [row.name for row in rows]
    if not names or len(set(names)) != len(names):
        raise UsageError(f"{path}: expected rows, each with a name of its own")
    for row in rows:
        if row.against and (row.against not in names or row.against == row.name):
            raise UsageError(f"{path}: row {row.name} is compared with {row.against!r}, "
                             "which is no other row")
    return AblationTable(path, fields.get("init", "imagenet"), sets, rows)


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `changes`; objects are merged field by field, `sources` replaced."""
    result = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both and key != "sources" else value
    return result


def _sets(fields: Mapping[str, Any]) -> Sets:
    names = tuple(entry.name for entry in dataclasses.fields(Sets))
    _only(fields, names, "sets")
    lists = {key: tuple(value) for key, value in fields.items() if isinstance(value, list)}
    return Sets(**{**fields, **lists})


def _row(fields: Mapping[str, Any], plan: Mapping[str, Any], sets: Sets, folder: Path) -> Row:
    _only(fields, ("name", "what", "against", "network", "settings", "stages", "prior"), "a row")
    name = fields["name"]
    if not isinstance(name, str) or not name.replace("_", "").isalnum():
        raise UsageError(f"a row is named {name!r}, expected letters, digits and _")
    where = f"row {name}"
    network = merged(plan.get("network", {}), fields.get("network", {}))
    shared = merged(plan.get("settings", {}), fields.get("settings", {}))
    resolved, stages = [], []
    for stage in fields.get("stages", [{"stage": "joint"}]):
        _only(stage, ("stage", "settings"), f"{where}: a stage")
        if stage["stage"] not in STAGES:
            raise UsageError(f"{where}: stage is {stage['stage']!r}, expected one of "
                             f"{', '.join(STAGES)}")
        settings = merged(shared, stage.get("settings", {}))
        resolved.append([stage["stage"], settings])
        stages.append(Stage(stage["stage"], TrainSettings.from_json(settings, where)))
    if not stages:
        raise UsageError(f"{where}: no stage")
    content = [plan.get("init", "imagenet"), network, resolved, dataclasses.asdict(sets)]
    prior = fields.get("prior")
    if prior is not None:  # by name: the weights in the repository change with every release
        content.append(str(prior))
    digest = sha256_bytes(json.dumps(content, sort_keys=True).encode())
    return Row(name=name, what=str(fields.get("what", "")), against=str(fields.get("against", "")),
               network=NetworkConfig.from_json(network, where), stages=tuple(stages),
               fingerprint=digest, prior=None if prior is None else folder / str(prior))


def _only(fields: Any, known: tuple[str, ...], where: str) -> None:
    if not isinstance(fields, Mapping):
        raise UsageError(f"{where}: expected an object, got {type(fields).__name__}")
    for key in fields:
        if key not in known:
            raise UsageError(f"{where}: unknown key {key!r}, known are {', '.join(known)}")
