"""Quantization-aware steps: losses see the rounded networks, masks stay those of the float.

The mask loss (and what else the stage adds up) is taken of the simulated int8 networks. Beside it
stands a consistency term: the rounded networks' mask must be that of the same weights without
rounding, which is what the gate of the export measures as agreement. Statistics of the
normalisations stay as they are: they are folded into the kernels.
"""
from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops

from oace_tf.clicks import DISK_ON
from oace_tf.networks.fake_quant import Watcher, simulated
from oace_tf.networks.pair import Pair
from oace_tf.training.batches import batches
from oace_tf.training.distill import Teacher
from oace_tf.training.settings import LossSettings, QuantizeAware, TrainSettings
from oace_tf.training.step import TrainingModel, lit

Ranges = dict[str, tuple[float, float]]


class QuantizeAwareModel(TrainingModel):
    """The training model of a stage, run through the pair's simulated int8 twins."""

    def __init__(self, pair: Pair, stage: str, settings: LossSettings, teacher: Teacher | None,
                 aware: QuantizeAware, ranges: Mapping[str, tuple[float, float]]) -> None:
        super().__init__(pair, stage, settings, teacher)
        self._consistency, self._exact = aware.consistency, pair
        self._pair = rounded_pair(pair, ranges)

    def call(self, batch: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Return the outputs of the rounded networks, and the logits without rounding."""
        outputs = super().call(batch, training=training)
        if self._consistency > 0 and "logits" in outputs:
            image = (lit(batch) - 128.0) / 128.0
            disks = ops.cast(batch["disks"], "float32") * DISK_ON
            outputs["exact"] = ops.stop_gradient(self._exact.forward(image, disks)[1])
        return outputs

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None,
                     sample_weight: Any = None, training: bool = True) -> Any:
        """Return the stage's loss plus the cross-entropy with the mask without rounding."""
        total = super().compute_loss(x, y, y_pred, sample_weight, training)
        if "exact" in y_pred:
            logits, target = y_pred["logits"], ops.sigmoid(y_pred["exact"])
            total = total + self._consistency * ops.mean(ops.softplus(logits) - logits * target)
        return total


def start_ranges(pair: Pair, settings: TrainSettings, folders: list[Path]) -> Ranges:
    """Return the ranges of a pair on scenes of its run's last phase: that size is the file's.

    Raises:
      UsageError: data of which no scene can be made.
    """
    assert settings.quantize_aware is not None
    one = dataclasses.replace(settings, phases=(dataclasses.replace(
        settings.phases[-1], batch=1, steps=settings.quantize_aware.scenes),), warmup_steps=0,
        accumulate=1,
        scenes=dataclasses.replace(settings.scenes, twins=0.0, photometric="worker"),
        losses=dataclasses.replace(settings.losses, steadiness=0.0))
    source = batches(folders, one, pair.config.click_channels, 0, 0, set())
    with closing(source):
        return observed_ranges(pair, (batch for _, batch in source))


def observed_ranges(pair: Pair, batches: Iterable[Mapping[str, np.ndarray]]) -> Ranges:
    """Return the range of every stored layer of a pair over some batches, one scene at a time.

    Args:
      pair: the networks, before the fine-tuning.
      batches: as the training sees them: image (B, S, S, 3) uint8, disks (B, S, S, C) uint8.
    """
    watchers = {model.name: Watcher(model) for model in pair.models()}
    for batch in batches:
        for k in range(len(batch["image"])):
            image = (batch["image"][k : k + 1].astype(np.float32) - 128.0) / 128.0
            disks = batch["disks"][k : k + 1].astype(np.float32) * DISK_ON
            image, disks = ops.convert_to_tensor(image), ops.convert_to_tensor(disks)
            seen = pair.seen(image)
            made = {"image": image, "disks": disks, **seen, "oace": pair.embed(seen, disks)}
            for model in pair.models():
                watchers[model.name].see([made[tensor.name] for tensor in model.inputs])
    return {name: ends for watcher in watchers.values()
            for name, ends in watcher.ranges.items()}


def rounded_pair(pair: Pair, ranges: Mapping[str, tuple[float, float]]) -> Pair:
    """Return the pair of the simulated int8 twins of a pair's networks; variables are shared."""
    def twin(model: Any) -> Any:
        return None if model is None else simulated(model, ranges)

    return dataclasses.replace(pair, prior=twin(pair.prior), msfnet=twin(pair.msfnet),
                               shared=twin(pair.shared))
