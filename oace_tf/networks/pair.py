"""Pair of a prior and an MSFNet that belong together, and the trunk they may share."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from oace_tf.config import NetworkConfig
from oace_tf.networks.msfnet import build_msfnet
from oace_tf.networks.prior import build_prior
from oace_tf.networks.shared_trunk import build_shared


@dataclass(frozen=True, slots=True)
class Pair:
    """The networks of one configuration; `prior` is None where MSFNet takes the plain disk.

    `shared` is the trunk of both where they share one: then `prior` and `msfnet` take its features
    in place of the photograph. Otherwise it is None.
    """

    config: NetworkConfig
    prior: keras.Model | None
    msfnet: keras.Model
    shared: keras.Model | None = None

    def models(self) -> Iterator[keras.Model]:
        """Yield what there is of shared trunk, prior and MSFNet, in this order.

        Every layer belongs to exactly one of them.
        """
        for model in (self.shared, self.prior, self.msfnet):
            if model is not None:
                yield model

    def with_trunks(self) -> Iterator[keras.Model]:
        """Yield the models that have a trunk of their own, in layers named MODEL.trunk."""
        if self.shared is not None:
            yield self.shared
        else:
            yield from self.models()

    def seen(self, image: Any, training: bool = False) -> dict[str, Any]:
        """Return what both networks start from, by input name: `image`, or the shared features.

        Args:
          image: (B, S, S, 3) float32 in [-1, 1).
          training: whether batch statistics are used and updated.
        """
        return {"image": image} if self.shared is None else self.shared(image, training=training)

    def embed(self, seen: Mapping[str, Any], disks: Any, training: bool = False) -> Any:
        """Return the OACE (B, S, S, 3), or None without prior.

        Args:
          seen: as the method of this name gives it.
          disks: (B, S, S, click_channels) float32 in {0, 127/128}.
          training: whether batch statistics are used and updated.
        """
        if self.prior is None:
            return None
        return self.prior([*_ordered(seen), disks], training=training)

    def segment(self, seen: Mapping[str, Any], oace: Any, disks: Any,
                training: bool = False) -> Any:
        """Return the logits (B, S, S, 1); arguments as those of `embed` and what it gives."""
        made = {**seen, "oace": oace, "disks": disks}
        return self.msfnet([made[tensor.name] for tensor in self.msfnet.inputs], training=training)

    def embedding(self, image: np.ndarray, disks: np.ndarray) -> np.ndarray:
        """Return the OACE (S, S, 3) of one photograph (S, S, 3) and its disks, as arrays.

        Raises:
          ValueError: the pair has no prior.
        """
        if self.prior is None:
            raise ValueError("a pair without a prior has no OACE")
        seen = {"image": image[None]}
        if self.shared is not None:
            seen = self.shared.predict_on_batch(image[None])
        return np.asarray(self.prior.predict_on_batch([*_ordered(seen), disks[None]])[0])

    def forward(self, image: Any, disks: Any, training: bool = False) -> tuple[Any, Any]:
        """Return (OACE or None, logits) of a batch.

        Args:
          image: (B, S, S, 3) float32 in [-1, 1).
          disks: (B, S, S, click_channels) float32 in {0, 127/128}.
          training: whether batch statistics are used and updated.
        """
        seen = self.seen(image, training)
        oace = self.embed(seen, disks, training)
        return oace, self.segment(seen, oace, disks, training)


def _ordered(seen: Mapping[str, Any]) -> list[Any]:
    return [seen[name] for name in sorted(seen)]  # `image`, or `feature0`, `feature1`, ...


def build_pair(config: NetworkConfig, size: int | None = 512, batch: int | None = None) -> Pair:
    """Build the networks of a configuration with fresh weights.

    Args:
      config: the configuration.
      size: side of the frame, a multiple of 64 (EfficientNet) or 32 (HRNet); None for any.
      batch: fixed batch size, or None.
    """
    shared = build_shared(config, size, batch) if config.shared_trunk else None
    prior = build_prior(config, size, batch, shared) if config.has_prior else None
    return Pair(config, prior, build_msfnet(config, size, batch, shared), shared)
