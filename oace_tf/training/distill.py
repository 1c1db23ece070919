"""Distilling: a trained pair's masks and OACE as soft targets of another pair.

For a network without pretrained weights (HRNet here): what the teacher has learnt of objects comes
with every scene, also where no mask was drawn, and the student's loss is smooth from the first step
on. The labelled losses stay as they are; this one is added to them with a weight.
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
from keras import ops

from oace_tf.errors import UsageError
from oace_tf.fileio import sha256_file
from oace_tf.networks.pair import Pair
from oace_tf.networks.weights import build_from_weights
from oace_tf.training.settings import DistillSettings

EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class Teacher:
    """A trained pair that is not trained any further, and the loss of following it."""

    pair: Pair
    settings: DistillSettings
    sha256: str  # of its weights

    def models(self) -> list[keras.Model]:
        """Return its networks, for Keras to know their variables."""
        return list(self.pair.models())

    def loss(self, image: Any, disks: Any, oace: Any, logits: Any) -> Any:
        """Return how far the student is from the teacher, scalar, not weighted; 0 where it agrees.

        Args:
          image: (B, S, S, 3) float32 in [-1, 1).
          disks: (B, S, S, C) float32, as the student sees them.
          oace: (B, S, S, 3) of the student, or None where it is not trained.
          logits: (B, S, S, 1) of the student, or None where it is not trained.
        """
        taught_oace, taught_logits = self.pair.forward(image, self._disks(disks), training=False)
        total = 0.0
        if logits is not None:
            total = total + mask_divergence(logits, ops.stop_gradient(taught_logits))
        if oace is not None and taught_oace is not None:
            total = total + self.settings.oace * embedding_distance(
                oace, ops.stop_gradient(taught_oace))
        return total

    def _disks(self, disks: Any) -> Any:
        """Return the disks with as many channels as the teacher takes."""
        wanted, given = self.pair.config.click_channels, disks.shape[-1]
        if wanted > given:  # no background taps were drawn: there are none
            return ops.concatenate([disks, ops.zeros_like(disks)], axis=-1)
        return disks[..., :wanted]


def load_teacher(settings: DistillSettings | None, stage: str) -> Teacher | None:
    """Return the teacher of a run, or None where there is none.

    Args:
      settings: of the run; None without distilling.
      stage: "prior" follows the OACE alone, "msfnet" the masks alone, "joint" both.
    Raises:
      UsageError: the weights cannot be read, or teach nothing that this stage trains.
    """
    if settings is None:
        return None
    path = Path(settings.teacher)
    pair, _ = build_from_weights(path, size=None)
    if stage == "prior" and (pair.prior is None or settings.oace == 0.0):
        raise UsageError(f"{path}: teaches no OACE, and stage 'prior' trains nothing else; give a "
                         "teacher with a prior and distill.oace above 0")
    for model in pair.models():
        model.trainable = False
    return Teacher(pair, settings, sha256_file(path))


def mask_divergence(logits: Any, taught: Any) -> Any:
    """Return the mean Kullback-Leibler divergence of each pixel's two probabilities.

    Args:
      logits: (B, S, S, 1) of the student.
      taught: (B, S, S, 1) logits of the teacher.
    """
    p = ops.sigmoid(taught)
    # log p - log q of both outcomes, from logits: no logarithm of zero anywhere.
    object_term = ops.log_sigmoid(taught) - ops.log_sigmoid(logits)
    background_term = ops.log_sigmoid(-taught) - ops.log_sigmoid(-logits)
    return ops.mean(p * object_term + (1.0 - p) * background_term)


def embedding_distance(oace: Any, taught: Any) -> Any:
    """Return the mean over the pixels of one minus the cosine of the two embeddings, in [0, 2].

    Both (B, S, S, 3). Equation (1) knows embeddings by their cosines alone.
    """
    def unit(x: Any) -> Any:
        return x / ops.sqrt(ops.sum(ops.square(x), axis=-1, keepdims=True) + EPSILON**2)

    return ops.mean(1.0 - ops.sum(unit(oace) * unit(taught), axis=-1))
