"""Predictions of the networks in training on a batch, as at inference; and a picture of them."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import keras
import numpy as np
from keras import ops

from oace_tf.clicks import DISK_ON
from oace_tf.networks.pair import Pair
from oace_tf.training.step import lit

_SIDE = 192  # px of a panel
_TAP_COLOURS = ((255, 40, 40), (40, 90, 255))  # object taps, background taps


class Predictions(keras.Model):
    """Batch -> {`oace` (B, S, S, 3), where there is a prior, `logits` (B, S, S, 1)}."""

    def __init__(self, pair: Pair) -> None:
        super().__init__(name="predictions")
        self.networks, self._pair = list(pair.models()), pair
        self._shape: tuple[int, ...] = ()

    def call(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return what the networks make of a batch, with the statistics of inference."""
        image = (lit(batch) - 128.0) / 128.0
        oace, logits = self._pair.forward(image, ops.cast(batch["disks"], "float32") * DISK_ON)
        return {"logits": logits} if oace is None else {"oace": oace, "logits": logits}

    def of(self, batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the outputs as arrays."""
        wanted = {name: batch[name] for name in ("image", "disks", "curve") if name in batch}
        if wanted["image"].shape != self._shape:
            # One graph for each size: after a few sizes Keras would make one for any, which not all
            # layers can be part of.
            self._shape, self.predict_function = wanted["image"].shape, None
        return {name: np.asarray(keras.ops.convert_to_numpy(value))
                for name, value in self.predict_on_batch(wanted).items()}


def picture(batch: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray],
            rows: int = 4) -> np.ndarray:
    """Return a picture of the first scenes: photograph with taps, mask, OACE, prediction.

    Args:
      batch: as `SceneMaker.batch`.
      outputs: as `Predictions.of`.
      rows: scenes at most.
    Returns:
      (rows x 192, panels x 192, 3) uint8; ignored pixels of the mask are grey.
    """
    pictures = []
    for number in range(min(rows, len(batch["image"]))):
        image = batch["image"][number].copy()
        for channel, colour in zip(range(batch["disks"].shape[-1]), _TAP_COLOURS):
            image[batch["disks"][number, ..., channel] > 0] = colour
        mask = batch["mask"][number, ..., 0]
        panels = [image, _grey(np.where(mask < 0, 0.5, mask))]
        if "oace" in outputs:
            panels.append(_bytes((outputs["oace"][number] + 1.0) / 2.0))
        panels.append(_grey(1.0 / (1.0 + np.exp(-np.clip(outputs["logits"][number, ..., 0],
                                                         -30.0, 30.0)))))
        pictures.append(np.hstack([cv2.resize(panel, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
                                   for panel in panels]))
    return np.vstack(pictures)


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.nan_to_num(values) * 255.0 + 0.5, 0, 255).astype(np.uint8)


def _grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(_bytes(values)[..., None], 3, axis=-1)
