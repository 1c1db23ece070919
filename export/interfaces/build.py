"""Interfaces beside `points`, made of the finished int8 file, one of the float file.

The network inside is that of the file, operator by operator; only the entrance (how photograph and
tap come in) and, for MediaPipe, the ending are others. The entrance of a pair makes the tensor
`disks`, that of a network of gestures makes `points`, with a previous mask of zeros; it gives at
the first tap what `points` gives. docs/interfaces.md says what each takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from export.interfaces import cut, input_graphs
from export.quantization.int8 import MASK_SCALE, UNIT_SCALE
from export.tflite import float16, splice
from export.tflite import model as tflite
from oace_tf.errors import UsageError
from oace_tf.runtime.tflite_reader import PREVIOUS

NAMES = ("points", "mediapipe", "mediapipe-bundle", "mediapipe-bundle-int8", "rgba")
SPLIT = "encoder-decoder"  # of a network of gestures alone; two files
_UNIT_ZERO = 128  # of the uint8 image
# What makes of an empty mask another one.
_KEEPS_ZERO = frozenset({"QUANTIZE", "DEQUANTIZE", "RESIZE_BILINEAR", "AVERAGE_POOL_2D",
                         "MAX_POOL_2D"})


@dataclass(frozen=True, slots=True)
class Body:
    """A file of the interface `points` without its drawing or, if of gestures, its `points`.

    Attributes:
      model: the file.
      image: its image.
      taps: what an entrance has to make: `disks`, or `points` of a network of gestures.
      size: side S of the file's square, px.
    """

    model: Any
    image: int
    taps: int
    size: int

    @property
    def of_gestures(self) -> bool:
        """Whether `taps` are rows of points and no disks."""
        return len(self._shape()) == 3

    def tap_channel(self) -> bytes:
        """Return the entrance that finds the tap in a grey picture."""
        shape = self._shape()
        if self.of_gestures:
            return input_graphs.tap_row(self.size, shape[1])
        return input_graphs.tap_channel(self.size, shape[1], shape[3])

    def dots(self) -> bytes:
        """Return the entrance that finds the taps in MediaPipe's heat map."""
        shape = self._shape()
        if self.of_gestures:
            return input_graphs.dot_rows(self.size, shape[1])
        return input_graphs.dots(self.size, shape[1], shape[3])

    def _shape(self) -> tuple[int, ...]:
        return tuple(int(n) for n in tflite.graph(self.model).tensors[self.taps].shape)


def mediapipe(points_file: bytes) -> bytes:
    """Return the file of MediaPipe's legacy task, without metadata.

    Input image_and_tap (1, S, S, 4) float32 in [0, 1]: R, G, B and a dot on the tap. Output masks
    (1, S, S, 2) float32: probability of background and of the object.

    Args:
      points_file: the int8 file of the interface `points`.
    Raises:
      UsageError: it is not.
    """
    body = body_of(parse_points(points_file))
    open_image(body.model, body.image)
    open_mask(body.model)
    split = tflite.parse(input_graphs.split_floats(body.size))
    split_out = tflite.signature(split)[1]
    front = _with_tap(split, split_out["grey"], body.tap_channel())
    whole, index_of = splice.join(front, body.model, {
        split_out["image"]: body.image, int(tflite.graph(front).outputs[0]): body.taps})
    rear = tflite.parse(input_graphs.both_masks(body.size))
    rear_in, _ = tflite.signature(rear)
    whole, _ = splice.join(whole, rear, {
        index_of[tflite.signature(body.model)[1]["mask"]]: rear_in["mask"]})
    return finish(whole, ("image_and_tap",), "masks")


def rgba(points_file: bytes) -> bytes:
    """Return the file whose one input holds photograph and tap as bytes, without metadata.

    Input rgba (1, S, S, 4) uint8: R, G, B and a dot on the tap, 0 elsewhere. Output mask
    (1, S, S, 1) uint8 as in the interface `points`.

    Raises:
      UsageError: `points_file` is not the int8 file of the interface `points`.
    """
    body = body_of(parse_points(points_file))
    split = tflite.parse(input_graphs.split_units(body.size))
    split_out = tflite.signature(split)[1]
    _take_bytes(split, split_out)
    front = _with_tap(split, split_out["grey"], body.tap_channel())
    whole, _ = splice.join(front, body.model, {
        split_out["image"]: _int8_image(body.model, body.image),
        int(tflite.graph(front).outputs[0]): body.taps})
    return finish(whole, ("rgba",), "mask")


