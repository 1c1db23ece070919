"""Make the tiny .tflite files that stand in for a trained one in fast tests.

`python tests/golden/make_tiny_tflite.py` writes `tiny_int8.tflite` and `tiny_float32.tflite`
beside itself. They keep the file's contract (signature, names, dtypes, metadata) at 32x32 pixels
with 4 points and hold no weights: the mask is the red channel inside the disks of the object taps
and zero elsewhere and inside the disks of the background taps. So an answer shows where the taps
came out, that the image's bytes arrived unchanged, and that the channels were not swapped.
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


def tiny_file(int8: bool) -> bytes:
    """Return the tiny file: uint8 image and mask if `int8`, else float32."""
    dtype = tf.uint8 if int8 else tf.float32
    concrete = tf.function(_mask, autograph=False).get_concrete_function(
        image=tf.TensorSpec((1, SIZE, SIZE, 3), dtype, "image"),
        points=tf.TensorSpec((1, MAX_POINTS, 3), tf.float32, "points"))
    data = tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert()
    model = tflite.parse(data)
    graph = tflite.graph(model)
    inputs = {name: index for index in graph.inputs for name in ("image", "points")
              if name in tflite.name_of(graph.tensors[index])}
    tflite.add_signature(model, inputs, {"mask": graph.outputs[0]})
    if int8:  # the fixed scales of the contract; this graph casts and does not use them
        for index, scale, zero in ((inputs["image"], 1 / 128, 128), (graph.outputs[0], 1 / 256, 0)):
            parameters = schema.QuantizationParametersT()
            parameters.scale, parameters.zeroPoint = [scale], [zero]
            graph.tensors[index].quantization = parameters
    return add_metadata(tflite.serialise(model), Description(
        interface="points", click_channels=2, max_points=MAX_POINTS, weights_sha256="0" * 64,
        licence="Apache-2.0", version="0", description="red inside the taps' disks; no network",
        network={}))


def _mask(image: tf.Tensor, points: tf.Tensor) -> dict[str, tf.Tensor]:
    """Return the red channel inside the object disks and outside the background disks."""
    inside = _disks(points, 1.0) * (1 - _disks(points, 0.0))  # (1, S, S, 1)
    if image.dtype == tf.uint8:
        red = tf.cast(image[:, :, :, 0:1], tf.float32)  # (1, S, S, 1)
        return {"mask": tf.cast(red * inside, tf.uint8)}
    return {"mask": (image[:, :, :, 0:1] * 0.5 + 0.5) * inside}


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
    """Write both files."""
    for name, int8 in (("tiny_int8", True), ("tiny_float32", False)):
        Path(__file__).with_name(f"{name}.tflite").write_bytes(tiny_file(int8))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
