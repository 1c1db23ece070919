"""Untrained networks as files: for their size, their delegate and their speed.

The weights are random, the statistics of all normalisations those of drawn pictures: without them
signals die out or explode, and the delegate drops additions of unlike ranges. Masks of such a
network mean nothing.
"""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from oace_tf.clicks import disk_maps
from oace_tf.geometry import Frame, normalise

if TYPE_CHECKING:
    from oace_tf.networks.pair import Pair

CALIBRATION = 4  # pictures: speed does not depend on the ranges
SETTLE_SIZE = 128


def make_random_files(preset: str, folder: Path, max_points: int = 20, size: int = 512,
                      seed: int = 5) -> dict[str, Any]:
    """Write `oace_float32.tflite` and `oace_int8.tflite` of a preset with random weights.

    Meant to run in a process of its own (2 to 3 GB).

    Args:
      preset: name of a preset.
      folder: where to write.
      max_points: N, rows of `points`.
      size: side of the frame, pixels.
      seed: of weights and pictures.
    Returns:
      {"params", "gmac"} of the network.
    Raises:
      UsageError: no such preset, or Keras does not run on TensorFlow.
    """
    from export.calibration import observers
    from export.convert import keras_pair
    from export.quantization import int8
    from export.tflite import model as tflite
    from oace_tf.config import NetworkConfig
    from oace_tf.fileio import atomic_write

    config = NetworkConfig.preset(preset)
    keras_pair.require_tensorflow_backend()
    import keras

    from oace_tf.networks.cost import add_up, cost_table
    from oace_tf.networks.fused import build_fused
    from oace_tf.networks.pair import build_pair
    from oace_tf.networks.weights import get_arrays, set_arrays

    keras.utils.set_random_seed(seed)
    small = build_pair(config, SETTLE_SIZE)
    settle(small, SETTLE_SIZE)
    pair = build_pair(config, config.network_side(size))
    set_arrays(pair, get_arrays(small), preset)
    totals = add_up(row for model in pair.models() for row in cost_table(model))
    float_bytes = keras_pair.float_tflite(build_fused(pair, max_points, size))
    observer = observers.RangeObserver(float_bytes)
    ranges = observers.merge_ranges(
        observer.see({"image": normalise(picture)[None], "points": points[None]})
        for picture, points in _pictures(CALIBRATION, size, max_points))
    atomic_write(folder / "oace_float32.tflite", float_bytes)
    content = tflite.serialise(tflite.parse(int8.quantize(float_bytes, ranges)), compact=True)
    atomic_write(folder / "oace_int8.tflite", content)
    return {"params": totals.params, "gmac": totals.gmac}


def settle(pair: Pair, size: int) -> None:
    """Set the statistics of a pair's normalisations to those of drawn pictures of side `size`.

    Residual branches are damped: at full gain a random HRNet multiplies rounding errors a
    thousandfold, which no trained one does.
    """
    import keras

    drawn = list(_pictures(4, size, 6))
    image = np.stack([normalise(picture) for picture, _ in drawn])
    disks = np.stack([disk_maps(points, (size, size), pair.config.click_channels)
                      for _, points in drawn])
    for model in pair.models():
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = 0.0
                if layer.name.endswith((".bn2", ".bn3")):
                    layer.gamma.assign(0.25 * layer.gamma.value)
    tensors = [keras.ops.convert_to_tensor(array) for array in (image, disks)]
    pair.forward(tensors[0], tensors[1], training=True)


def _pictures(count: int, size: int, max_points: int) -> Any:
    from export.quantization.agreement import synthetic

    for index in range(count):
        picture, clicks = synthetic(np.random.default_rng((0, index)))
        frame = Frame(picture.shape[0], picture.shape[1], size)
        yield frame.image(picture), frame.points(clicks, max_points)
