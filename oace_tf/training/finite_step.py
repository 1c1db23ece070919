"""Finite step: one that comes out not finite leaves no trace in weights and optimizer.

Keras' own `train_step` is run, whatever the backend; only what it did is looked at. The loss that
it reports is NaN where the loss was finite and a weight after the update is not.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

Step = Callable[..., Any]


def on_tensorflow(model: Any, step: Step, data: Any) -> Any:
    """Run a step on TensorFlow; returns its logs."""
    import tensorflow as tf

    variables = [variable.value for variable in (*model.variables, *model.optimizer.variables)]
    # Not a copy: whatever is assigned afterwards gets a buffer of its own.
    before = [tf.identity(variable) for variable in variables]
    logs = step(data)
    with tf.control_dependencies([logs["loss"]]):
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(variable.value))
                                for variable in model.trainable_variables])
    good = tf.math.is_finite(logs["loss"]) & finite

    def restore() -> Any:
        for variable, value in zip(variables, before):
            variable.assign(value)
        return tf.constant(False)

    tf.cond(good, lambda: tf.constant(True), restore)
    return {**logs, "loss": tf.where(finite, logs["loss"], float("nan"))}


def on_jax(model: Any, step: Step, state: Any, data: Any) -> Any:
    """Run a step on JAX, as a pure function of the state; returns (logs, state)."""
    import jax
    import jax.numpy as jnp

    logs, after = step(state, data)
    finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(value)) for value in after[0]]))
    good = jnp.isfinite(logs["loss"]) & finite
    kept = jax.tree_util.tree_map(lambda new, old: jnp.where(good, new, old), after, state)
    return {**logs, "loss": jnp.where(finite, logs["loss"], jnp.nan)}, kept


def on_torch(model: Any, step: Step, data: Any) -> Any:
    """Run a step on PyTorch; returns its logs."""
    import torch

    variables = [variable.value for variable in (*model.variables, *model.optimizer.variables)]
    before = [variable.detach().clone() for variable in variables]
    logs = step(data)
    loss = float(logs["loss"])
    finite = all(bool(torch.isfinite(variable.value).all())
                 for variable in model.trainable_variables)
    if not finite or loss - loss != 0.0:
        with torch.no_grad():
            for variable, value in zip(variables, before):
                variable.copy_(value)
    return {**logs, "loss": logs["loss"] if finite else float("nan")}


STEPS: dict[str, Step] = {"tensorflow": on_tensorflow, "jax": on_jax, "torch": on_torch}