def bundle_models(points_file: bytes) -> tuple[bytes, bytes, int]:
    """Return encoder and decoder of MediaPipe's new task, without metadata, and their side S.

    The encoder of a pair normalises the photograph: photograph (1, S, S, 3) float32 in [0, 1] ->
    picture. The decoder is the whole network: heat_map (1, S, S, 3) float32 in [0, 1] and picture
    -> mask (1, S, S, 1) float32 probability. That of a network of gestures gives features_0,
    features_1, ... float32, all that the photograph alone decides, in place of the picture.

    Raises:
      UsageError: `points_file` is not the int8 file of the interface `points`.
    """
    body = body_of(parse_points(points_file))
    open_image(body.model, body.image)
    open_mask(body.model)
    return _bundled(body)


def float_bundle_models(float_file: bytes) -> tuple[bytes, bytes, int]:
    """Return the two models of `bundle_models` with half-precision weights, computing in float32.

    The weights are rounded before the drawing is replaced: that of the dots stays as it is.

    Raises:
      UsageError: `float_file` is not the float file of the interface `points`, or a weight is
        beyond the range of float16.
    """
    parse_points(float_file, "float32")
    return _bundled(body_of(tflite.parse(float16.half_precision(float_file))))


def encoder_and_decoder(points_file: bytes) -> tuple[bytes, bytes]:
    """Return the files of encoder and decoder, without metadata.

    Encoder: image (1, S, S, 3) uint8 -> features_0, features_1, ... int8. Decoder: points
    (1, N, 3) float32, previous (1, S, S, 1) uint8 and the features -> mask (1, S, S, 1) uint8.

    Args:
      points_file: the int8 file of a network of gestures.
    Raises:
      UsageError: it is another file, or one whose photograph passes through the network with the
        tap, as that of a pair does.
    """
    model = parse_points(points_file)
    inputs, outputs = tflite.signature(model)
    if PREVIOUS not in inputs:
        raise UsageError("encoder and decoder are made of the file of a network of gestures; in "
                         "that of a pair the tap goes through the trunk with the photograph")
    gesture = {name: inputs[name] for name in ("points", PREVIOUS)}
    return cut.in_two(model, {"image": inputs["image"]}, gesture, outputs)


def parse_points(points_file: bytes, image_type: str = "uint8") -> Any:
    """Return the model of a file of the interface `points`.

    Args:
      points_file: the int8 or the float file.
      image_type: uint8 where it must be the int8 file, float32 where the float file.
    Raises:
      UsageError: it is another file, or RITM's, for whose previous mask there is no place.
    """
    model = tflite.parse(points_file)
    inputs, outputs = tflite.signature(model)
    tensors = tflite.graph(model).tensors
    named = set(inputs) - {PREVIOUS} == {"image", "points"} and set(outputs) == {"mask"}
    if not named or image_type != tflite.type_name(tensors[inputs["image"]]):
        takes = ", ".join(f"{name} {tflite.type_name(tensors[inputs[name]])}"
                          for name in sorted(inputs))
        kind = "int8" if image_type == "uint8" else "float"
        raise UsageError(f"this is made of the {kind} file of the interface points; the one given "
                         f"takes {takes}")
    if PREVIOUS in inputs and tflite.has_name(model, "disks"):
        raise UsageError("the other interfaces have no place for the previous mask that RITM "
                         "takes")
    return model


def body_of(model: Any) -> Body:
    """Return a file of the interface `points` with the places where an entrance joins it.

    A previous mask that it takes becomes one of zeros.
    """
    inputs, _ = tflite.signature(model)
    taps = inputs["points"] if PREVIOUS in inputs else tflite.by_name(model, "disks")
    if PREVIOUS in inputs:
        _forget_previous(model, inputs[PREVIOUS])
    size = int(tflite.graph(model).tensors[inputs["image"]].shape[1])
    return Body(model, inputs["image"], taps, size)


def _forget_previous(model: Any, previous: int) -> None:
    """Put zeros, which the file holds, where the network joins what is made of the mask before."""
    graph = tflite.graph(model)
    empty = {previous}
    for operator in graph.operators:
        if tflite.operator_name(model, operator) in _KEEPS_ZERO and (
                int(operator.inputs[0]) in empty):
            empty.update(int(i) for i in operator.outputs)
    graph.operators = [operator for operator in graph.operators
                       if empty.isdisjoint(int(i) for i in operator.outputs)]
    for index in {int(i) for operator in graph.operators for i in operator.inputs} & empty:
        splice.set_zeros(model, index)
    graph.inputs = np.array([i for i in graph.inputs if int(i) != previous], np.int32)


def open_image(body: Any, image: int) -> None:
    """Make the file take float32 (byte - 128) / 128 where it takes bytes."""
    _int8_readers(body, image)
    splice.set_type(tflite.graph(body).tensors[image], "float32")


