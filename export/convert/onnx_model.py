"""Conversion of any click model's ONNX graph to a float32 file of the contract, by onnx2tf.

onnx2tf makes a Keras 2 model with channels last. Around it go the drawing of the taps, the
photograph's range and, where the graph gives logits, the sigmoid; what comes out has the tensors of
our own files (image, points, previous -> mask), so that calibration, gate and evaluation take
it like them.
"""
from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from export.convert.onnx_graph import RANGES, ClickGraph, read_click_graph
from oace_tf import fileio
from oace_tf.errors import UsageError

PARAMETERS_SUFFIX = ".onnx2tf.json"  # beside the graph: onnx2tf's parameter file, where needed
TRUNK = "onnx"  # what the report calls the network


def convert_onnx(weights: Path, trunk: str | None, max_points: int, size: int, out: Path) -> object:
    """Write the float32 file of an ONNX graph; the arguments are those of `convert_weights`.

    Raises:
      UsageError: no click model, of another size, or one that onnx2tf cannot convert.
    """
    from export.convert.keras_pair import Converted, float_tflite
    from export.tflite.operators import multiply_adds

    if trunk is not None:
        raise UsageError(f"{weights}: is an ONNX graph; leave --trunk out")
    graph = read_click_graph(weights)
    if graph.side not in (None, size):
        raise UsageError(f"{weights}: takes squares of {graph.side} px; give --size {graph.side}, "
                         "or export it with 512")
    with tempfile.TemporaryDirectory() as folder:
        foreign = keras2_model(graph, size, Path(folder))
    content = float_tflite(build_fused_foreign(graph, foreign, max_points, size))
    out.write_bytes(content)
    params = sum(int(np.prod(variable.shape)) for variable in foreign.variables)
    network = {"trunk": TRUNK, "architecture": weights.stem, "inputs": dict(graph.roles),
               "range": graph.range}
    return Converted(network=network, record={"licence": "that of the ONNX file"},
                     click_channels=graph.click_channels, params=params or _constants(content),
                     gmac=multiply_adds(content) / 1e9)


def keras2_model(graph: ClickGraph, size: int, folder: Path) -> Any:
    """Return onnx2tf's model of a graph, channels last.

    Raises:
      UsageError: onnx2tf is not installed, or gives up.
    """
    return _convert(graph.path, folder, graph.side or size, save=False)


def tflite_by_onnx2tf(path: Path, side: int, folder: Path) -> Path:
    """Return the float32 TFLite file that onnx2tf makes of a graph, in `folder`.

    Raises:
      UsageError: as `keras2_model`.
    """
    _convert(path, folder, side, save=True)
    files = sorted(folder.glob("*_float32.tflite"))
    if len(files) != 1:
        raise UsageError(f"{path}: onnx2tf wrote {len(files)} float files, expected one")
    return files[0]


def build_fused_foreign(graph: ClickGraph, foreign: Any, max_points: int, size: int) -> Any:
    """Return the Keras model with our inputs and result around onnx2tf's."""
    import keras

    from oace_tf.networks.fused import DISKS_LAYER, MASK_LAYER
    from oace_tf.networks.ported.ritm import Standardise, UnitDisks
    from oace_tf.runtime.tflite_reader import PREVIOUS

    image = keras.Input(batch_shape=(1, size, size, 3), name="image")
    points = keras.Input(batch_shape=(1, max_points, 3), name="points")
    previous = keras.Input(batch_shape=(1, size, size, 1), name=PREVIOUS)
    disks = UnitDisks(size, graph.click_channels, name=DISKS_LAYER)(points)
    picture = Standardise(*RANGES[graph.range], name="range")(image)
    tensors = {"image": picture, "clicks": disks, "previous": previous}
    if "image_and_previous" in graph.roles:
        tensors["image_and_previous"] = keras.layers.Concatenate(name="join")([picture, previous])
    names = {name: role for role, name in graph.roles.items()}
    order = [names[_plain(tensor.name, names)] for tensor in foreign.inputs]
    layer = _foreign_layer(foreign, size)
    mask = layer([tensors[role] for role in order])
    if not graph.is_probability:
        mask = keras.layers.Activation("sigmoid", dtype="float32", name=MASK_LAYER)(mask)
    return keras.Model([image, points, *([previous] if graph.guided else [])], mask, name="fused")


