"""Cost of a network: parameters and multiply-accumulates per stage, batch 1.

A stage is what the dotted layer names say: `prior.decoder`, `msfnet.head`, and within a trunk its
numbered parts, those with outputs of one shape together: `prior.trunk.stage4.0-1`.
"""
from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import keras
from keras import layers

Shape = tuple[int | None, ...]

# Normalisation folds into the convolution before it; so does a layer that says so (`folds`).
_WEIGHTS_WITHOUT_MACS = (layers.BatchNormalization,)
_COUNTED = (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)


@dataclass(frozen=True, slots=True)
class Totals:
    """Costs added up."""

    params: int  # all variables, the statistics of batch normalisation included
    macs: int  # multiply-accumulates of convolutions and dense layers, without biases

    @property
    def gmac(self) -> float:
        """Multiply-accumulates in units of 10^9."""
        return self.macs / 1e9


@dataclass(frozen=True, slots=True)
class StageCost:
    """One stage of a network."""

    name: str
    output_shapes: tuple[Shape, ...]  # of what leaves the stage, without the batch, largest first
    params: int
    macs: int

    @property
    def gmac(self) -> float:
        """Multiply-accumulates in units of 10^9."""
        return self.macs / 1e9


def cost_table(model: keras.Model) -> list[StageCost]:
    """Return the costs of a functional model, a row per stage, in the order of their middles.

    Stages without parameters and multiply-accumulates are left out.

    Raises:
      ValueError: a size that is not fixed, or a layer with weights that no rule here counts.
      AttributeError: a layer is used twice (Keras's message names it).
    """
    names = {operation.name for operation in model.operations}
    stage_of = {operation.name: _stage_of(operation.name, names) for operation in model.operations}
    shapes = _output_shapes(model, stage_of)
    rows: dict[Any, list[StageCost]] = {}
    positions: dict[Any, list[int]] = {}  # parallel branches interleave: neither end orders them
    for position, operation in enumerate(model.operations):
        stage = stage_of[operation.name]
        # Numbered parts are rows of their own only where their outputs differ.
        prefix, _, last = stage.rpartition(".")
        key = (prefix, shapes[stage]) if last.isdecimal() else stage
        params = operation.count_params() if isinstance(operation, layers.Layer) else 0
        rows.setdefault(key, []).append(
            StageCost(stage, shapes[stage], params, _macs(operation)))
        positions.setdefault(key, []).append(position)
    joined = [_join(rows[key]) for key in sorted(rows, key=lambda key: fmean(positions[key]))]
    return [row for row in joined if row.params or row.macs]


def network_costs(networks: Any) -> dict[str, list[StageCost]]:
    """Return the stages of each of a configuration's networks; MSFNet's count for every pass of it.

    Args:
      networks: what `build_networks` gives.
    """
    tables = {model.name: cost_table(model) for model in networks.models()}
    if networks.config.second_pass and not networks.config.refiner:
        tables["msfnet"] = [replace(row, macs=2 * row.macs) for row in tables["msfnet"]]
    return tables


def add_up(rows: Iterable[StageCost]) -> Totals:
    """Return the sum of the rows' costs."""
    rows = list(rows)
    return Totals(sum(row.params for row in rows), sum(row.macs for row in rows))


def _stage_of(name: str, names: set[str]) -> str:
    owner = name.rpartition(".")[0]
    if owner in names:  # `conv1.pad` belongs to `conv1`
        name = owner
    scopes = name.split(".")[:-1]
    if not scopes:
        return name
    for index, part in enumerate(scopes):
        if part.isdecimal():
            return ".".join(scopes[:index + 1])
    return ".".join(scopes[:2])


def _output_shapes(model: keras.Model, stage_of: dict[str, str]) -> dict[str, tuple[Shape, ...]]:
    """Stage -> the distinct shapes of the tensors that another stage, or nobody inside, reads."""
    readers: dict[int, set[str]] = {}
    for operation in model.operations:
        if not isinstance(operation, layers.InputLayer):
            for tensor in keras.tree.flatten(operation.input):
                readers.setdefault(id(tensor), set()).add(stage_of[operation.name])
    outputs = {id(tensor) for tensor in keras.tree.flatten(model.outputs)}
    shapes_of: dict[str, set[Shape]] = {stage: set() for stage in stage_of.values()}
    for operation in model.operations:
        stage = stage_of[operation.name]
        for tensor in keras.tree.flatten(operation.output):
            if id(tensor) in outputs or readers.get(id(tensor), set()) - {stage}:
                shapes_of[stage].add(tuple(tensor.shape[1:]))
    return {stage: tuple(sorted(shapes, key=_size, reverse=True))
            for stage, shapes in shapes_of.items()}


def _size(shape: Shape) -> tuple[int, Shape]:
    known = tuple(side or 0 for side in shape)
    return math.prod(known[:-1]), known


def _macs(operation: Any) -> int:
    if isinstance(operation, _COUNTED):
        positions = operation.output.shape[1:-1]
        if None in positions:
            raise ValueError(f"{operation.name} has no fixed size: build the model with one")
        # A kernel's element is used once at each position: (H, W, I / groups, O), (H, W, C, 1) of a
        # depthwise convolution, (I, O) of a dense layer.
        return math.prod(positions) * math.prod(operation.kernel.shape)
    without = isinstance(operation, _WEIGHTS_WITHOUT_MACS) or getattr(operation, "folds", False)
    if getattr(operation, "weights", ()) and not without:
        raise ValueError(f"{operation.name}: no rule to count a {type(operation).__name__}")
    return 0


def _join(parts: list[StageCost]) -> StageCost:
    name = parts[0].name
    prefix, _, last = name.rpartition(".")
    if last.isdecimal():
        numbers = {int(part.name.rpartition(".")[2]) for part in parts}
        low, high = min(numbers), max(numbers)
        name = f"{prefix}.{low}" if low == high else f"{prefix}.{low}-{high}"
    totals = add_up(parts)
    return StageCost(name, parts[0].output_shapes, totals.params, totals.macs)
