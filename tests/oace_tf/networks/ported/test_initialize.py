"""Trunks that start from ported checkpoints: which network, which tensors, whose photographs."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oace_tf.config import NetworkConfig
from oace_tf.errors import UsageError
from oace_tf.networks.ported import initialize
from oace_tf.networks.ported.classifiers import HRNET_HEAD
from oace_tf.networks.ported.registry import Ported, build_ported, layer_variables, save_ported
from oace_tf.networks.weights import get_arrays
from oace_tf.train import main


def ported_file(folder: Path, ported: Ported, seed: int = 0) -> Path:
    """A file of a ported network with random weights."""
    rng = np.random.default_rng(seed)
    model = build_ported(ported, 64, 1)
    for name, _, variable in layer_variables(model):
        value = rng.normal(0, 0.1, variable.shape)
        variable.assign(np.abs(value) + 0.5 if name.endswith("running_var") else value)
    path = folder / f"{ported.network}-{ported.resize}.safetensors"
    save_ported(path, ported, model, {"source": "random"})
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """HRNetV2-W18-Small-v2 with nearest resizing, as the classification code publishes it."""
    return ported_file(tmp_path_factory.mktemp("ported"), Ported("hrnet18s", "nearest"))


def test_the_stem_sees_our_photographs_as_the_checkpoint_saw_its_own() -> None:
    rng = np.random.default_rng(1)
    ported = Ported("hrnet18", "nearest")
    tensors = {"conv1.weight": rng.normal(size=(3, 3, 3, 5)).astype(np.float32),
               "bn1.running_mean": rng.normal(size=5).astype(np.float32)}
    ours = initialize.standardised_stem(ported, tensors)
    image = rng.integers(0, 256, (8, 8, 3))
    mean, spread = (np.array(values) for values in ported.statistics)

    def stem(x: np.ndarray, given: Any) -> np.ndarray:
        windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(0, 1))
        return np.einsum("hwcyx,yxco->hwo", windows, given["conv1.weight"]
                         ) - given["bn1.running_mean"]

    np.testing.assert_allclose(stem((image - 128) / 128, ours),
                               stem((image / 255 - mean) / spread, tensors), atol=1e-4)


@pytest.mark.slow
def test_one_file_starts_the_trunk_that_it_fits(small: Path) -> None:
    pair, record = initialize.pair_from_ports([small], "efficientnet_lite0")
    assert pair.config == NetworkConfig(**{
        **NetworkConfig.preset("hrnet").to_json(), "trunk_resize": "nearest"})
    assert record[0]["fills"] == ["prior"] and record[0]["resize"] == "nearest"
    _, _, tensors = initialize.read_ported(small)
    found = get_arrays(pair)
    names = {name for name in found if name.startswith("prior.trunk.")}
    assert len(names) == len(tensors)
    for name in names - {"prior.trunk.conv1.weight", "prior.trunk.bn1.running_mean"}:
        np.testing.assert_array_equal(found[name], tensors[name.removeprefix("prior.trunk.")])
    stem = found["prior.trunk.conv1.weight"]
    assert stem.shape[2] == 3 + pair.config.click_channels or stem.shape[2] == 3
    kinds = {type(layer).__name__ for layer in pair.msfnet.layers if ".trunk." in layer.name}
    assert "Repeat" in kinds and "UpSampling2D" not in kinds


def test_bad_files_are_named(small: Path, tmp_path: Path,
                             capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="does not fit a pair of trunk"):
        initialize.merged_config([(small, Ported("hrnet18s", "nearest")),
                                  (small, Ported("efficientnet_lite0"))], "hrnet")
    with pytest.raises(UsageError, match=r"resizes otherwise than .*aligned, nearest"):
        initialize.merged_config([(small, Ported("hrnet18s", "nearest")),
                                  (small, Ported("ritm_hrnet18", "aligned"))], "hrnet")
    with pytest.raises(UsageError, match="this preset has no prior"):
        initialize.merged_config([(small, Ported("hrnet18s", "nearest"))], "paper_baseline")
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "instances.json").write_text(
        '{"images": [], "annotations": [], "categories": []}')
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(small.read_bytes()[:-40] + bytes(40))
    assert initialize.is_ported(damaged) and not initialize.is_ported(tmp_path)
    assert set(HRNET_HEAD) == {name.rstrip(".") for name in initialize._HEADS[:4]}
    assert main(["joint", "--data", str(tmp_path / "train"), "--init", str(damaged)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