def _foreign_layer(foreign: Any, size: int) -> Any:
    import keras

    class Foreign(keras.layers.Layer):
        """Calls a Keras 2 model; its largest map of one channel, at the size of the frame."""

        def call(self, inputs: Any) -> Any:
            import tensorflow as tf

            results = foreign(list(inputs) if len(inputs) > 1 else inputs[0], training=False)
            results = results if isinstance(results, (list, tuple)) else [results]
            maps = [x for x in results if len(x.shape) == 4 and x.shape[-1] == 1]
            largest = max(maps, key=lambda x: x.shape[1])
            if largest.shape[1] != size:
                largest = tf.image.resize(largest, (size, size))
            return largest

        def compute_output_shape(self, shapes: Any) -> tuple[int, ...]:
            return (1, size, size, 1)

    return Foreign(name="foreign")


def _convert(path: Path, folder: Path, side: int, save: bool) -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Importing it lifts the limit of recursion of the process: callers run this in one of its own.
    try:
        import onnx2tf
    except ImportError as error:
        raise UsageError(f"{error}; this road needs: "
                         "pip install -c constraints.txt '.[port]'") from error
    from export.convert.onnx_graph import input_shapes, load_graph

    # For photographs as only input it would fetch pictures from the network to try itself on.
    onnx2tf.onnx2tf.download_test_image_data = _pictures
    parameters = path.with_name(path.name.removesuffix(".onnx") + PARAMETERS_SUFFIX)
    open_sides = [f"{name}:1,{shape[1]},{side},{side}"
                  for name, shape in input_shapes(load_graph(path)).items()
                  if len(shape) == 4 and None in shape]
    # onnxsim, found on PATH, folds the arithmetic of sizes; without it a Resize fails. It writes
    # into the very file that it is given, so that must be a copy.
    scripts = str(Path(sys.executable).parent)
    os.environ["PATH"] = os.pathsep.join([scripts, os.environ.get("PATH", "")])
    copy = folder / "graph.onnx"
    copy.write_bytes(load_graph(path).SerializeToString())
    try:
        with _quiet():
            return onnx2tf.convert(
                input_onnx_file_path=str(copy), output_folder_path=str(folder), non_verbose=True,
                copy_onnx_input_output_names_to_tflite=True, disable_model_save=not save,
                overwrite_input_shape=open_sides or None,
                param_replacement_file=str(parameters) if parameters.is_file() else "")
    except (Exception, SystemExit) as error:  # it ends the process where it gives up
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UsageError(f"{path}: onnx2tf gives up ({reason}); a parameter file "
                         f"{parameters.name} beside it may help (docs/port.md){_advice(folder)}"
                         ) from error


def _pictures() -> np.ndarray:
    """Return what stands in for onnx2tf's own sample pictures, (20, 128, 128, 3) in [0, 1)."""
    return np.random.default_rng(0).random((20, 128, 128, 3)).astype(np.float32)


def _advice(folder: Path) -> str:
    """Return what onnx2tf itself proposes as parameter file after it gave up, on one line."""
    for proposal in folder.glob("*_auto.json"):
        with contextlib.suppress(ValueError, KeyError, TypeError, UsageError):
            operations = fileio.read_json(proposal)["operations"]
            return f"; its own proposal: {json.dumps({'operations': operations[:2]})}"
    return ""


def _plain(name: str, known: dict[str, str]) -> str:
    """Return which of the graph's inputs a Keras 2 tensor is; onnx2tf changes some characters."""
    plain = name.split(":")[0]
    for candidate in known:
        if plain in (candidate, candidate.replace(".", "_").replace("/", "_").replace(":", "_")):
            return candidate
    raise UsageError(f"onnx2tf calls an input {plain!r}, which is none of {', '.join(known)}")


def _constants(content: bytes) -> int:
    from export.tflite import model as tflite

    model = tflite.parse(content)
    tensors = tflite.graph(model).tensors
    return sum(math.prod(map(int, tensor.shape)) for index, tensor in enumerate(tensors)
               if tflite.is_constant(model, index) and tflite.type_name(tensor) == "float32")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    level = logging.getLogger().level
    with open(os.devnull, "w") as sink, contextlib.redirect_stdout(sink), \
            contextlib.redirect_stderr(sink):
        try:
            yield
        finally:
            logging.getLogger().setLevel(level)
