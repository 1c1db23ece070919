"""Somebody's own MSFNet and prior, as state dicts in PyTorch's layout: over, and into a pair."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from export import port
from oace_tf.config import NetworkConfig
from oace_tf.networks.pair import build_pair
from oace_tf.networks.ported.initialize import pair_from_ports
from oace_tf.networks.weights import get_arrays, pair_variables


def published(array: np.ndarray) -> np.ndarray:
    """Keras's layout as PyTorch's; the tiny pair has no depthwise convolution."""
    return np.ascontiguousarray(array.transpose(3, 2, 0, 1) if array.ndim == 4 else array)


@pytest.fixture(scope="module")
def state_dicts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    """Two files as PyTorch would write them, and the tensors as Keras holds them."""
    folder, rng = tmp_path_factory.mktemp("parts"), np.random.default_rng(9)
    shapes = {name: tuple(variable.shape) for name, variable in
              pair_variables(build_pair(NetworkConfig.preset("tiny"), None)).items()}
    values = {name: rng.random(shape).astype(np.float32) for name, shape in shapes.items()}
    for part in ("prior", "msfnet"):
        save_file({f"module.{name.removeprefix(f'{part}.')}": published(value)
                   for name, value in values.items() if name.startswith(f"{part}.")},
                  folder / f"{part}.safetensors")
    return folder, values


def test_both_parts_make_the_pair(state_dicts: Any, tmp_path: Path) -> None:
    folder, values = state_dicts
    files = []
    for part in ("prior", "msfnet"):
        files.append(tmp_path / f"{part}.safetensors")
        assert port.main([str(folder / f"{part}.safetensors"), "--network", part, "--preset",
                          "tiny", "--out", str(files[-1])]) == 0
        report = json.loads(Path(f"{files[-1]}.port.json").read_text())
        counts = report["tensors"]["counts"]
        assert counts["missing"] == counts["extra"] == 0
        assert report["tensors"]["prefix"] == "module."
    pair, record = pair_from_ports(files, "efficientnet_lite0")
    assert pair.config == NetworkConfig.preset("tiny")
    assert [entry["fills"] for entry in record] == [["prior"], ["msfnet"]]
    found = get_arrays(pair)
    assert found.keys() == values.keys()
    for name, value in values.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_the_wrong_part_is_refused(state_dicts: Any, tmp_path: Path,
                                   capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.safetensors"
    assert port.main([str(state_dicts[0] / "prior.safetensors"), "--network", "msfnet", "--preset",
                      "tiny", "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert "missing" in error and "extra" in error
    assert error.splitlines()[-1].startswith("python export/port.py: ")
    assert not any(tmp_path.iterdir())
