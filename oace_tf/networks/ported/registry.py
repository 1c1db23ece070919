"""Registry of the networks that other people's checkpoints fill, by their published names.

A file of ported weights is safetensors, float32, with the checkpoint's own names (without a prefix
that all of them share) and Keras's layout; its metadata hold `ported` (what the network is, JSON),
`record` (where it comes from, JSON) and a checksum.
"""
from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from oace_tf.config import RESIZES, NetworkConfig
from oace_tf.errors import UsageError
from oace_tf.geometry import IMAGENET_DEVIATION, IMAGENET_MEAN
from oace_tf.networks.efficientnet_lite import efficientnet_lite
from oace_tf.networks.hrnet import hrnet_trunk
from oace_tf.networks.layers import Scope, dotted_name
from oace_tf.networks.ported.classifiers import efficientnet_lite0_classifier, hrnet_classifier
from oace_tf.networks.weights import SUFFIXES, check_names, value_of
from oace_tf.tensor_file import PORTED_FORMAT, read_tensors, write_tensors

HRNET_VARIANTS = {"hrnet18": "w18", "hrnet18s": "w18_small_v2",
                  "ritm_hrnet18": "w18", "ritm_hrnet18s": "w18_small_v2"}
TRUNKS = ("hrnet18", "hrnet18s", "efficientnet_lite0")
PARTS = ("prior", "msfnet")  # of a pair
RITM = ("ritm_hrnet18", "ritm_hrnet18s")
NETWORKS = (*TRUNKS, *PARTS, *RITM)
LITE_STRIDE = 2

# What the trunks of each kind were trained on: the network sees (byte / 255 - mean) / deviation.
IMAGENET = (IMAGENET_MEAN, IMAGENET_DEVIATION)
LITE = ((127 / 255,) * 3, (128 / 255,) * 3)  # (byte - 127) / 128


