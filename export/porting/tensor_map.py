"""Tensor map of a checkpoint: name, layout, shape, statistics before and after.

Names are the published ones on both sides (see `oace_tf.networks`); what a checkpoint puts before
all of them (`module.`, `model.`, `feature_extractor.`) is found and taken off. Layouts follow the
Keras layer: convolutions (O, I, h, w) -> (h, w, I, O), depthwise ones (C, 1, h, w) -> (h, w, C, 1),
dense ones (O, I) -> (I, O), normalisations as they are.
"""
from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np

from export.porting.checkpoint import EXPORT_FLAGS, Checkpoint
from oace_tf.errors import UsageError
from oace_tf.networks.ported.registry import layer_variables
from oace_tf.networks.weights import value_of

PORTED, MISSING, EXTRA, WRONG_SHAPE = "ported", "missing", "extra", "wrong shape"
ALLOWED_MISSING, ALLOWED_EXTRA, COUNTER = "missing, allowed", "extra, allowed", "counter, ignored"
_NAMED = 4  # of each kind in an error


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What became of one tensor; `name` is ours, `source` the checkpoint's."""

    state: str
    name: str | None
    source: str | None
    shape_before: tuple[int, ...] | None = None
    shape_after: tuple[int, ...] | None = None
    before: Mapping[str, float] | None = None  # mean, deviation, smallest, largest
    after: Mapping[str, float] | None = None  # of the Keras variable, once filled


def map_tensors(model: keras.Model, checkpoint: Checkpoint,
                allow: Sequence[str] = ()) -> tuple[list[Row], dict[str, np.ndarray]]:
    """Return a row per tensor, and the tensors to fill by our names, in Keras's layout.

    Args:
      model: the network, with fresh weights; it is not changed.
      checkpoint: what is to be ported.
      allow: patterns (`head.*`) of names that may be missing or extra.
    """
    expected = {name: (layer, tuple(variable.shape))
                for name, layer, variable in layer_variables(model)}
    prefix = common_prefix(expected, checkpoint.tensors)
    rows, filled = [], {}
    for name, (layer, shape) in expected.items():
        array = checkpoint.tensors.get(prefix + name)
        if array is None:
            allowed = _matches(name, allow)
            rows.append(Row(state=ALLOWED_MISSING if allowed else MISSING, name=name, source=None,
                            shape_before=None, shape_after=shape))
            continue
        laid_out = to_keras(array, layer)
        good = laid_out.shape == shape
        rows.append(Row(state=PORTED if good else WRONG_SHAPE, name=name, source=prefix + name,
                        shape_before=array.shape, shape_after=laid_out.shape if good else shape,
                        before=statistics(array)))
        if good:
            filled[name] = laid_out
    for source, array in checkpoint.tensors.items():
        if not source.startswith(prefix) or source.removeprefix(prefix) not in expected:
            allowed = _matches(source, allow) or _matches(source.removeprefix(prefix), allow)
            rows.append(Row(state=ALLOWED_EXTRA if allowed else EXTRA, name=None, source=source,
                            shape_before=array.shape, shape_after=None, before=statistics(array)))
    rows += [Row(state=COUNTER, name=None, source=source) for source in checkpoint.counters]
    return rows, filled


def fill(model: keras.Model, rows: Sequence[Row], filled: Mapping[str, np.ndarray]) -> list[Row]:
    """Fill the model and return the rows with the statistics of what it then holds."""
    after = {}
    for name, _, variable in layer_variables(model):
        if name in filled:
            variable.assign(filled[name])
            after[name] = statistics(value_of(variable))
    return [Row(**{**asdict(row), "after": after.get(row.name or "")}) for row in rows]


def refuse_faults(rows: Iterable[Row], checkpoint: Checkpoint) -> None:
    """Raise UsageError, naming the tensors, unless all are ported, allowed or counters."""
    rows = list(rows)
    parts = []
    for state in (MISSING, EXTRA, WRONG_SHAPE):
        faulty = [row for row in rows if row.state == state]
        if faulty:
            names = ", ".join(_named(row) for row in faulty[:_NAMED])
            more = f" and {len(faulty) - _NAMED} more" if len(faulty) > _NAMED else ""
            parts.append(f"{len(faulty)} {state} ({names}{more})")
    if not parts:
        return
    lost = [row for row in rows if row.state == MISSING
            and (row.name or "").rpartition(".")[2].startswith("running_")]
    hint = (f"was batch normalisation folded or its statistics dropped? Export with {EXPORT_FLAGS}"
            if lost and checkpoint.graph is not None else
            "is it another network? What may be left out is named by --allow PATTERN")
    raise UsageError(f"{checkpoint.path}: tensors {'; '.join(parts)}: {hint}")


def counts(rows: Iterable[Row]) -> dict[str, int]:
    """Return how many tensors there are of each state; ported, missing, extra are always there."""
    totals = {PORTED: 0, MISSING: 0, EXTRA: 0, WRONG_SHAPE: 0}
    for row in rows:
        totals[row.state] = totals.get(row.state, 0) + 1
    return totals


def common_prefix(expected: Iterable[str], names: Iterable[str]) -> str:
    """Return what stands before most expected names in a checkpoint; shortest first, often ""."""
    expected = set(expected)
    hits = {"": 0}
    for name in names:
        parts = name.split(".")
        for depth in range(len(parts)):
            if ".".join(parts[depth:]) in expected:
                prefix = "".join(f"{part}." for part in parts[:depth])
                hits[prefix] = hits.get(prefix, 0) + 1
    return max(sorted(hits, key=len), key=lambda prefix: hits[prefix])


def to_keras(array: np.ndarray, layer: Any) -> np.ndarray:
    """Return a published tensor as its Keras layer holds it."""
    if array.ndim == 4:
        axes = (2, 3, 0, 1) if isinstance(layer, keras.layers.DepthwiseConv2D) else (2, 3, 1, 0)
        return np.ascontiguousarray(array.transpose(axes))
    if array.ndim == 2 and isinstance(layer, keras.layers.Dense):
        return np.ascontiguousarray(array.T)
    return array


def statistics(array: np.ndarray) -> dict[str, float]:
    """Return mean, standard deviation, smallest and largest value; order does not matter."""
    values = np.sort(np.asarray(array, np.float64), axis=None)
    return {"mean": float(values.mean()), "deviation": float(values.std()),
            "smallest": float(values[0]), "largest": float(values[-1])}


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _named(row: Row) -> str:
    if row.state == WRONG_SHAPE:
        return f"{row.source} is {row.shape_before}, as Keras lays it out {row.shape_after} wanted"
    return row.name or row.source or "?"
