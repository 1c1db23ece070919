"""What a TFLite file is and does on this host: operators, delegate, size, load time, latency."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from export import flatfile

# Softmax and matrix product of an attention: no int8 delegate takes them, but in float they do not
# split the graph (two of them, with what turns int8 into float and back, lie inside the delegate).
FLOAT_ISLAND = ("SOFTMAX", "BATCH_MATMUL")


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


def operators(content: bytes) -> list[dict[str, Any]]:
    """Return the file's operators: name, types of what they read and give, how many of each.

    Returns:
      Entries {"operator", "types", "count"}, most frequent first; `types` reads
      "int8 -> uint8", constants left out.
    """
    model = flatfile.parse(content)
    graph = flatfile.graph(model)
    found: Counter[tuple[str, str]] = Counter()
    for operator in graph.operators:
        reads = _types(graph, flatfile.activations(model, operator.inputs))
        gives = _types(graph, [int(i) for i in operator.outputs])
        found[flatfile.operator_name(model, operator), f"{reads} -> {gives}"] += 1
    ordered = sorted(found.items(), key=lambda entry: (-entry[1], entry[0]))
    return [{"operator": name, "types": types, "count": n} for (name, types), n in ordered]


def operator_faults(content: bytes) -> list[str]:
    """Return what an int8 file must not hold: operators of other sets, float ones that draw no tap.

    An operator draws taps when all it reads at run time comes from `points` in float. Those of
    `FLOAT_ISLAND` may be float, with the steps from int8 and back.
    """
    model = flatfile.parse(content)
    graph = flatfile.graph(model)
    inputs, _ = flatfile.signature(model)
    drawn = {inputs["points"]}
    island = {int(i) for operator in graph.operators
              if flatfile.operator_name(model, operator) in FLOAT_ISLAND
              for i in (*flatfile.activations(model, operator.inputs), *operator.outputs)}
    faults = []
    for operator in graph.operators:
        name = flatfile.operator_name(model, operator)
        if name.startswith(("CUSTOM", "UNKNOWN")):
            faults.append(f"{name} is no builtin operator")
        needs = flatfile.activations(model, operator.inputs)
        gives = [int(i) for i in operator.outputs]
        in_float = [i for i in needs + gives if _is_float(graph.tensors[i])]
        if needs and drawn.issuperset(needs):
            drawn.update(i for i in gives if _is_float(graph.tensors[i]))
        elif in_float and not island.issuperset(in_float):
            tensor = flatfile.name_of(graph.tensors[in_float[0]]) or f"number {in_float[0]}"
            faults.append(f"{name} works in float on tensor {tensor}")
    return faults


def multiply_adds(content: bytes) -> int:
    """Return the multiplications of all convolutions and fully connected operators of one run."""
    model = flatfile.parse(content)
    tensors = flatfile.graph(model).tensors
    total = 0
    for operator in flatfile.graph(model).operators:
        name = flatfile.operator_name(model, operator)
        if name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            made = tensors[int(operator.outputs[0])].shape
            kernel = tensors[int(operator.inputs[1])].shape
            # Both kernels hold the channels of one side; CONV_2D is (out, h, w, in) and each output
            # value takes h * w * in, DEPTHWISE is (1, h, w, out) and takes h * w.
            each = kernel[1:3] if name == "DEPTHWISE_CONV_2D" else kernel[1:]
            total += math.prod(map(int, made)) * math.prod(map(int, each))
    return total


def delegation(content: bytes, threads: int = 1) -> Delegation:
    """Return what the delegate takes, read from the interpreter itself.

    The interpreter lists the original operators and, at the end, a DELEGATE node a partition;
    what lies between the inputs and the outputs of such a node is inside.
    """
    interpreter = opened(content, threads)
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
    for place in found.places:
        model = flatfile.parse(content)
        graph = flatfile.graph(model)
        operator = graph.operators[place]
        graph.operators = [operator]
        graph.inputs = np.array(flatfile.activations(model, operator.inputs), np.int32)
        graph.outputs = np.array(operator.outputs, np.int32)
        model.signatureDefs, model.metadata = [], []
        alone = opened(flatfile.serialise(model), threads)
        rng = np.random.default_rng(0)
        for entry in alone.get_input_details():
            value = rng.integers(0, 100, entry["shape"])
            alone.set_tensor(entry["index"], value.astype(entry["dtype"]))
        taken = []
        for _ in range(22):
            begin = time.perf_counter()
            alone.invoke()
            taken.append(1e3 * (time.perf_counter() - begin))
        name = flatfile.name_of(graph.tensors[int(operator.outputs[0])])
        rows.append({"operator": found.outside[found.places.index(place)], "tensor": name,
                     "ms": round(float(np.median(taken[1:])), 4)})
    return rows


def timing(
    files: Mapping[str, str | Path], threads: int = 1, runs: int = 11, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Return load time and latency of several files, measured in turns in one run.

    Args:
      files: name -> path.
      threads: of the interpreter, the same for all.
      runs: timed invocations of each file, after one warm-up.
      seed: of the input picture.
    Returns:
      name -> {"load_ms", "latency_ms", "latency_min_ms", "latency_max_ms"}; latency is the
      median of `runs`; loading is opening, preparing and the first invocation.
    """
    ready = {}
    load = {}
    for name, path in files.items():
        content = Path(path).read_bytes()
        begin = time.perf_counter()
        interpreter = opened(content, threads)
        fill(interpreter, seed)
        interpreter.invoke()
        load[name] = 1e3 * (time.perf_counter() - begin)
        ready[name] = interpreter
    taken: dict[str, list[float]] = {name: [] for name in files}
    for _ in range(runs):
        for name, interpreter in ready.items():
            begin = time.perf_counter()
            interpreter.invoke()
            taken[name].append(1e3 * (time.perf_counter() - begin))
    return {
        name: {
            "load_ms": round(load[name], 1),
            "latency_ms": round(float(np.median(ms)), 2),
            "latency_min_ms": round(min(ms), 2),
            "latency_max_ms": round(max(ms), 2),
        }
        for name, ms in taken.items()
    }


def opened(content: bytes, threads: int) -> Any:
    """Return an interpreter of a file, ready for its inputs."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=threads)
    interpreter.allocate_tensors()
    return interpreter


def fill(interpreter: Any, seed: int) -> None:
    """Give a file (or a part of one) a picture of noise and one tap in its upper left corner."""
    rng = np.random.default_rng(seed)
    for entry in interpreter.get_input_details():
        shape = tuple(entry["shape"])
        if len(shape) == 4:
            low = 0 if entry["dtype"] == np.uint8 else -128
            byte = rng.integers(low, low + 256, shape)
            value = byte / 128 if entry["dtype"] == np.float32 else byte
        else:
            value = np.full(shape, -1.0)
            value.reshape(-1)[:3] = (0.5, 0.5, 1.0)[:value.size]
        interpreter.set_tensor(entry["index"], value.astype(entry["dtype"]))


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


def _types(graph: Any, indices: Sequence[int]) -> str:
    return ", ".join(sorted({flatfile.type_name(graph.tensors[i]) for i in indices})) or "nothing"


def _is_float(tensor: Any) -> bool:
    return flatfile.type_name(tensor).startswith("float")
