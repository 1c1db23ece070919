"""Weights of a pair in one safetensors file: explicit names, strict, float16.

A tensor is named by its layer and the published suffix: `prior.trunk.conv1.weight`, `.bias`, and
for normalisations `.weight`, `.bias`, `.running_mean`, `.running_var`. Arrays lie as Keras holds
them: convolutions (height, width, in, out), depthwise ones (height, width, channels, 1).

The metadata of the file hold `network` (the configuration as JSON), `record` (JSON: data, steps,
seed, scores, licence) and a checksum of all of it (see `tensor_file`).
"""
from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np

from oace_tf.config import NetworkConfig
from oace_tf.errors import UsageError
from oace_tf.networks.layers import dotted_name
from oace_tf.networks.pair import Pair, build_pair
from oace_tf.tensor_file import PAIR_FORMAT, read_tensors, write_tensors

FORMAT = PAIR_FORMAT
SUFFIXES = {"kernel": "weight", "bias": "bias", "gamma": "weight", "beta": "bias",
            "moving_mean": "running_mean", "moving_variance": "running_var", "scale": "scale"}
FLOAT16_MAX = float(np.finfo(np.float16).max)


class Networks(Protocol):
    """Models of one configuration; every layer belongs to exactly one of them."""

    @property
    def config(self) -> NetworkConfig:
        """The configuration."""

    def models(self) -> Iterator[keras.Model]:
        """Yield the models."""


def named_variables(model: keras.Model) -> Iterator[tuple[str, Any]]:
    """Yield (tensor name, Keras variable) of every variable, in the order of the layers."""
    for layer in model.layers:
        for variable in layer.weights:
            yield f"{dotted_name(layer.name)}.{SUFFIXES[variable.name]}", variable


def pair_variables(pair: Networks) -> dict[str, Any]:
    """Return every variable of a pair by tensor name."""
    named: dict[str, Any] = {}
    for model in pair.models():
        for name, variable in named_variables(model):
            if name in named:
                raise ValueError(f"two variables are named {name}")
            named[name] = variable
    return named


def value_of(variable: Any) -> np.ndarray:
    """Return a copy of a Keras variable's value."""
    # Copied as a tensor first: of a TensorFlow variable, `convert_to_numpy` makes a warning.
    return np.array(keras.ops.convert_to_numpy(keras.ops.copy(variable)))


def get_arrays(pair: Networks) -> dict[str, np.ndarray]:
    """Return every tensor of a pair as float32, by name."""
    return {name: value_of(variable).astype(np.float32, copy=False)
            for name, variable in pair_variables(pair).items()}


def set_arrays(pair: Networks, arrays: Mapping[str, np.ndarray], where: str) -> None:
    """Fill a pair; every tensor must be there exactly once, in its shape, finite.

    Raises:
      UsageError: a missing, extra or misshapen tensor, or a value that is not finite; the message
        starts with `where` and names the tensor. The pair is then left as it was.
    """
    variables = pair_variables(pair)
    check_names(set(variables), set(arrays), where)
    for name, variable in variables.items():
        if tuple(arrays[name].shape) != tuple(variable.shape):
            raise UsageError(f"{where}: tensor {name} has shape {tuple(arrays[name].shape)}, "
                             f"expected {tuple(variable.shape)}; was it made by another network?")
        if not np.isfinite(arrays[name]).all():
            raise UsageError(f"{where}: tensor {name} holds values that are not finite; "
                             "take an undamaged file")
    for name, variable in variables.items():
        variable.assign(np.asarray(arrays[name], np.float32))


def check_names(expected: set[str], found: set[str], where: str) -> None:
    """Raise UsageError unless the two sets of tensor names are equal."""
    for names, word in ((expected - found, "missing"), (found - expected, "unknown")):
        if names:
            first = sorted(names)[0]
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise UsageError(f"{where}: tensor {first}{more} {word}; was it made by another "
                             "network or an older version?")


