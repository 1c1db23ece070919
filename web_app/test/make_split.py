"""Command: write encoder.tflite and decoder.tflite, a pair that is too small to know anything.

The encoder's feature is the red channel as int8, as features of real pairs are; the decoder gives
it back as the mask, a quarter darker, and a quarter brighter for each row of `points` used.
"""
from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import tensorflow as tf

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from export.tflite import model as tflite
from export.tflite.metadata import Description, TensorText, add_metadata

SIZE, ROWS = 64, 8
GESTURES = ("background", "box", "drag", "extreme", "tap")


def encode(image: tf.Tensor) -> tf.Tensor:
    """Return the feature of a photograph."""
    return tf.cast(tf.cast(image[..., :1], tf.float32) - 128.0, tf.int8)


def decode(features_0: tf.Tensor, points: tf.Tensor, previous: tf.Tensor) -> tf.Tensor:
    """Return the mask."""
    used = tf.reduce_sum(tf.minimum(points[..., 2] + 1, 1))
    red = tf.cast(features_0, tf.float32) + 128.0
    mask = red * (0.75 + 0.25 * used) + 0.0 * tf.cast(previous, tf.float32)
    return tf.cast(tf.minimum(mask, 255.0), tf.uint8)


def written(function: Any, output: str, **inputs: tf.TensorSpec) -> bytes:
    """Return the file of a function with its names, and what it says of itself."""
    concrete = tf.function(function, autograph=False).get_concrete_function(**inputs)
    model = tflite.parse(tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert())
    graph = tflite.graph(model)
    index_of = {name: index for index in graph.inputs for name in inputs
                if name in tflite.name_of(graph.tensors[index])}
    tflite.add_signature(model, index_of, {output: int(graph.outputs[0])})
    return add_metadata(tflite.serialise(model), Description(
        interface="encoder-decoder", click_channels=2, max_points=ROWS, weights_sha256="0" * 64,
        licence="Apache-2.0", version="0", description="the red channel; no network", network={},
        gestures=GESTURES), {name: TensorText(name) for name in (*inputs, output)})


def main() -> int:
    """Write the files beside this one; return 0."""
    grey, here = (1, SIZE, SIZE, 1), Path(__file__)
    here.with_name("encoder.tflite").write_bytes(written(
        encode, "features_0", image=tf.TensorSpec((1, SIZE, SIZE, 3), tf.uint8, "image")))
    here.with_name("decoder.tflite").write_bytes(written(
        decode, "mask", features_0=tf.TensorSpec(grey, tf.int8, "features_0"),
        points=tf.TensorSpec((1, ROWS, 3), tf.float32, "points"),
        previous=tf.TensorSpec(grey, tf.uint8, "previous")))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
