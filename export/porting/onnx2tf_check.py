"""Check through onnx2tf: onnxruntime, Keras and onnx2tf's file on the same inputs.

onnx2tf's own check feeds ones, which says nothing about padding, layout or resizing, and is left
out where memory is short.
"""
from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from export.convert.onnx_graph import load_graph
from export.convert.onnx_model import tflite_by_onnx2tf
from export.porting.checkpoint import Checkpoint
from export.porting.parity import TOLERANCE, deviation, nhwc, open_graph
from export.porting.parity_inputs import Feed, graph_side
from oace_tf.errors import UsageError
from oace_tf.runtime.interpreter import open_interpreter
from oace_tf.workers import apart


@dataclass(frozen=True, slots=True)
class RoadRow:
    """Largest deviations of one result on one input (see `parity.deviation`)."""

    input: str
    result: str
    keras: float | None  # against onnxruntime; None: the network has no such result
    onnx2tf: float  # against onnxruntime
    both: float | None  # Keras against onnx2tf

    @property
    def holds(self) -> bool:
        """Whether all are within the tolerance (false for NaN)."""
        return all(value is None or value <= TOLERANCE
                   for value in (self.keras, self.onnx2tf, self.both))


def cross_check(model: keras.Model, checkpoint: Checkpoint,
                feeds: Sequence[Feed]) -> list[RoadRow]:
    """Return a row for each input and result of the graph.

    Args:
      model: the filled network.
      checkpoint: with a graph; its file is read again by onnx2tf.
      feeds: the inputs of all three.
    Raises:
      UsageError: onnx2tf is not installed or gives up.
    """
    by_onnx2tf = apart(run_onnx2tf, checkpoint.path, graph_side(checkpoint),
                       [dict(feed.graph) for feed in feeds])
    run_graph = open_graph(checkpoint)
    names = [output.name for output in checkpoint.graph.graph.output]
    rows = []
    for feed, other in zip(feeds, by_onnx2tf, strict=True):
        theirs = dict(zip(names, map(nhwc, run_graph(feed.graph))))
        ours = [np.asarray(value) for value in model([feed.keras[t.name] for t in model.inputs],
                                                     training=False)]
        for name, value in theirs.items():
            same = [mine for mine in ours if mine.shape == value.shape]
            twin = same[0] if same else None
            rows.append(RoadRow(
                feed.title, name, None if twin is None else deviation(twin, value),
                deviation(other[name], value),
                None if twin is None else deviation(twin, other[name])))
    return rows


def run_onnx2tf(path: Path, side: int,
                feeds: Sequence[Mapping[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
    """Convert a graph with onnx2tf and run its float TFLite file; in a process of its own.

    Args:
      path: the ONNX file; it is not changed.
      side: of the square, where the graph leaves it open.
      feeds: inputs by the graph's names, channels first.
    Returns:
      For each input the results by the graph's names, channels last.
    """
    with tempfile.TemporaryDirectory() as folder:
        content = tflite_by_onnx2tf(path, side, Path(folder)).read_bytes()
    interpreter = open_interpreter(content)
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    results = []
    for feed in feeds:
        for entry in inputs:
            name = _known(entry["name"], feed)
            value = feed[name]
            laid_out = value.transpose(0, 2, 3, 1) if value.ndim == 4 else value
            interpreter.set_tensor(entry["index"], np.ascontiguousarray(laid_out))
        interpreter.invoke()
        results.append({name: interpreter.get_tensor(entry["index"]).copy()
                        for name, entry in _results(path, outputs).items()})
    return results


def _results(path: Path, outputs: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return the file's outputs by the graph's names; onnx2tf may say Identity, Identity_1."""
    names = [output.name for output in load_graph(path).graph.output]
    if {_plain(entry["name"]) for entry in outputs} == set(names):
        return {_plain(entry["name"]): entry for entry in outputs}
    if len(outputs) != len(names):
        raise UsageError(f"{path}: onnx2tf's file has {len(outputs)} results, the graph "
                         f"{len(names)}")

    def place(entry: Mapping[str, Any]) -> int:
        number = _plain(entry["name"]).rpartition("_")[2]
        return int(number) if number.isdecimal() else 0

    return dict(zip(names, sorted(outputs, key=place)))


def table(rows: Sequence[RoadRow]) -> str:
    """Return the rows as text for people."""
    lines = ["three roads, largest deviations: onnxruntime to Keras, onnxruntime to onnx2tf, Keras "
             "to onnx2tf"]
    for row in rows:
        values = "  ".join("   -    " if value is None else f"{value:.2e}"
                           for value in (row.keras, row.onnx2tf, row.both))
        fault = "" if row.holds else "  TOO LARGE"
        lines.append(f"{row.input:<14}{row.result:<12}{values}{fault}")
    return "\n".join(lines)


def _plain(name: str) -> str:
    return name.removeprefix("serving_default_").split(":")[0]


def _known(name: str, feed: Mapping[str, Any]) -> str:
    plain = _plain(name)
    if plain not in feed:
        raise UsageError(f"onnx2tf calls an input {plain!r}; the graph has {', '.join(feed)}")
    return plain
