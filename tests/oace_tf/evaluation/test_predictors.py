"""What may be evaluated: files and weights, their names, channels and origin."""
from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from oace_tf.clicks import Click
from oace_tf.errors import UsageError
from oace_tf.evaluation import predictors
from oace_tf.evaluation.predictors import (
    check_models,
    open_embedding,
    open_predictor,
    seen_categories,
    weights_of,
)
from oace_tf.segmenter import TapSegmenter


def test_files(tiny_int8: Path, tiny_float32: Path, tmp_path: Path) -> None:
    int8, float32 = check_models([tiny_int8, tiny_float32], 4)
    assert (int8.name, int8.kind) == ("tiny_int8", "int8")
    assert (int8.click_channels, int8.max_points) == (2, 4)
    assert float32.kind == "float32" and float32.weights_sha256 == "0" * 64
    alike = tmp_path / "tiny_int8.tflite"
    shutil.copy(tiny_int8, alike)
    assert [model.name for model in check_models([tiny_int8, alike], 1)] == [
        str(tiny_int8), str(alike)]
    with pytest.raises(UsageError, match="given twice"):
        check_models([tiny_int8, tiny_int8], 1)
    with pytest.raises(UsageError, match="takes at most 4 taps; give --clicks 4"):
        check_models([tiny_int8], 5)


def test_predictor_is_the_file(tiny_int8: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    clicks = [Click(20, 20), Click(30, 25, False)]
    predict = open_predictor(check_models([tiny_int8], 2)[0])
    np.testing.assert_array_equal(predict(image, clicks),
                                  TapSegmenter(tiny_int8).probability(image, clicks))


def test_one_channel_gets_object_taps_only(tiny_one_channel: Path) -> None:
    image = np.full((40, 50, 3), 200, np.uint8)
    predict = open_predictor(check_models([tiny_one_channel], 2)[0])
    found = predict(image, [Click(20, 20), Click(30, 25, False)])
    np.testing.assert_array_equal(found, predict(image, [Click(20, 20)]))


def test_a_file_that_changed_is_refused(tiny_int8: Path, tiny_float32: Path,
                                        tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    shutil.copy(tiny_int8, path)
    (model,) = check_models([path], 1)
    shutil.copy(tiny_float32, path)
    with pytest.raises(UsageError, match="has the SHA-256"):
        open_predictor(model)


def test_weights_of_a_file(tiny_int8: Path, tmp_path: Path,
                           monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictors, "SHIPPED", tmp_path)
    (model,) = check_models([tiny_int8], 1)
    assert weights_of(model) is None and seen_categories(None) is None
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"other")
    assert weights_of(model) is None
    with pytest.raises(UsageError, match="was not made from"):
        weights_of(model, other)


@pytest.mark.slow
def test_weights(tmp_path: Path) -> None:
    from oace_tf.config import NetworkConfig
    from oace_tf.networks.pair import build_pair
    from oace_tf.networks.weights import save_weights

    path = tmp_path / "tiny.safetensors"
    save_weights(path, build_pair(NetworkConfig.preset("tiny"), 64),
                 {"data": [{"categories": ["Cat", "dog"]}, {"categories": ["cat"]}]})
    (model,) = check_models([path], 20)
    assert model.kind == "weights" and weights_of(model) == path
    assert seen_categories(path) == {"cat", "dog"}
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    found = open_predictor(model)(image, [Click(20, 20), Click(30, 25, False)])
    assert found.shape == (40, 50) and found.dtype == np.float32 and np.isfinite(found).all()
    embed = open_embedding(path)
    assert embed is not None
    oace = embed(image, [Click(20, 20)])
    assert oace.shape == (512, 512, 3) and np.abs(oace).max() <= 1


def test_weights_that_are_missing_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read .*no.safetensors"):
        check_models([tmp_path / "no.safetensors"], 1)
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"no weights")
    with pytest.raises(UsageError, match="bad.safetensors"):
        check_models([bad], 1)