def save_weights(path: str | Path, pair: Networks, record: Mapping[str, Any]) -> None:
    """Write a pair as float16 beside `path` and move it there.

    Args:
      path: the `.safetensors` file.
      pair: the networks.
      record: what the weights come from (data, steps, seed, scores, licence), JSON-serialisable.
    Raises:
      UsageError: a value beyond the range of float16, or a folder that cannot be written.
    """
    arrays = get_arrays(pair)
    for name, array in arrays.items():
        if not np.abs(array).max(initial=0.0) < FLOAT16_MAX:  # also true for NaN
            raise UsageError(f"{path}: tensor {name} does not fit float16; nothing was written")
    halves = {name: array.astype(np.float16) for name, array in arrays.items()}
    metadata = {"format": FORMAT, "network": json.dumps(pair.config.to_json(), sort_keys=True),
                "record": json.dumps(record, sort_keys=True)}
    write_tensors(path, halves, metadata)


def read_arrays(path: str | Path) -> tuple[NetworkConfig, dict[str, Any], dict[str, np.ndarray]]:
    """Read a weights file: (network configuration, record, float32 tensors by name).

    Raises:
      UsageError: no such file, truncated, damaged in any bit, or of another format.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"{path}: no such weights file; train one with `python -m oace_tf.train`")
    halves, metadata = read_tensors(path, FORMAT)
    try:
        fields, record = json.loads(metadata["network"]), json.loads(metadata["record"])
    except (KeyError, json.JSONDecodeError) as error:
        raise UsageError(f"{path}: its metadata cannot be read ({error}); "
                         "take a fresh copy") from error
    if not isinstance(fields, dict) or not isinstance(record, dict):
        raise UsageError(f"{path}: its metadata are not JSON objects; take a fresh copy")
    config = NetworkConfig.from_json(fields, str(path))
    return config, record, {name: half.astype(np.float32) for name, half in halves.items()}


def read_record(path: str | Path) -> tuple[NetworkConfig, dict[str, Any]]:
    """Return the network configuration and the training record of a weights file."""
    config, record, _ = read_arrays(path)
    return config, record


def load_weights(path: str | Path, pair: Pair) -> dict[str, Any]:
    """Fill a pair from a file, strictly, and return the file's record.

    Raises:
      UsageError: as `read_arrays` and `set_arrays`, or a file of another configuration.
    """
    config, record, arrays = read_arrays(path)
    if config != pair.config:
        ours, theirs = dataclasses.asdict(pair.config), dataclasses.asdict(config)
        field = next(field for field in ours if ours[field] != theirs[field])
        raise UsageError(f"{path}: is for a network with {field} {theirs[field]!r}, "
                         f"expected {ours[field]!r}")
    set_arrays(pair, arrays, str(path))
    return record


def build_from_weights(path: str | Path, size: int | None = 512,
                       batch: int | None = None) -> tuple[Pair, dict[str, Any]]:
    """Return the pair that a weights file describes, filled, and the file's record.

    Args:
      path: the weights file.
      size: side of the file's square, px; the networks are built for their share of it
        (`NetworkConfig.network_side`). None for networks of any size.
      batch: fixed batch size, or None.

    Raises:
      UsageError: as `read_arrays` and `set_arrays`.
    """
    config, record, arrays = read_arrays(path)
    if config.one_trunk:
        raise UsageError(f"{path}: holds one trunk with gestures, expected a pair of networks")
    pair = build_pair(config, None if size is None else config.network_side(size), batch)
    set_arrays(pair, arrays, str(path))
    return pair, record


def build_gestures_from_weights(path: str | Path, size: int | None = 512,
                                batch: int | None = None) -> tuple[Any, dict[str, Any]]:
    """Return the `GestureNetworks` of a weights file of one trunk; as `build_from_weights`."""
    from oace_tf.networks.gesture_networks import build_gesture_networks

    config, record, arrays = read_arrays(path)
    if not config.one_trunk:
        raise UsageError(f"{path}: holds a pair of networks, not one trunk with gestures")
    networks = build_gesture_networks(config, None if size is None else config.network_side(size),
                                      batch)
    set_arrays(networks, arrays, str(path))
    return networks, record
