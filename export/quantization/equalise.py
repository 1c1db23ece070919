"""Cross-layer equalisation: channels of one tensor are given like ranges; the function stays.

int8 has one step for a whole tensor, so a channel that reaches a tenth of the tensor's range has
a tenth of the levels. A channel may be multiplied by a factor where its writers (convolutions,
whose kernels have a step per output channel and so lose nothing) take the factor in and its readers
(convolutions again) take it out. Additions, resizes, pooling and padding in between pass it on,
so all tensors of a residual chain share one factor for each channel.

A cut at 6 allows only factors from 1 to 6 / (largest value seen): a channel that is cut keeps 1,
any other is cut where calibration never saw it. Factors are powers of the eighth root of two, so
that a record of them is a list of small whole numbers.
Source: Nagel et al., Data-free quantization through weight equalization and bias correction,
ICCV 2019, section 4.1; the factors here follow the activations' ranges, not the kernels'.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from export.tflite import model as tflite

STEPS = 8  # factors are 2 ** (k / STEPS)
LARGEST = 16.0  # no channel is multiplied by more
SPARE = 1.1  # a value may exceed the largest one seen by this before a cut at 6 meets it earlier
_PASSES = frozenset({"RESIZE_BILINEAR", "MAX_POOL_2D", "PAD"})
_KERNELS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"})
_RELU6 = 3  # of ActivationFunctionType
_RELU = 1
_NONE = 0


@dataclass
class Chain:
    """Tensors that must share one factor per channel, and the convolutions at their ends."""

    tensors: set[int] = field(default_factory=set)
    writers: list[Any] = field(default_factory=list)
    readers: list[Any] = field(default_factory=list)
    cut: set[int] = field(default_factory=set)  # tensors that are cut at 6


def chains(model: Any) -> list[Chain]:
    """Return the chains of a float file's graph, in the order of their first tensor."""
    graph = tflite.graph(model)
    leader: dict[int, int] = {}

    def find(tensor: int) -> int:
        while leader.setdefault(tensor, tensor) != tensor:
            tensor = leader[tensor]
        return tensor

    fixed = {int(i) for i in (*graph.inputs, *graph.outputs)}
    for operator in graph.operators:
        ends = tflite.activations(model, operator.inputs) + [int(i) for i in operator.outputs]
        if _passes(model, operator):
            for other in ends[1:]:
                low, high = sorted((find(ends[0]), find(other)))
                leader[high] = low
        elif tflite.operator_name(model, operator) not in _KERNELS or not _plain(operator):
            fixed.update(ends)
    groups: dict[int, Chain] = {}
    for operator in graph.operators:
        source = find(tflite.activations(model, operator.inputs)[0])
        made = int(operator.outputs[0])
        if tflite.operator_name(model, operator) in _KERNELS:
            groups.setdefault(find(made), Chain()).writers.append(operator)
            groups.setdefault(source, Chain()).readers.append(operator)
        group = groups.setdefault(find(made), Chain())
        group.tensors.add(made)
        if _activation(operator) == _RELU6:
            group.cut.add(made)
    blocked = {find(tensor) for tensor in fixed}
    return [groups[key] for key in sorted(groups)
            if key not in blocked and groups[key].writers and groups[key].readers]


def exponents(
    model: Any, reach: Mapping[str, np.ndarray], strength: float
) -> dict[str, list[int]]:
    """Return what each chain's channels are multiplied by, as powers of 2 ** (1 / STEPS).

    Args:
      model: the float file.
      reach: tensor name -> (channels,) largest absolute value seen.
      strength: in (0, 1]: share (of the logarithm) of the way to equal ranges. Where only depthwise
        convolutions read a chain the whole way is gone: their kernels lose nothing by it.
    Returns:
      Name of the chain's first tensor -> (channels,) whole numbers; chains without effect left out.
    """
    tensors = tflite.graph(model).tensors
    found = {}
    for chain in chains(model):
        names = {i: tflite.name_of(tensors[i]) for i in chain.tensors}
        seen = np.max([reach[name] for name in names.values()], axis=0)
        seen = np.where(seen > 0, seen, seen.max(initial=0.0))
        if not seen.max(initial=0.0) > 0:
            continue
        room = np.full(len(seen), LARGEST)
        if chain.cut:
            top = np.max([reach[names[i]] for i in chain.cut], axis=0)
            room = np.minimum(room, np.where(top > 0, 6.0 / (SPARE * np.maximum(top, 1e-12)), 1.0))
        goal = np.maximum(6.0 if chain.cut else seen.max(), seen.max()) / seen
        depthwise = all(tflite.operator_name(model, op) == "DEPTHWISE_CONV_2D"
                        for op in chain.readers)
        factor = np.clip(goal ** (1.0 if depthwise else strength), 1.0, np.maximum(room, 1.0))
        steps = np.floor(STEPS * np.log2(factor) + 1e-6).astype(int)
        if steps.any():
            found[names[min(names)]] = steps.tolist()
    return found


def apply(model: Any, found: Mapping[str, Iterable[int]]) -> None:
    """Multiply the channels of a float file's chains; `found` is what `exponents` gave.

    Raises:
      KeyError: a chain's first tensor is not in this file.
    """
    tensors = tflite.graph(model).tensors
    first = {tflite.name_of(tensors[min(chain.tensors)]): chain for chain in chains(model)}
    for name, steps in found.items():
        factor = np.exp2(np.asarray(list(steps), np.float64) / STEPS)
        for writer in first[name].writers:
            depthwise = tflite.operator_name(model, writer) == "DEPTHWISE_CONV_2D"
            shape = (1, 1, 1, -1) if depthwise else (-1, 1, 1, 1)
            _multiply(model, int(writer.inputs[1]), factor.reshape(shape))
            if len(writer.inputs) > 2 and writer.inputs[2] >= 0:
                _multiply(model, int(writer.inputs[2]), factor)
        for reader in first[name].readers:  # kernels: (out, h, w, in) and (1, h, w, channels)
            _multiply(model, int(reader.inputs[1]), 1.0 / factor.reshape(1, 1, 1, -1))


def _multiply(model: Any, index: int, factor: np.ndarray) -> None:
    value = tflite.constant(model, index)
    tflite.set_constant(model, index, (value.astype(np.float64) * factor).astype(np.float32))


def _activation(operator: Any) -> int:
    return int(getattr(operator.builtinOptions, "fusedActivationFunction", _NONE))


def _plain(operator: Any) -> bool:
    """Return whether the operator's activation lets positive factors through."""
    return _activation(operator) in (_NONE, _RELU, _RELU6)


def _passes(model: Any, operator: Any) -> bool:
    """Return whether an operator hands each channel's factor on unchanged."""
    name = tflite.operator_name(model, operator)
    if name in _PASSES:
        return True
    if name != "ADD" or not _plain(operator):
        return False
    tensors = tflite.graph(model).tensors
    shapes = {tuple(map(int, tensors[int(i)].shape))
              for i in (*operator.inputs, *operator.outputs)}
    return (len(shapes) == 1 and len(next(iter(shapes))) == 4
            and len(tflite.activations(model, operator.inputs)) == 2)
