"""Encoder, prior and MSFNet of one configuration (`one_trunk`), and the model of the file."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from oace_tf.config import NetworkConfig
from oace_tf.networks.gesture_maps import GestureMaps
from oace_tf.networks.layers import HalfSize, Resized
from oace_tf.networks.one_trunk import (
    ALTERNATIVES,
    build_encoder,
    build_gesture_msfnet,
    build_gesture_prior,
)

MAX_POINTS = 48


@dataclass(frozen=True, slots=True)
class GestureNetworks:
    """The models of one configuration; every layer belongs to exactly one of them."""

    config: NetworkConfig
    encoder: keras.Model
    prior: keras.Model
    msfnet: keras.Model
    refiner: keras.Model | None = None  # MSFNet of the second pass, where it has its own weights

    def models(self) -> Iterator[keras.Model]:
        """Yield encoder, prior, MSFNet, and the refiner where there is one."""
        yield from (self.encoder, self.prior, self.msfnet)
        if self.refiner is not None:
            yield self.refiner

    def with_trunks(self) -> Iterator[keras.Model]:
        """Yield the models that have a trunk, in layers named MODEL.trunk."""
        yield self.encoder

    def encode(self, image: Any, training: bool = False) -> dict[str, Any]:
        """Return the features of photographs (B, S, S, 3) float32 in [-1, 1), by name."""
        return self.encoder(image, training=training)

    def decode(self, features: Mapping[str, Any], drawn: Mapping[str, Any], previous: Any,
               training: bool = False) -> dict[str, Any]:
        """Return `logits`, `alternatives`, `scores` and `oace` of one gesture per row.

        Args:
          features: as `encode` gives them.
          drawn: as `GestureMaps` draws them.
          previous: (B, S/4, S/4, 1), the mask answered before in [0, 1]; zeros at first.
          training: whether batch statistics are used and updated.
        """
        given = {**features, **drawn, "previous": previous}
        embedded = self.prior({name: given[name] for name in self.prior.input}, training=training)
        given |= embedded
        outputs = self.msfnet({name: given[name] for name in self.msfnet.input}, training=training)
        return {**outputs, "oace": embedded["oace"]}

    def refine(self, features: Mapping[str, Any], drawn: Mapping[str, Any], first: Any,
               training: bool = False) -> dict[str, Any]:
        """Return the refiner's answer to a first one; arguments and result as of `decode`.

        Args:
          features: as `encode` gives them.
          drawn: as `GestureMaps` draws them.
          first: (B, S/2, S/2, 1) in [0, 1], the mask that `decode` gives.
          training: whether batch statistics are used and updated; the prior's are not.
        """
        assert self.refiner is not None
        given = {**features, **drawn, "previous": ops.average_pool(first, 2, 2)}
        embedded = self.prior({name: given[name] for name in self.prior.input})
        given |= embedded
        outputs = self.refiner({name: given[name] for name in self.refiner.input},
                               training=training)
        return {**outputs, "oace": embedded["oace"]}


def build_gesture_networks(config: NetworkConfig, size: int | None = 512,
                           batch: int | None = None) -> GestureNetworks:
    """Build the networks of a configuration with fresh weights; `size` None for any size."""
    encoder = build_encoder(config, size, batch)
    prior = build_gesture_prior(encoder)
    refiner = build_gesture_msfnet(config, encoder, prior, True) if config.refiner else None
    return GestureNetworks(config, encoder, prior, build_gesture_msfnet(config, encoder, prior),
                           refiner)


def build_fused_gestures(networks: GestureNetworks, max_points: int = MAX_POINTS, size: int = 512,
                         batch: int | None = 1, alternatives: bool = False) -> keras.Model:
    """Return the Keras model of the file: photograph, gesture and mask before -> mask.

    Args:
      networks: built for frames of `config.network_side(size)`.
      max_points: N, rows of `points`.
      size: side S of the file's square, px.
      batch: fixed batch; None leaves it open.
      alternatives: whether it also gives several answers, and the IoU that it expects of each.
    Returns:
      Model of [image (B, S, S, 3) in [-1, 1), points (B, N, 3), previous (B, S, S, 1) in [0, 1]]
      -> mask (B, S, S, 1) float32 in [0, 1]; with `alternatives` a dict of it, `masks`
      (B, S, S, 3) and `scores` (B, 3), float32 in [0, 1] too.
    """
    image = keras.Input(batch_shape=(batch, size, size, 3), name="image")
    points = keras.Input(batch_shape=(batch, max_points, 3), name="points")
    previous = keras.Input(batch_shape=(batch, size, size, 1), name="previous")
    side = networks.config.network_side(size)
    drawn = GestureMaps(side, size, name="gestures")(points)
    seen = image if side == size else Resized(side, name="fit")(image)
    before = HalfSize(name="previous4")(HalfSize(name="previous2")(previous))
    if side != size:
        before = Resized(side // 4, name="fit_previous")(before)
    given = {**networks.encoder(seen), **drawn, "previous": before}
    given |= networks.prior({name: given[name] for name in networks.prior.input})
    outputs = networks.msfnet({name: given[name] for name in networks.msfnet.input})
    if networks.config.second_pass:
        first = keras.layers.Activation("sigmoid", name="first_pass")(outputs["logits"])
        given["previous"] = HalfSize(name="first_pass4")(first)
        second = networks.msfnet if networks.refiner is None else networks.refiner
        outputs = second({name: given[name] for name in second.input})
    logits = Resized(size, name="unfit")(outputs["logits"])
    mask = keras.layers.Activation("sigmoid", dtype="float32", name="mask")(logits)
    answers: Any = mask
    if alternatives:
        others = Resized(size, name="unfit_masks")(outputs["alternatives"])
        score = keras.layers.Activation("sigmoid", dtype="float32", name="score")(outputs["scores"])
        answers = {"mask": mask, "masks": keras.layers.Activation(
            "sigmoid", dtype="float32", name="masks")(others),
            "scores": keras.layers.Reshape((ALTERNATIVES,), name="scores")(score)}
    return keras.Model([image, points, previous], answers, name="fused")


def repeated(features: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Return features with every photograph repeated for its `count` gestures."""
    return {name: ops.repeat(x, count, axis=0) for name, x in features.items()}
