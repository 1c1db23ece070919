"""Command: write previous.tflite, a file of the grown contract that is too small to know anything.

48 rows of `points` and the third input `previous`: mask = 30 + 40 for each row used + half of the
mask before + a fiftieth of the red channel. So one tap finds nothing (70 to 75), two find
everything (145 to 152), but only if the mask before arrives (110 to 115 without).
"""
from __future__ import annotations

import tempfile
from pathlib import Path

import tensorflow as tf

SIZE, ROWS = 512, 48


class Small(tf.Module):
    """The arithmetic above as a signature of the contract."""

    @tf.function(input_signature=[
        tf.TensorSpec([1, SIZE, SIZE, 3], tf.uint8, "image"),
        tf.TensorSpec([1, ROWS, 3], tf.float32, "points"),
        tf.TensorSpec([1, SIZE, SIZE, 1], tf.uint8, "previous")])
    def answer(self, image, points, previous):
        """Return the mask of the three inputs, by its name."""
        used = tf.reduce_sum(tf.minimum(points[..., 2] + 1, 1))
        red = tf.cast(image[..., :1], tf.float32)
        mask = 30 + 40 * used + tf.cast(previous, tf.float32) / 2 + red / 50
        return {"mask": tf.cast(tf.minimum(mask, 255), tf.uint8)}


def main() -> int:
    """Write the file beside this one; return 0."""
    module = Small()
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures={"serving_default": module.answer})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        Path(__file__).with_name("previous.tflite").write_bytes(converter.convert())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
