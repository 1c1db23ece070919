"""Optimizer of a run, and its state by name."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from oace_tf.errors import UsageError
from oace_tf.networks.layers import dotted_name
from oace_tf.networks.weights import value_of
from oace_tf.training.gesture_settings import GestureTrainSettings
from oace_tf.training.muon import ConvMuon
from oace_tf.training.settings import TrainSettings


def make_optimizer(settings: TrainSettings) -> keras.optimizers.Optimizer:
    """Return Adam (paper 3.4), or AdamW where there is a weight decay."""
    arguments: dict[str, Any] = {"learning_rate": settings.learning_rate,
                                 "global_clipnorm": settings.clip_norm or None}
    if settings.accumulate > 1:
        arguments["gradient_accumulation_steps"] = settings.accumulate
    if settings.weight_decay > 0:
        optimizer = keras.optimizers.AdamW(weight_decay=settings.weight_decay, **arguments)
        optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
        return optimizer
    return keras.optimizers.Adam(**arguments)


def make_gesture_optimizer(settings: GestureTrainSettings) -> keras.optimizers.Optimizer:
    """Return the optimizer of a run of one trunk, not built."""
    if settings.optimizer == "muon":
        optimizer = ConvMuon(settings.learning_rate, weight_decay=settings.weight_decay,
                             adam_weight_decay=settings.weight_decay)
    else:
        optimizer = keras.optimizers.AdamW(settings.learning_rate,
                                           weight_decay=settings.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return optimizer


def named_state(optimizer: Any) -> dict[str, Any]:
    """Return the variables of a built optimizer by name: that of its variable and of the slot."""
    named: dict[str, Any] = {}
    for variable in optimizer.variables:
        name = dotted_name(variable.path.partition("/")[2] or variable.path)
        if name in named:
            raise ValueError(f"two variables of the optimizer are named {name}")
        named[name] = variable
    return named


def get_state(optimizer: Any) -> dict[str, np.ndarray]:
    """Return the state of a built optimizer by name."""
    return {name: value_of(variable) for name, variable in named_state(optimizer).items()}


def set_state(optimizer: Any, state: Mapping[str, np.ndarray], where: str) -> None:
    """Fill a built optimizer; every variable must be there exactly once, in its shape.

    States whose names are numbers (of older checkpoints) are taken in the order of the variables.

    Raises:
      UsageError: a missing, extra or misshapen variable; the message starts with `where`. The
        optimizer is then left as it was.
    """
    variables = named_state(optimizer)
    if state and all(name.isdigit() for name in state) and len(state) == len(variables):
        state = {name: state[str(number)] for number, name in enumerate(variables)}
    for name in sorted(variables.keys() ^ state.keys()):
        word = "missing" if name in variables else "unknown"
        raise UsageError(f"{where}: optimizer variable {name} {word}; was it made with other "
                         "settings or another version of Keras? start without --resume")
    for name, variable in variables.items():
        if tuple(variable.shape) != state[name].shape:
            raise UsageError(f"{where}: optimizer variable {name} has shape {state[name].shape}, "
                             f"expected {tuple(variable.shape)}; start without --resume")
    for name, variable in variables.items():
        variable.assign(state[name])
