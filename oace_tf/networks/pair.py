"""A prior and an MSFNet that belong together."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

from oace_tf.config import NetworkConfig
from oace_tf.networks.msfnet import build_msfnet
from oace_tf.networks.prior import build_prior


@dataclass(frozen=True, slots=True)
class Pair:
    """The two networks of one configuration; `prior` is None where MSFNet takes the plain disk."""

    config: NetworkConfig
    prior: keras.Model | None
    msfnet: keras.Model

    def models(self) -> Iterator[keras.Model]:
        """Yield the prior, where there is one, and MSFNet."""
        if self.prior is not None:
            yield self.prior
        yield self.msfnet

    def forward(self, image: Any, disks: Any, training: bool = False) -> tuple[Any, Any]:
        """Return (OACE or None, logits) of a batch.

        Args:
          image: (B, S, S, 3) float32 in [-1, 1).
          disks: (B, S, S, click_channels) float32 in {0, 127/128}.
          training: whether batch statistics are used and updated.
        """
        oace = None if self.prior is None else self.prior([image, disks], training=training)
        inputs = {"image": image, "oace": oace, "disks": disks}
        names = [tensor.name for tensor in self.msfnet.inputs]
        return oace, self.msfnet([inputs[name] for name in names], training=training)


def build_pair(config: NetworkConfig, size: int | None = 512, batch: int | None = None) -> Pair:
    """Build the networks of a configuration with fresh weights.

    Args:
      config: the configuration.
      size: side of the frame, a multiple of 64 (EfficientNet) or 32 (HRNet); None for any.
      batch: fixed batch size, or None.
    """
    prior = build_prior(config, size, batch) if config.has_prior else None
    return Pair(config, prior, build_msfnet(config, size, batch))
