"""One step of training one trunk with K gestures a photograph (TensorFlow)."""
from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from oace_tf.networks.gesture_maps import GestureMaps
from oace_tf.networks.gesture_networks import GestureNetworks, repeated
from oace_tf.training.gesture_losses import GestureLossSettings, gesture_losses

Batch = dict[str, np.ndarray]


class GestureStep:
    """Makes optimizer steps on batches of one size.

    Args:
      networks: built for any size.
      optimizer: built for all trainable variables of the networks.
      losses: their weights.
      clip_norm: of the whole gradient.
      size: side of the frame, px.
      frozen: whether the trunk keeps its weights and statistics.
    """

    def __init__(self, networks: GestureNetworks, optimizer: keras.optimizers.Optimizer,
                 losses: GestureLossSettings, clip_norm: float, size: int, frozen: bool) -> None:
        import tensorflow as tf

        self._networks, self._optimizer, self._losses = networks, optimizer, losses
        self._clip_norm, self._maps = clip_norm, GestureMaps(size)
        for layer in networks.encoder.layers:
            layer.trainable = not (frozen and layer.name.startswith("shared.trunk."))
        self._variables = [v for model in networks.models() for v in model.trainable_variables]
        self._run = tf.function(self._step, reduce_retracing=True)

    def __call__(self, batch: Batch, previous: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
        """Make a step.

        Args:
          batch: as `GestureBatches.batch` gives it.
          previous: (B K, S/4, S/4, 1) float32.
        Returns:
          The losses by name, and the probabilities (B K, S/2, S/2) float32 before the step.
        """
        tensors = {name: ops.convert_to_tensor(array) for name, array in batch.items()}
        losses, probability = self._run(tensors, ops.convert_to_tensor(previous))
        return ({name: float(value) for name, value in losses.items()},
                np.asarray(probability)[..., 0])

    def _step(self, batch: dict[str, Any], previous: Any) -> tuple[dict[str, Any], Any]:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            losses, probability = self._forward(batch, previous)
        gradients = tape.gradient(losses["total"], [v.value for v in self._variables])
        gradients, norm = tf.clip_by_global_norm(gradients, self._clip_norm)
        self._optimizer.apply(gradients, self._variables)
        return {**losses, "norm": norm}, probability

    def _forward(self, batch: dict[str, Any], previous: Any) -> tuple[dict[str, Any], Any]:
        image = (ops.cast(batch["image"], "float32") - 128.0) / 128.0
        count = batch["points"].shape[1]
        points = ops.reshape(batch["points"], (-1, *batch["points"].shape[2:]))
        cover = ops.cast(ops.reshape(batch["cover"], (-1, *batch["cover"].shape[2:], 1)),
                         "float32") / 255.0
        valid = 1.0 - ops.cast(batch["ignored"], "float32")[..., None]
        features = repeated(self._networks.encode(image, True), count)
        drawn = self._maps(points)
        outputs = self._networks.decode(features, drawn, previous, True)
        # What is object is so where a crowd stands too.
        valid = ops.maximum(ops.repeat(valid, count, axis=0), ops.cast(cover > 0.5, "float32"))
        losses = gesture_losses(outputs, drawn["maps4"], cover, valid,
                                ops.reshape(batch["outline"], (-1,)), self._losses)
        return losses, ops.sigmoid(outputs["logits"])
