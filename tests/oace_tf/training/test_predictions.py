"""What the networks make of a batch while they are trained."""
from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest

from oace_tf.clicks import DISK_ON
from oace_tf.config import NetworkConfig
from oace_tf.networks.pair import build_pair
from oace_tf.training.predictions import Predictions


@pytest.mark.slow
def test_every_size_of_a_run_is_predicted() -> None:
    """Three sizes and more: a run with three phases once ended at the picture of the third."""
    keras.utils.set_random_seed(3)
    config = dataclasses.replace(NetworkConfig.preset("efficientnet_lite0"), prior_width=8,
                                 msfnet_width=8, msf_width=4)
    pair = build_pair(config, size=None)
    predictions = Predictions(pair)
    rng = np.random.default_rng(3)
    for size in (64, 128, 192, 256, 64):
        image = rng.integers(0, 256, (1, size, size, 3), dtype=np.uint8)
        disks = (rng.random((1, size, size, 2)) < 0.02).astype(np.uint8)
        found = predictions.of({"image": image, "disks": disks})
        oace, logits = pair.forward(
            keras.ops.convert_to_tensor((image.astype(np.float32) - 128) / 128),
            keras.ops.convert_to_tensor(disks.astype(np.float32) * DISK_ON))
        for name, wanted in (("oace", oace), ("logits", logits)):
            np.testing.assert_allclose(found[name], keras.ops.convert_to_numpy(wanted), atol=1e-4)
