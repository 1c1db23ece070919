"""Step of training as a Keras model whose loss is its own."""
from __future__ import annotations

from typing import Any

import keras
from keras import ops

from oace_tf.clicks import DISK_ON
from oace_tf.networks.pair import Pair
from oace_tf.training import finite_step, losses
from oace_tf.training.distill import Teacher
from oace_tf.training.settings import LossSettings


class TrainingModel(keras.Model):
    """A pair of networks with the losses of a stage, on every Keras backend.

    `prior`: equation (1) alone. `msfnet`: the mask loss with the prior frozen (paper 3.1).
    `joint`: both at once.

    Attributes:
      twin_pairs: the first 2 `twin_pairs` scenes of a batch are twins (for the steadiness). Read
        when the step's graph is made.
    """

    def __init__(self, pair: Pair, stage: str, settings: LossSettings,
                 teacher: Teacher | None = None) -> None:
        super().__init__(name="training")
        self._teacher, self.taught_by = teacher, teacher.models() if teacher else []
        self.twin_pairs = 0
        self.prior, self.msfnet, self.shared = pair.prior, pair.msfnet, pair.shared
        self._pair, self._stage, self._settings = pair, stage, settings
        for model in (pair.prior, pair.shared):  # a frozen prior stands on a frozen trunk
            if model is not None:
                model.trainable = stage != "msfnet"
        pair.msfnet.trainable = stage != "prior"

    def call(self, batch: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Return the logits (unless the prior is trained alone) and the mean contrastive loss."""
        image = (lit(batch) - 128.0) / 128.0
        disks = ops.cast(batch["disks"], "float32") * DISK_ON
        outputs: dict[str, Any] = {}
        of_prior = training and self._stage != "msfnet"
        seen = self._pair.seen(image, of_prior)
        oace = self._pair.embed(seen, disks, of_prior)
        if oace is not None and self._weight_of_contrastive() > 0:
            outputs["contrastive"] = self._contrastive(oace, seen, disks, batch, training)
        if self._stage != "prior":
            outputs["logits"] = self._pair.segment(seen, oace, disks, training)
        if self._settings.steadiness > 0:
            valid = ops.cast(batch["mask"] >= 0, "float32")
            outputs["unsteady"] = self._unsteady(oace, outputs.get("logits"), valid)
        if self._teacher is not None:
            outputs["untaught"] = self._teacher.loss(
                image, disks, oace if self._stage != "msfnet" else None, outputs.get("logits"))
        return outputs

    def train_step(self, *args: Any) -> Any:
        """Make one step; where it comes out not finite, no variable keeps anything of it.

        The loss is then not finite either.
        """
        return finite_step.STEPS[keras.backend.backend()](self, super().train_step, *args)

    def _unsteady(self, oace: Any, logits: Any, valid: Any) -> Any:
        """Return how far the twins' masks and embeddings are from agreeing (paper 5.2)."""
        total = 0.0
        if logits is not None:
            p = ops.sigmoid(logits[:2 * self.twin_pairs]) * valid[:2 * self.twin_pairs]
            total = total + ops.mean(losses.twin_disagreement(p[0::2], p[1::2]))
        if oace is not None:
            twins = oace[:2 * self.twin_pairs]
            total = total + ops.mean(ops.square(twins[0::2] - twins[1::2]))
        return total

    def _weight_of_contrastive(self) -> float:
        weights = {"prior": 1.0, "msfnet": 0.0, "joint": self._settings.contrastive}
        return weights[self._stage]

    def _contrastive(self, oace: Any, seen: dict[str, Any], disks: Any, batch: dict[str, Any],
                     training: bool) -> Any:
        """Equation (1); where the background patches come from is a setting.

        The second pass takes the disk turned inside out in the object channel (1 - D) and zero in
        the background channel. With its patches alone a network may answer a constant in each
        pass; patches of the first pass force object and background apart within it.
        """
        objects = losses.gather_patches(oace, batch["object_xy"])
        kinds = []
        if self._settings.background_from in ("pass1", "both"):
            kinds.append(losses.gather_patches(oace, batch["background_xy"]))
        if self._settings.background_from in ("pass2", "both"):
            inverse = DISK_ON - disks[..., :1]
            inverse = ops.concatenate([inverse, ops.zeros_like(disks[..., 1:])], axis=-1)
            second = self._pair.embed(seen, inverse, training)
            kinds.append(losses.gather_patches(second, batch["background_xy"]))
        values = [losses.contrastive_loss(objects, backgrounds) for backgrounds in kinds]
        return ops.mean(sum(values) / len(values))

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None,
                     sample_weight: Any = None, training: bool = True) -> Any:
        """Return the scalar loss of the stage."""
        total = 0.0
        if "unsteady" in y_pred:
            total = total + self._settings.steadiness * y_pred["unsteady"]
        if "untaught" in y_pred and self._teacher is not None:
            total = total + self._teacher.settings.weight * y_pred["untaught"]
        if "contrastive" in y_pred:
            total = total + self._weight_of_contrastive() * y_pred["contrastive"]
        if "logits" in y_pred:
            settings = self._settings
            target = ops.cast(x["mask"], "float32")
            logits, valid = y_pred["logits"], ops.cast(target >= 0, "float32")
            target = ops.maximum(target, 0.0)
            if settings.boundary > 0:
                near = losses.near_outline(target, settings.boundary_px)
                valid = valid * (1.0 + settings.boundary * near)
            if settings.mask == "nfl":
                mask = losses.normalized_focal_loss(logits, target, valid, gamma=settings.gamma,
                                                    alpha=settings.alpha)
            else:
                dice = settings.mask == "dice"
                function = losses.dice_loss if dice else losses.bce_loss
                mask = function(logits, target, ops.cast(valid > 0, "float32") if dice else valid)
            total = total + ops.mean(mask)
            if settings.dice > 0:
                counted = ops.cast(valid > 0, "float32")  # an overlap knows no weights
                total = total + settings.dice * ops.mean(losses.dice_loss(logits, target, counted))
        return total


def lit(batch: dict[str, Any]) -> Any:
    """Return the photographs of a batch as float32, colour curves applied as in `scenes.relit`."""
    image = ops.cast(batch["image"], "float32")
    if "curve" not in batch:
        return image
    curve = ops.cast(batch["curve"], "float32")[:, None, None]  # (B, 1, 1, 3, 2)
    return ops.floor(ops.clip(image * curve[..., 0] + curve[..., 1], 0.0, 255.0))