@dataclass(frozen=True, slots=True)
class Ported:
    """What a ported network is.

    Raises:
      UsageError: a field outside its range.
    """

    network: str
    resize: str = "half_pixel"  # how an HRNet enlarges, see `resize`
    classifier: bool = False  # whether a trunk comes with its ImageNet classifier
    config: NetworkConfig | None = None  # of the pair that a prior or MSFNet belongs to

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            raise UsageError(f"network is {self.network!r}, expected one of {NETWORKS}")
        if self.resize not in RESIZES:
            raise UsageError(f"resize is {self.resize!r}, expected one of {RESIZES}")
        if self.classifier not in (True, False) or self.classifier and self.network not in TRUNKS:
            raise UsageError(f"classifier is {self.classifier!r} for {self.network}")
        if (self.config is None) == (self.network in PARTS):
            raise UsageError(f"{self.network} and its configuration do not fit each other")

    @property
    def trunk(self) -> str:
        """The trunk as `config.TRUNKS` names it."""
        if self.config is not None:
            return self.config.trunk
        return "efficientnet_lite0" if self.network == "efficientnet_lite0" else "hrnet"

    @property
    def statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and deviation of the photographs (bytes / 255) that the checkpoint knows."""
        return LITE if self.network == "efficientnet_lite0" else IMAGENET

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {**fields, "config": self.config and self.config.to_json()}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any], where: str) -> Ported:
        """Build from a JSON object; the message of an error starts with `where`."""
        try:
            config = fields["config"]
            if config is not None:
                config = NetworkConfig.from_json(config, where)
            return cls(**{**fields, "config": config})
        except (KeyError, TypeError, UsageError) as error:
            raise UsageError(f"{where}: its metadata do not describe a ported network "
                             f"({error}); port the checkpoint again") from None


def build_ported(ported: Ported, size: int | None = None, batch: int | None = None) -> keras.Model:
    """Return the network with fresh weights.

    Args:
      ported: which.
      size: side of the square input, or None for any that divides.
      batch: fixed batch size, or None.
    Returns:
      Trunks: image (B, S, S, 3), normalised as published -> the feature maps, finest first, then
      the classifier's logits (B, 1000) where it has one. A part of a pair: see `build_prior`,
      `build_msfnet`. RITM: see `ritm.build_ritm`.
    """
    if ported.network in RITM:
        from oace_tf.networks.ported.ritm import build_ritm

        if size is None:
            raise ValueError("RITM is built for one size")
        return build_ritm(HRNET_VARIANTS[ported.network], size, batch, resize=ported.resize)
    if ported.config is not None:
        from oace_tf.networks.pair import build_pair

        model = getattr(build_pair(ported.config, size, batch), ported.network)
        if model is None:
            raise UsageError(f"this configuration has no {ported.network}")
        return model
    scope = Scope("trunk")
    image = keras.Input((size, size, 3), batch_size=batch, name="image")
    if ported.network == "efficientnet_lite0":
        features = efficientnet_lite(scope, image, LITE_STRIDE)
        head = efficientnet_lite0_classifier(scope, features[-1]) if ported.classifier else None
    else:
        features = hrnet_trunk(scope, image, HRNET_VARIANTS[ported.network], 4,
                               resize=ported.resize)
        head = hrnet_classifier(scope, features) if ported.classifier else None
    return keras.Model(image, [*features, *([] if head is None else [head])], name="trunk")


def layer_variables(model: keras.Model) -> Iterator[tuple[str, Any, Any]]:
    """Yield (published tensor name, Keras layer, variable) of every variable, in layer order."""
    for layer in model.layers:
        for variable in layer.weights:
            yield f"{layer_name(model, layer)}.{SUFFIXES[variable.name]}", layer, variable


def layer_name(model: keras.Model, layer: Any) -> str:
    """Return a layer's published name: its dotted name without the model's own."""
    return dotted_name(layer.name).removeprefix(f"{model.name}.")


def save_ported(path: str | Path, ported: Ported, model: keras.Model,
                record: Mapping[str, Any]) -> None:
    """Write a network's weights, float32, beside `path` and move them there.

    Raises:
      UsageError: the file cannot be written.
    """
    tensors = {name: value_of(variable).astype(np.float32, copy=False)
               for name, _, variable in layer_variables(model)}
    write_tensors(path, tensors, {
        "format": PORTED_FORMAT, "ported": json.dumps(ported.to_json(), sort_keys=True),
        "record": json.dumps(record, sort_keys=True)})


def read_ported(path: str | Path) -> tuple[Ported, dict[str, Any], dict[str, np.ndarray]]:
    """Return (network, record, float32 tensors by published name) of a file of ported weights.

    Raises:
      UsageError: missing, damaged, or of another format.
    """
    tensors, metadata = read_tensors(path, PORTED_FORMAT)
    try:
        fields, record = json.loads(metadata["ported"]), json.loads(metadata["record"])
    except (KeyError, json.JSONDecodeError) as error:
        raise UsageError(f"{path}: its metadata cannot be read ({error}); "
                         "port the checkpoint again") from error
    return Ported.from_json(fields, str(path)), dict(record), tensors


def fill_ported(model: keras.Model, tensors: Mapping[str, np.ndarray], where: str,
                without: frozenset[str] = frozenset()) -> None:
    """Fill a network strictly; `without` are tensors that it may leave unused.

    Raises:
      UsageError: a tensor missing, extra or misshapen; the message starts with `where`.
    """
    variables = {name: variable for name, _, variable in layer_variables(model)}
    check_names(set(variables), set(tensors) - without, where)
    for name, variable in variables.items():
        if tuple(tensors[name].shape) != tuple(variable.shape):
            raise UsageError(f"{where}: tensor {name} has shape {tensors[name].shape}, expected "
                             f"{tuple(variable.shape)}; port the checkpoint again")
    for name, variable in variables.items():
        variable.assign(tensors[name])
