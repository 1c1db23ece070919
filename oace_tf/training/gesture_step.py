"""One step of training one trunk with K gestures a photograph, on any backend of Keras."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from oace_tf.errors import UsageError
from oace_tf.networks.gesture_maps import GestureMaps
from oace_tf.networks.gesture_networks import GestureNetworks, repeated
from oace_tf.networks.layers import dotted_name
from oace_tf.training.gesture_losses import GestureLossSettings, gesture_losses

Batch = dict[str, np.ndarray]
# Tensors of a batch and previous masks -> losses by name, probabilities.
Run = Callable[[dict[str, Any], Any], tuple[dict[str, Any], Any]]


_TRUNKS = ("shared.trunk.", "shared.second_trunk.")


class GestureStep:
    """Makes optimizer steps on batches of one size.

    Args:
      networks: built for any size.
      optimizer: built for all trainable variables of the networks.
      losses: their weights.
      clip_norm: of the whole gradient.
      size: side of the frame, px.
      frozen: whether the trunk (both, where there are two) keeps its weights and statistics.
      frozen_blocks: of each trunk, that keep theirs, with its stem; 0: none, nor the stem.
      frozen_statistics: whether all batch normalisations use the averages that they have, as after
        training, and keep them.
      refiner_only: whether all but the refiner keeps its weights and statistics.
    Raises:
      UsageError: a trunk of fewer blocks, or networks without a refiner where it alone is to learn.
    """

    def __init__(self, networks: GestureNetworks, optimizer: keras.optimizers.Optimizer,
                 losses: GestureLossSettings, clip_norm: float, size: int, frozen: bool,
                 frozen_blocks: int = 0, frozen_statistics: bool = False,
                 refiner_only: bool = False) -> None:
        self._networks, self._optimizer, self._losses = networks, optimizer, losses
        self._clip_norm, self._maps = clip_norm, GestureMaps(size)
        self._batch_statistics = not frozen_statistics
        self._refiner_only = refiner_only
        if refiner_only and networks.refiner is None:
            raise UsageError("training settings: phase.refiner_only is true, but the networks have "
                             "no refiner; start with --preset one_trunk_refined")
        blocks = {layer.name: _block_of(dotted_name(layer.name))
                  for layer in networks.encoder.layers
                  if dotted_name(layer.name).startswith(_TRUNKS)}
        most = 1 + max(blocks.values())
        if frozen_blocks > most:
            raise UsageError(f"training settings: phase.frozen_blocks is {frozen_blocks}, the "
                             f"trunk has {most} blocks")
        # The stem's number is -1: it is frozen with the first block.
        kept = {name for name, block in blocks.items() if frozen or block < frozen_blocks > 0}
        for layer in networks.encoder.layers:
            layer.trainable = layer.name not in kept and not refiner_only
        for layer in (*networks.prior.layers, *networks.msfnet.layers):
            layer.trainable = not refiner_only
        self._variables = [v for model in networks.models() for v in model.trainable_variables]
        self._run: Run = _BACKENDS[keras.backend.backend()](self)

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
                ops.convert_to_numpy(probability)[..., 0])

    @property
    def variables(self) -> list[Any]:
        """What the step changes by gradients."""
        return self._variables

    @property
    def state(self) -> list[Any]:
        """All other variables of the networks: statistics, and a frozen trunk."""
        return [v for model in self._networks.models() for v in model.non_trainable_variables]

    @property
    def optimizer(self) -> keras.optimizers.Optimizer:
        """As it was given."""
        return self._optimizer

    @property
    def clip_norm(self) -> float:
        """As it was given."""
        return self._clip_norm

    def forward(self, batch: dict[str, Any], previous: Any) -> tuple[dict[str, Any], Any]:
        """Return the losses by name and the probabilities (B K, S/2, S/2, 1), as tensors."""
        image = (ops.cast(batch["image"], "float32") - 128.0) / 128.0
        count = batch["points"].shape[1]
        points = ops.reshape(batch["points"], (-1, *batch["points"].shape[2:]))
        cover = ops.cast(ops.reshape(batch["cover"], (-1, *batch["cover"].shape[2:], 1)),
                         "float32") / 255.0
        valid = 1.0 - ops.cast(batch["ignored"], "float32")[..., None]
        first_learns = self._batch_statistics and not self._refiner_only
        features = repeated(self._networks.encode(image, first_learns), count)
        drawn = self._maps(points)
        outputs = self._networks.decode(features, drawn, previous, first_learns)
        # What is object is so where a crowd stands too.
        valid = ops.maximum(ops.repeat(valid, count, axis=0), ops.cast(cover > 0.5, "float32"))

        def losses_of(answer: dict[str, Any]) -> dict[str, Any]:
            return gesture_losses(answer, drawn["maps4"], cover, valid,
                                  ops.reshape(batch["outline"], (-1,)),
                                  ops.reshape(batch["twin"], (-1,)), self._losses)

        if self._networks.refiner is None:
            return losses_of(outputs), ops.sigmoid(outputs["logits"])
        first = ops.stop_gradient(ops.sigmoid(outputs["logits"]))
        refined = self._networks.refine(features, drawn, first, self._batch_statistics)
        losses = losses_of(refined)
        if not self._refiner_only:
            losses["total"] = losses["total"] + losses_of(outputs)["total"]
        return losses, ops.sigmoid(refined["logits"])


def _block_of(name: str) -> int:
    """Return the number of a trunk's block by a layer's dotted name; -1: the stem."""
    _, found, rest = name.partition("._blocks.")
    return int(rest.partition(".")[0]) if found else -1


def _on_tensorflow(step: GestureStep) -> Run:
    import tensorflow as tf

    def run(batch: dict[str, Any], previous: Any) -> tuple[dict[str, Any], Any]:
        with tf.GradientTape() as tape:
            losses, probability = step.forward(batch, previous)
        gradients = tape.gradient(losses["total"], [v.value for v in step.variables])
        gradients, norm = tf.clip_by_global_norm(gradients, step.clip_norm)
        step.optimizer.apply(gradients, step.variables)
        return {**losses, "norm": norm}, probability

    compiled: Run = tf.function(run, reduce_retracing=True)
    return compiled


def _on_torch(step: GestureStep) -> Run:
    import torch

    def run(batch: dict[str, Any], previous: Any) -> tuple[dict[str, Any], Any]:
        tensors = [v.value for v in step.variables]
        for tensor in tensors:
            tensor.grad = None
        losses, probability = step.forward(batch, previous)
        losses["total"].backward()
        norm = torch.nn.utils.clip_grad_norm_(tensors, step.clip_norm)
        with torch.no_grad():
            step.optimizer.apply([tensor.grad for tensor in tensors], step.variables)
        return ({name: value.detach() for name, value in {**losses, "norm": norm}.items()},
                probability.detach())

    return run


def _on_jax(step: GestureStep) -> Run:
    import jax

    learned, rest = step.variables, [*step.state, *step.optimizer.variables]

    def losses_of(values: Sequence[Any], others: Sequence[Any], batch: dict[str, Any],
                  previous: Any) -> tuple[Any, Any]:
        known = [*zip(learned, values), *zip(rest, others)]
        with keras.StatelessScope(state_mapping=known) as scope:
            losses, probability = step.forward(batch, previous)
        return losses["total"], (losses, probability, [scope.get_current_value(v) for v in rest])

    @jax.jit
    def pure(values: Sequence[Any], others: Sequence[Any], batch: dict[str, Any],
             previous: Any) -> tuple[Any, ...]:
        (_, (losses, probability, others)), gradients = jax.value_and_grad(
            losses_of, has_aux=True)(values, others, batch, previous)
        norm = ops.sqrt(sum(ops.sum(ops.square(g)) for g in gradients))
        factor = step.clip_norm / ops.maximum(norm, step.clip_norm)
        known = [*zip(learned, values), *zip(rest, others)]
        with keras.StatelessScope(state_mapping=known) as scope:
            step.optimizer.apply([g * factor for g in gradients], learned)
        changed = [[scope.get_current_value(v) for v in some] for some in (learned, rest)]
        return {**losses, "norm": norm}, probability, *changed

    def run(batch: dict[str, Any], previous: Any) -> tuple[dict[str, Any], Any]:
        losses, probability, *changed = pure([v.value for v in learned], [v.value for v in rest],
                                             batch, previous)
        for variables, values in zip((learned, rest), changed):
            for variable, value in zip(variables, values):
                variable.assign(value)
        return losses, probability

    return run


_BACKENDS: dict[str, Callable[[GestureStep], Run]] = {
    "tensorflow": _on_tensorflow, "torch": _on_torch, "jax": _on_jax}
