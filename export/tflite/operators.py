"""Operators of a TFLite file: what they read and give, how many, and which int8 must not hold."""
from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from export.tflite import model as tflite

# Softmax and matrix product of an attention: no int8 delegate takes them, but in float they do not
# split the graph (two of them, with what turns int8 into float and back, lie inside the delegate).
FLOAT_ISLAND = ("SOFTMAX", "BATCH_MATMUL")


def operators(content: bytes) -> list[dict[str, Any]]:
    """Return the file's operators: name, types of what they read and give, how many of each.

    Returns:
      Entries {"operator", "types", "count"}, most frequent first; `types` reads
      "int8 -> uint8", constants left out.
    """
    model = tflite.parse(content)
    graph = tflite.graph(model)
    kinds: Counter[tuple[str, str]] = Counter()
    for operator in graph.operators:
        reads = _types(graph, tflite.activations(model, operator.inputs))
        gives = _types(graph, [int(i) for i in operator.outputs])
        kinds[tflite.operator_name(model, operator), f"{reads} -> {gives}"] += 1
    ordered = sorted(kinds.items(), key=lambda entry: (-entry[1], entry[0]))
    return [{"operator": name, "types": types, "count": n} for (name, types), n in ordered]


def operator_faults(content: bytes) -> list[str]:
    """Return what an int8 file must not hold: operators of other sets, float ones that draw no tap.

    An operator draws taps when all it reads at run time comes from `points` in float. Features are
    averaged in float under what was drawn, and over regions (`_means`, `_regions`). Those of
    `FLOAT_ISLAND` may be float, with the steps from int8 and back.
    """
    model = tflite.parse(content)
    graph = tflite.graph(model)
    drawn = _drawn(model)
    regions, shares = _regions(model)
    island = drawn | regions | _means(model, drawn | shares) | {
        int(i) for operator in graph.operators
        if tflite.operator_name(model, operator) in FLOAT_ISLAND
        for i in (*tflite.activations(model, operator.inputs), *operator.outputs)}
    faults = []
    for operator in graph.operators:
        name = tflite.operator_name(model, operator)
        if name.startswith(("CUSTOM", "UNKNOWN")):
            faults.append(f"{name} is no builtin operator")
        needs = tflite.activations(model, operator.inputs)
        in_float = [i for i in (*needs, *map(int, operator.outputs))
                    if _is_float(graph.tensors[i])]
        if needs and not drawn.issuperset(needs) and not island.issuperset(in_float):
            index = next(i for i in in_float if i not in island)
            tensor = tflite.name_of(graph.tensors[index]) or f"number {index}"
            faults.append(f"{name} works in float on tensor {tensor}")
    return faults


def _drawn(model: Any) -> set[int]:
    """Return the float tensors that are made of `points` alone, `points` included."""
    graph = tflite.graph(model)
    inputs, _ = tflite.signature(model)
    drawn = {inputs["points"]}
    for operator in graph.operators:  # stored in the order of execution
        needs = tflite.activations(model, operator.inputs)
        if needs and drawn.issuperset(needs):
            drawn.update(int(i) for i in operator.outputs if _is_float(graph.tensors[int(i)]))
    return drawn


def _regions(model: Any) -> tuple[set[int], set[int]]:
    """Return the float tensors of regions, and of them the shares that sum to 1.

    A region is an estimate, or one minus it; its shares are it over a constant and its sum.
    """
    tensors: set[int] = set()
    shares: set[int] = set()
    graph = tflite.graph(model)
    made_by = {int(i): operator for operator in graph.operators for i in operator.outputs}

    def made(index: int, name: str) -> list[int] | None:
        operator = made_by.get(index)
        if operator is None or tflite.operator_name(model, operator) != name:
            return None
        return tflite.activations(model, operator.inputs)

    for index in made_by:
        quotient = made(index, "DIV") or []
        if len(quotient) != 2:
            continue
        region, total = quotient
        sums = made(total, "ADD") or []
        if len(sums) != 1 or made(sums[0], "SUM") != [region]:
            continue
        shares.add(index)
        rest = made(region, "SUB") or []  # one minus an estimate: the one is a constant
        tensors.update({index, total, sums[0], region}, rest if len(rest) == 1 else [])
    return tensors, shares


def _means(model: Any, drawn: set[int]) -> set[int]:
    """Return the float tensors of features averaged under weights: features x weights, summed."""
    tensors: set[int] = set()
    for operator in tflite.graph(model).operators:
        name = tflite.operator_name(model, operator)
        needs = tflite.activations(model, operator.inputs)
        product = name == "MUL" and len(needs) == 2 and len(drawn.intersection(needs)) == 1
        if product or name == "SUM" and needs and tensors.issuperset(needs):
            tensors.update(set(needs) - drawn, map(int, operator.outputs))
    return tensors


def multiply_adds(content: bytes) -> int:
    """Return the multiplications of all convolutions and fully connected operators of one run."""
    model = tflite.parse(content)
    tensors = tflite.graph(model).tensors
    total = 0
    for operator in tflite.graph(model).operators:
        name = tflite.operator_name(model, operator)
        if name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            shape = tensors[int(operator.outputs[0])].shape
            kernel = tensors[int(operator.inputs[1])].shape
            # Both kernels hold the channels of one side; CONV_2D is (out, h, w, in) and each output
            # value takes h * w * in, DEPTHWISE is (1, h, w, out) and takes h * w.
            each = kernel[1:3] if name == "DEPTHWISE_CONV_2D" else kernel[1:]
            total += math.prod(map(int, shape)) * math.prod(map(int, each))
    return total


def _types(graph: Any, indices: Sequence[int]) -> str:
    return ", ".join(sorted({tflite.type_name(graph.tensors[i]) for i in indices})) or "nothing"


def _is_float(tensor: Any) -> bool:
    return tflite.type_name(tensor).startswith("float")