def open_mask(body: Any) -> None:
    """Make the file give float32 probabilities where it gives bytes, byte / 256 exactly."""
    mask = tflite.signature(body)[1]["mask"]
    graph = tflite.graph(body)
    old = splice.producer(body, mask)
    source = int(old.inputs[0])
    tensor = graph.tensors[source]
    if tflite.operator_name(body, old) != "QUANTIZE" or tflite.type_name(tensor) != "int8" or (
            tflite.scale_and_zero(tensor) != (MASK_SCALE, -128)):
        raise ValueError("the mask is not written by a QUANTIZE of int8, scale 1/256, but by "
                         f"{tflite.operator_name(body, old)} of {tflite.scale_and_zero(tensor)}")
    splice.set_type(graph.tensors[mask], "float32")
    graph.operators[graph.operators.index(old)] = splice.operator(
        body, "DEQUANTIZE", 2, [source], [mask])


def finish(model: Any, inputs: tuple[str, ...], output: str) -> bytes:
    """Return the file of a joined model: pruned, its ends named, one signature."""
    splice.prune(model)
    graph = tflite.graph(model)
    for tensor in graph.tensors:
        if tflite.name_of(tensor) in ("image", "points", "mask", *inputs, output):
            tensor.name = ""
    tflite.add_signature(model, dict(zip(inputs, map(int, graph.inputs), strict=True)),
                         {output: int(graph.outputs[0])})
    return tflite.serialise(model)


def _bundled(body: Body) -> tuple[bytes, bytes, int]:
    """Return encoder, decoder and side of a body that takes and gives float32."""
    front = tflite.parse(body.dots())
    drawn = int(tflite.graph(front).outputs[0])
    encoder = input_graphs.encoder(body.size)
    if not body.of_gestures:
        whole, _ = splice.join(front, body.model, {drawn: body.taps})
        return encoder, finish(whole, ("heat_map", "picture"), "mask"), body.size
    ahead = tflite.parse(encoder)
    (photograph,), (picture,) = (list(ends.values()) for ends in tflite.signature(ahead))
    both, index_of = splice.join(ahead, front, {})
    whole, _ = splice.join(both, body.model, {picture: body.image, index_of[drawn]: body.taps})
    heat_map, mask = index_of[int(tflite.graph(front).inputs[0])], tflite.graph(whole).outputs[0]
    return (*cut.in_two(whole, {"photograph": photograph}, {"heat_map": heat_map},
                        {"mask": int(mask)}, as_float=True), body.size)


def _with_tap(split: Any, grey: int, tap_channel: bytes) -> Any:
    tap = tflite.parse(tap_channel)
    return splice.join(split, tap, {grey: tflite.signature(tap)[0]["grey"]})[0]


def _int8_readers(body: Any, image: int) -> list[Any]:
    """Return the operators that read the image: QUANTIZE to int8 of scale 1/128, all of them."""
    tensors = tflite.graph(body).tensors
    readers = tflite.consumers(body, image)
    for reader in readers:
        scale = tflite.scale_and_zero(tensors[int(reader.outputs[0])])
        if tflite.operator_name(body, reader) != "QUANTIZE" or scale != (UNIT_SCALE, 0):
            raise ValueError(f"the image is read by {tflite.operator_name(body, reader)} of "
                             f"{scale}; expected QUANTIZE of scale 1/128, zero point 0")
    return readers


def _int8_image(body: Any, image: int) -> int:
    """Return the int8 image inside; what else is a copy of it is read from there."""
    first, *copies = (int(reader.outputs[0]) for reader in _int8_readers(body, image))
    for copied in copies:
        for reader in tflite.consumers(body, copied):
            reader.inputs = np.array([first if int(i) == copied else int(i)
                                      for i in reader.inputs], np.int32)
    return first


def _take_bytes(split: Any, outputs: dict[str, int]) -> None:
    """Make `input_graphs.split_units` take bytes: image stays int8, the tap becomes float again.

    The QUANTIZE stands first in the list of operators: behind a float operator it would split the
    delegate in two.
    """
    graph = tflite.graph(split)
    source = int(graph.inputs[0])
    units, tap = (splice.copy_of(split, index) for index in (source, outputs["tap"]))
    splice.set_type(graph.tensors[source], "uint8", UNIT_SCALE, _UNIT_ZERO)
    splice.set_type(graph.tensors[units], "int8", UNIT_SCALE)
    for index in (outputs["image"], outputs["tap"]):
        splice.set_type(graph.tensors[index], "int8", UNIT_SCALE)
    for reader in tflite.consumers(split, outputs["tap"]):
        reader.inputs = np.array([tap if int(i) == outputs["tap"] else int(i)
                                  for i in reader.inputs], np.int32)
    for reader in tflite.consumers(split, source):
        reader.inputs = np.array([units if int(i) == source else int(i)
                                  for i in reader.inputs], np.int32)
    slices = [splice.producer(split, outputs[name]) for name in ("image", "tap")]
    rest = [op for op in graph.operators if all(op is not known for known in slices)]
    graph.operators = [splice.operator(split, "QUANTIZE", 2, [source], [units]), *slices,
                       splice.operator(split, "DEQUANTIZE", 2, [outputs["tap"]], [tap]), *rest]
