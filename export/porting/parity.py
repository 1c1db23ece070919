"""Parity of a port: the ONNX graph under onnxruntime and the Keras model on the same inputs.

Compared are not the results alone but the output of every layer that has weights: a graph's node
names its layer by its weights. The deviation of a layer is the largest absolute difference over
the largest absolute value (at least one); that of a stage, the largest of its layers.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from export.convert.onnx_graph import last_words
from export.porting.checkpoint import WEIGHTED, Checkpoint
from export.porting.parity_inputs import Feed
from export.porting.tensor_map import Row
from oace_tf.errors import UsageError
from oace_tf.networks.ported.registry import layer_name

TOLERANCE = 1e-3
OUTPUTS = "outputs"  # the stage of the graph's own results


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer in both: the name, and the graph's tensor."""

    name: str
    tensor: str


@dataclass(frozen=True, slots=True)
class StageRow:
    """The largest deviation within one stage, over all inputs."""

    stage: str
    layers: int
    deviation: float
    worst: str  # the layer that has it
    first_bad: str | None  # the first layer, in the graph's order, beyond the tolerance

    @property
    def holds(self) -> bool:
        """Whether the stage is within the tolerance (false for NaN)."""
        return self.deviation <= TOLERANCE


def prove(model: keras.Model, checkpoint: Checkpoint, rows: Sequence[Row],
          feeds: Sequence[Feed]) -> list[StageRow]:
    """Return the deviations per stage, in the graph's order, the results last.

    Args:
      model: the filled network.
      checkpoint: with a graph.
      rows: of `tensor_map`, that say which tensor went where.
      feeds: the inputs of both.
    Raises:
      UsageError: onnxruntime is not installed or refuses the graph.
    """
    graph = checkpoint.graph
    layers = list(compared_layers(model, graph, rows))
    run_graph = open_graph(checkpoint, [layer.tensor for layer in layers])
    by_name = {layer_name(model, layer): layer for layer in model.layers}
    inner = keras.Model(model.inputs, [by_name[layer.name].output for layer in layers]
                        + list(model.outputs))
    differences: dict[str, dict[str, float]] = {}
    for feed in feeds:
        theirs = run_graph(feed.graph)
        ours = [np.asarray(value) for value in inner([feed.keras[t.name] for t in model.inputs],
                                                     training=False)]
        for index, layer in enumerate(layers):
            entry = differences.setdefault(stage_of(layer.name), {})
            entry[layer.name] = _worse(entry.get(layer.name), deviation(
                ours[index], nhwc(theirs[len(graph.graph.output) + index])))
        entry = differences.setdefault(OUTPUTS, {})
        for name, value in _results(graph, theirs, ours[len(layers):]):
            entry[name] = _worse(entry.get(name), value)
    differences[OUTPUTS] = differences.pop(OUTPUTS)  # last
    return [_row(stage, entry) for stage, entry in differences.items() if entry]


def compared_layers(model: keras.Model, graph: Any, rows: Sequence[Row]) -> Iterator[Layer]:
    """Yield the layers whose outputs both sides have, in the graph's order."""
    owner = {row.source: row.name.rpartition(".")[0] for row in rows if row.source and row.name}
    known = {layer_name(model, layer): layer for layer in model.layers}
    earlier = set()
    for node in graph.graph.node:
        if node.op_type not in WEIGHTED:
            continue
        names = {owner[name] for name in node.input if name in owner}
        for name in names:
            # A layer that is activated at once has no such output on our side.
            if (name in known and name not in earlier
                    and not getattr(known[name], "activated", False)):
                earlier.add(name)
                yield Layer(name, node.output[0])


def open_graph(checkpoint: Checkpoint, extra: Sequence[str] = ()) -> Any:
    """Return a function: inputs by name -> the graph's results, then the tensors `extra`.

    Nothing is optimised: what is run is what the file says.

    Raises:
      UsageError: onnxruntime is not installed or refuses the graph.
    """
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise UsageError(f"{error}; the proof needs: "
                         "pip install -c constraints.txt '.[port]'") from error
    model = onnx.ModelProto()
    model.CopyFrom(checkpoint.graph)
    results = {output.name for output in model.graph.output}
    for name in extra:
        if name not in results:
            model.graph.output.append(onnx.ValueInfoProto(name=name))
    names = [output.name for output in checkpoint.graph.graph.output]
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options,
                                               providers=["CPUExecutionProvider"])
    except Exception as error:  # its classes are private
        raise UsageError(f"{checkpoint.path}: onnxruntime refuses the graph "
                         f"({last_words(error)}); export it again") from error

    def run(feed: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        try:
            return session.run([*names, *extra], dict(feed))
        except Exception as error:
            raise UsageError(f"{checkpoint.path}: onnxruntime cannot run the graph "
                             f"({last_words(error)}); export it again") from error

    return run


def deviation(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the largest difference over the largest value (at least one); NaN stays NaN.

    Arrays of different shapes deviate infinitely; but one cell of ours may stand for a whole map,
    each cell of which it is then compared with.
    """
    if ours.shape != theirs.shape and ours.shape[1:3] != (1, 1) or ours.ndim != theirs.ndim or (
            ours.shape[-1] != theirs.shape[-1]):
        return float("inf")
    scale = max(1.0, float(np.abs(theirs).max(initial=0.0)))
    return float(np.abs(ours.astype(np.float64) - theirs).max(initial=0.0)) / scale


def nhwc(array: np.ndarray) -> np.ndarray:
    """Return a tensor of the graph with its channels last."""
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def stage_of(layer: str) -> str:
    """Return a layer's stage: its name up to the first number, that of a module, block or layer."""
    parts = layer.split(".")
    for index, part in enumerate(parts[:-1]):
        if part.isdecimal():
            return ".".join(parts[:index + 1])
    return ".".join(parts[:-1]) if parts[-1].isdecimal() else layer


def table(rows: Sequence[StageRow]) -> str:
    """Return the stages as text for people."""
    width = max(len(row.stage) for row in rows)
    lines = [f"{'stage':<{width}}  layers  largest deviation"]
    for row in rows:
        fault = "" if row.holds else f"  TOO LARGE, first at {row.first_bad}"
        lines.append(f"{row.stage:<{width}}  {row.layers:>6}  {row.deviation:.2e}{fault}")
    return "\n".join(lines)


def _results(graph: Any, theirs: Sequence[np.ndarray],
             ours: Sequence[np.ndarray]) -> Iterator[tuple[str, float]]:
    """Yield (name, deviation) of the graph's results, each against ours of the same shape."""
    left = list(ours)
    for output, value in zip(graph.graph.output, theirs):
        same = [k for k, mine in enumerate(left) if mine.shape == nhwc(value).shape]
        if same:
            yield output.name, deviation(left.pop(same[0]), nhwc(value))
        else:
            yield output.name, float("inf")


def _row(stage: str, entry: Mapping[str, float]) -> StageRow:
    worst = max(entry, key=lambda name: np.nan_to_num(entry[name], nan=np.inf))
    bad = [name for name, value in entry.items() if not value <= TOLERANCE]
    return StageRow(stage, len(entry), entry[worst], worst, bad[0] if bad else None)


def _worse(old: float | None, new: float) -> float:
    return new if old is None else float(np.maximum(old, new))
