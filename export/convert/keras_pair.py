"""Conversion of the fused Keras model to a float32 TFLite file (bytes).

The file's contract: inputs image float32 [1,S,S,3] = (byte - 128) / 128 and points float32 [1,N,3],
output mask float32 [1,S,S,1]; one signature `serving_default` with these names. A network that is
guided by its own last answer (RITM) takes it as third input, previous float32 [1,S,S,1]. One of
gestures gives several answers too, masks float32 [1,S,S,3] and scores float32 [1,3]. The
tensors of the drawing of the taps are renamed `disks/...`, its product `disks`, and the
concatenation with the photograph `image_disks`, so that later steps find them without knowing
Keras's naming.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.tflite import model as tflite
from oace_tf.errors import UsageError
from oace_tf.runtime.tflite_reader import MASKS, PREVIOUS, SCORES
from oace_tf.tensor_file import PAIR_FORMAT, PORTED_FORMAT, format_of, read_tensors

DRAWING = "disks"  # the product of the drawing; its inner tensors are disks/0, disks/1, ...
IMAGE_DISKS = "image_disks"
_LAYER_SCOPE = re.compile(r"/disks(_\d+)?/")  # how the converter names what the Disks layer makes
# What the GestureMaps layer makes, and the features' means under a gesture.
_GESTURE_SCOPE = re.compile(r"/gestures(_\d+)?/|/prior\.query\.(object|background)\d+(_\d+)?/"
                            r"|/(?:msfnet|refiner)\.found\.(object|background)(_\d+)?/")
_JOINS = ("CONCATENATION",)
ONNX = "onnx"
# Other kinds of weights, and the module and function here that convert them.
_CONVERTERS = {PORTED_FORMAT: ("ritm", "convert_ritm"), ONNX: ("onnx_model", "convert_onnx")}
_INPUTS: Mapping[str, Callable[[tuple[int, ...]], bool]] = {  # what tells an input's shape
    "image": lambda shape: len(shape) == 4 and shape[3] == 3,
    "points": lambda shape: len(shape) == 3,
    PREVIOUS: lambda shape: len(shape) == 4 and shape[3] == 1,
}
_OUTPUTS: Mapping[str, Callable[[tuple[int, ...]], bool]] = {  # the last two or neither
    "mask": lambda shape: len(shape) == 4 and shape[3] == 1,
    MASKS: lambda shape: len(shape) == 4 and shape[3] > 1,
    SCORES: lambda shape: len(shape) == 2,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """What a converted pair is: for report and metadata."""

    network: dict[str, Any]  # its configuration, as JSON object
    record: dict[str, Any]  # what the weights file says of its training
    click_channels: int
    params: int
    gmac: float  # at the converted size, batch 1
    gestures: tuple[str, ...] = ()  # that the network was trained on; empty: taps alone


def convert_weights(
    weights: Path, trunk: str | None, max_points: int, size: int, out: Path
) -> Converted:
    """Write the float32 file of a weights file; meant to run in a process of its own (2 GB).

    Args:
      weights: safetensors of a pair or of a ported RITM, or an ONNX graph.
      trunk: what the pair's trunk must be, or None for any.
      max_points: N, rows of `points`.
      size: side of the frame, pixels.
      out: the file to write.
    Raises:
      UsageError: the weights cannot be read or belong to another trunk, or Keras does not run on
        TensorFlow.
    """
    require_tensorflow_backend()
    converter = _CONVERTERS.get(kind_of(weights))
    if converter is not None:
        module, function = converter
        convert = getattr(importlib.import_module(f"export.convert.{module}"), function)
        converted: Converted = convert(weights, trunk, max_points, size, out)
        return converted
    from oace_tf.networks.cost import add_up, cost_table
    from oace_tf.networks.fused import build_fused
    from oace_tf.networks.weights import build_from_weights, read_record

    config, _ = read_record(weights)
    if trunk is not None and config.trunk != trunk:
        raise UsageError(f"{weights}: holds a network of trunk {config.trunk}, not {trunk}; "
                         "leave --trunk out or give other weights")
    if config.one_trunk:
        from export.convert.gestures import convert_gestures

        return convert_gestures(weights, max_points, size, out)
    pair, record = build_from_weights(weights, size)
    totals = add_up(row for model in pair.models() for row in cost_table(model))
    out.write_bytes(float_tflite(build_fused(pair, max_points, size)))
    return Converted(network=pair.config.to_json(), record=dict(record),
                     click_channels=pair.config.click_channels, params=totals.params,
                     gmac=totals.gmac)


def kind_of(weights: Path) -> str:
    """Return what a file of weights is: a pair, a ported network, or an ONNX graph.

    Raises:
      UsageError: damaged, none of them, or a ported network without a mask.
    """
    if weights.suffix == ".onnx":
        return ONNX
    kind = format_of(weights)
    if kind != PORTED_FORMAT:
        read_tensors(weights, PAIR_FORMAT)
        return PAIR_FORMAT
    _, metadata = read_tensors(weights, PORTED_FORMAT)
    if '"network": "ritm_' not in metadata.get("ported", ""):
        raise UsageError(f"{weights}: holds a ported network which gives no mask by itself; start "
                         "a training from it: `python -m oace_tf.train --init`")
    return kind


def require_tensorflow_backend() -> None:
    """Check that Keras runs on TensorFlow, the only backend the converter understands.

    Raises:
      UsageError: another backend is set (variable KERAS_BACKEND or Keras's own configuration), or
        one of the two is not installed.
    """
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import keras
        import tensorflow  # noqa: F401 (Keras on another backend would not need it)
    except ImportError as error:
        raise UsageError(f"{error}; install what conversion needs: "
                         "pip install -c constraints.txt -e '.[export]'") from error

    if keras.backend.backend() != "tensorflow":
        raise UsageError(
            f"Keras runs on {keras.backend.backend()!r}, but a TFLite file can only be made with "
            "TensorFlow; set KERAS_BACKEND=tensorflow"
        )


def float_tflite(fused: Any) -> bytes:
    """Return the float32 TFLite file of a fused model of batch 1.

    Args:
      fused: what `networks.fused.build_fused` gives, weights loaded.
    Returns:
      The file's bytes; the same model gives the same bytes.
    Raises:
      UsageError: Keras does not run on TensorFlow.
    """
    require_tensorflow_backend()
    import tensorflow as tf

    # The converter warns that the way chosen below is deprecated; the others do not work.
    logging.getLogger("absl").setLevel(logging.ERROR)
    specs = [tf.TensorSpec(t.shape, tf.float32, name=t.name) for t in fused.inputs]
    # A plain function instead of the model or a tf.Module: a trackable object would leave the
    # weights outside the file as variables, and the SavedModel ways take ten times as long.
    call = tf.function(lambda *tensors: _answers(fused(list(tensors), training=False)),
                       autograph=False)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [call.get_concrete_function(*specs)]
    )
    return name_tensors(converter.convert())


def _answers(outputs: Any) -> dict[str, Any]:
    return dict(outputs) if isinstance(outputs, Mapping) else {"mask": outputs}


def name_tensors(content: bytes) -> bytes:
    """Return the file with its signature added and the drawing's tensors renamed."""
    model = tflite.parse(content)
    graph = tflite.graph(model)
    shapes = {int(i): tuple(graph.tensors[int(i)].shape) for i in graph.inputs}
    # image first, whatever the converter chose
    inputs = {name: index for name, fits in _INPUTS.items()
              for index, shape in shapes.items() if fits(shape)}
    graph.inputs = list(inputs.values())
    ends = {int(i): tuple(graph.tensors[int(i)].shape) for i in graph.outputs}
    outputs = {name: index for name, fits in _OUTPUTS.items()
               for index, shape in ends.items() if fits(shape)}
    graph.outputs = list(outputs.values())  # the mask first
    tflite.add_signature(model, inputs, outputs)
    if not _name_gestures(model):
        _name_drawing(model)
    return tflite.serialise(model)


def _name_gestures(model: Any) -> int:
    """Rename what draws gestures, and the means under them, `gestures/N`; return how many."""
    graph, count = tflite.graph(model), 0
    for operator in graph.operators:
        for index in map(int, operator.outputs):
            if _GESTURE_SCOPE.search(tflite.name_of(graph.tensors[index]).partition(";")[0]):
                graph.tensors[index].name = f"gestures/{count}"
                count += 1
    return count


def _name_drawing(model: Any) -> None:
    graph = tflite.graph(model)
    inputs, _ = tflite.signature(model)
    drawn = {inputs["points"]}
    inner: list[int] = []
    for operator in graph.operators:  # operators are stored in the order of execution
        needs = tflite.activations(model, operator.inputs)
        names = [tflite.name_of(graph.tensors[int(i)]) for i in operator.outputs]
        if needs and drawn.issuperset(needs) and all(map(_LAYER_SCOPE.search, names)):
            inner += [int(i) for i in operator.outputs]
            drawn.update(inner)
    products = [i for i in inner if _leaves(model, i, drawn)]
    if len(products) != 1:
        raise RuntimeError(f"the drawing of the taps has {len(products)} products, expected 1")
    for number, index in enumerate(inner):
        graph.tensors[index].name = f"{DRAWING}/{number}"
    graph.tensors[products[0]].name = DRAWING
    joins = [
        op for op in tflite.consumers(model, products[0])
        if tflite.operator_name(model, op) in _JOINS and inputs["image"] in list(op.inputs)
    ]
    if len(joins) == 1:
        graph.tensors[int(joins[0].outputs[0])].name = IMAGE_DISKS


def _leaves(model: Any, index: int, drawn: set[int]) -> bool:
    """Return whether tensor `index` is read by an operator outside the drawing."""
    return any(
        not drawn.issuperset(int(i) for i in operator.outputs)
        for operator in tflite.consumers(model, index)
    )
