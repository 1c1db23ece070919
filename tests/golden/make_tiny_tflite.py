"""Make the tiny .tflite files that stand in for a trained one in fast tests.

`python tests/golden/make_tiny_tflite.py` writes `tiny_int8.tflite`, `tiny_float32.tflite` and
`tiny_multi_int8.tflite` beside itself. They keep the file's contract (signature, names, dtypes,
metadata) at 32x32 pixels with 4 points and hold no weights: the mask is the red channel inside the
disks of the object taps and zero elsewhere and inside the disks of the background taps. So an
answer shows where the taps came out, that the image's bytes arrived unchanged, and that the
channels were not swapped. `tiny_multi_int8.tflite` gives three answers beside it: that mask, the
whole red channel, and nothing, with scores 0.9, 0.5 and 0.1; its metadata names gestures.
Needs TensorFlow; the tests need only what this wrote.
"""
from __future__ import annotations

import sys
from pathlib import Path

import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from export.tflite import model as tflite
from export.tflite.metadata import Description, add_metadata

SIZE = 32
MAX_POINTS = 4


GESTURES = ("background", "box", "drag", "extreme", "tap")
SCORES = (0.9, 0.5, 0.1)


def tiny_file(int8: bool, several: bool = False) -> bytes:
    """Return the tiny file: uint8 image and mask if `int8`, else float32; or `several` answers."""
    dtype = tf.uint8 if int8 else tf.float32
    concrete = tf.function(_answers if several else _mask, autograph=False).get_concrete_function(
        image=tf.TensorSpec((1, SIZE, SIZE, 3), dtype, "image"),
        points=tf.TensorSpec((1, MAX_POINTS, 3), tf.float32, "points"))
    data = tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert()
    model = tflite.parse(data)
    graph = tflite.graph(model)
    inputs = {name: index for index in graph.inputs for name in ("image", "points")
              if name in tflite.name_of(graph.tensors[index])}
    names = {(1, SIZE, SIZE, 1): "mask", (1, SIZE, SIZE, 3): "masks", (1, 3): "scores"}
    outputs = {names[tuple(map(int, graph.tensors[index].shape))]: int(index)
               for index in graph.outputs}
    tflite.add_signature(model, inputs, outputs)
    if int8:  # the fixed scales of the contract; this graph casts and does not use them
        for index, scale, zero in ((inputs["image"], 1 / 128, 128),
                                   *((outputs[name], 1 / 256, 0) for name in ("mask", "masks")
                                     if name in outputs)):
            parameters = schema.QuantizationParametersT()
            parameters.scale, parameters.zeroPoint = [scale], [zero]
            graph.tensors[index].quantization = parameters
    return add_metadata(tflite.serialise(model), Description(
        interface="points-multi" if several else "points", click_channels=2,
        max_points=MAX_POINTS, weights_sha256="0" * 64,
        licence="Apache-2.0", version="0", description="red inside the taps' disks; no network",
        network={}, gestures=GESTURES if several else ()))


def _mask(image: tf.Tensor, points: tf.Tensor) -> dict[str, tf.Tensor]:
    """Return the red channel inside the object disks and outside the background disks."""
    inside = _disks(points, 1.0) * (1 - _disks(points, 0.0))  # (1, S, S, 1)
    if image.dtype == tf.uint8:
        red = tf.cast(image[:, :, :, 0:1], tf.float32)  # (1, S, S, 1)
        return {"mask": tf.cast(red * inside, tf.uint8)}
    return {"mask": (image[:, :, :, 0:1] * 0.5 + 0.5) * inside}


def _answers(image: tf.Tensor, points: tf.Tensor) -> dict[str, tf.Tensor]:
    """Return the mask, three masks (that one, the red channel, nothing), and their scores."""
    inside = _disks(points, 1.0) * (1 - _disks(points, 0.0))  # (1, S, S, 1)
    red = tf.cast(image[..., 0:1], tf.float32)
    several = tf.concat([red * inside, red, red * 0.0], axis=-1)  # (1, S, S, 3)
    some = tf.minimum(tf.reduce_max(inside), 1.0)  # no constant output
    return {"mask": tf.cast(several[..., 0:1], image.dtype),
            "masks": tf.cast(several, image.dtype), "scores": tf.constant([SCORES]) * some}


def _disks(points: tf.Tensor, label: float) -> tf.Tensor:
    """Return 1 where a tap of this label is at most 5 px away, else 0: (1, S, S, 1)."""
    axis = tf.range(SIZE, dtype=tf.float32)
    x, y, label_of = (tf.reshape(points[:, :, k:k + 1], (1, MAX_POINTS, 1, 1)) for k in range(3))
    dx2 = tf.math.squared_difference(axis[None, None, None, :], x)  # (1, N, 1, S)
    dy2 = tf.math.squared_difference(axis[None, None, :, None], y)  # (1, N, S, 1)
    pushed = dy2 + tf.square(label_of - label) * 1e12
    nearest = tf.reduce_min(dx2 + pushed, axis=1)[..., None]  # (1, S, S, 1)
    return tf.nn.relu(1 - 1e9 * tf.nn.relu(nearest - 25))


def main() -> int:
    """Write the files."""
    for name, int8, several in (("tiny_int8", True, False), ("tiny_float32", False, False),
                                ("tiny_multi_int8", True, True)):
        Path(__file__).with_name(f"{name}.tflite").write_bytes(tiny_file(int8, several))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
