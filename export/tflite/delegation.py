"""Delegation of a TFLite file on this host: what the delegate takes, what is left outside."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from export.tflite import model as tflite
from oace_tf.runtime.interpreter import open_interpreter, timed_ms


@dataclass(frozen=True, slots=True)
class Delegation:
    """How the default delegate (XNNPACK) takes a file."""

    partitions: tuple[int, ...]  # original operators in each delegate node
    outside: tuple[str, ...]  # names of the operators that no delegate takes
    places: tuple[int, ...] = ()  # where they stand in the file
    bytes_tensors: int = 2  # uint8 inputs and outputs: a QUANTIZE each may lie outside

    @property
    def as_contracted(self) -> bool:
        """Whether one delegate takes everything but the QUANTIZE of image and masks."""
        return len(self.partitions) == 1 and set(self.outside) <= {"QUANTIZE"} and (
            len(self.outside) <= self.bytes_tensors)


def delegation(content: bytes, threads: int = 1) -> Delegation:
    """Return what the delegate takes, read from the interpreter itself.

    The interpreter lists the original operators and, at the end, a DELEGATE node a partition;
    what lies between the inputs and the outputs of such a node is inside.
    """
    interpreter = open_interpreter(content, threads)
    nodes = interpreter._get_ops_details()  # the only way to see the delegate from Python
    original = [node for node in nodes if node["op_name"] != "DELEGATE"]
    producer = {int(t): k for k, node in enumerate(original) for t in node["outputs"]}
    partitions = []
    inside: set[int] = set()
    for node in nodes:
        if node["op_name"] == "DELEGATE":
            taken = _between(node, original, producer)
            partitions.append(len(taken))
            inside |= taken
    places = [k for k in range(len(original)) if k not in inside]
    outside = [original[k]["op_name"] for k in places]
    details = interpreter.get_input_details() + interpreter.get_output_details()
    as_bytes = sum(entry["dtype"] == np.uint8 for entry in details)
    return Delegation(tuple(partitions), tuple(outside), tuple(places), max(as_bytes, 2))


def cost_outside(content: bytes, found: Delegation, threads: int = 1) -> list[dict[str, Any]]:
    """Return {operator, tensor, ms} of each operator outside: its time alone, median of 21 runs.

    Each one is cut out of the file and run by itself on random values.
    """
    rows = []
    for index in found.places:
        model = tflite.parse(content)
        graph = tflite.graph(model)
        operator = graph.operators[index]
        graph.operators = [operator]
        graph.inputs = np.array(tflite.activations(model, operator.inputs), np.int32)
        graph.outputs = np.array(operator.outputs, np.int32)
        model.signatureDefs, model.metadata = [], []
        alone = open_interpreter(tflite.serialise(model), threads)
        rng = np.random.default_rng(0)
        for entry in alone.get_input_details():
            value = rng.integers(0, 100, entry["shape"])
            alone.set_tensor(entry["index"], value.astype(entry["dtype"]))
        times = timed_ms(alone.invoke, 22)
        name = tflite.name_of(graph.tensors[int(operator.outputs[0])])
        rows.append({"operator": found.outside[found.places.index(index)], "tensor": name,
                     "ms": round(float(np.median(times[1:])), 4)})
    return rows


def _between(
    delegate: Mapping[str, Any], original: Sequence[Mapping[str, Any]], producer: Mapping[int, int]
) -> set[int]:
    stop = {int(t) for t in delegate["inputs"]}
    todo = [int(t) for t in delegate["outputs"]]
    inside: set[int] = set()
    while todo:
        tensor = todo.pop()
        node = producer.get(tensor)
        if tensor in stop or node is None or node in inside:
            continue
        inside.add(node)
        todo += [int(t) for t in original[node]["inputs"]]
    return inside
