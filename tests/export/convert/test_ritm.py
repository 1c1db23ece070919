"""RITM-HRNet18s with random weights through `quantize.py`: one delegate, size, GMAC, agreement."""
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from export import quantize
from oace_tf.clicks import Click
from oace_tf.evaluation.predictors import check_models, open_predictor
from oace_tf.evaluation.previous_mask import Guided
from oace_tf.networks.ported.registry import Ported, build_ported, layer_variables, save_ported
from tests.golden.port.weights import seeded

SIDE = 96


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ported = Ported("ritm_hrnet18s", "aligned")
    model = build_ported(ported, SIDE, 1)
    for name, _, variable in layer_variables(model):
        variable.assign(seeded(name, tuple(variable.shape)))
    path = tmp_path_factory.mktemp("ritm") / "ritm18s.safetensors"
    save_ported(path, ported, model, {"source": "random", "licence": "none"})
    return path


@pytest.mark.slow
def test_it_goes_to_int8_in_one_piece(weights: Path, folder: Callable[..., Path], tmp_path: Path,
                                      monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OACE_DATA", raising=False)
    out = tmp_path / "out"
    code = quantize.main(["--int8", "--weights", str(weights), "--size", str(SIDE), "--threads",
                          "1", "--images", str(folder("photographs", 3)), "--out", str(out)])
    report = json.loads((out / "report.json").read_text())
    assert code == (0 if report["passed"] else 1)
    # Random weights may disagree; the file's structure must not depend on them.
    assert all("agree" in failure or "empty" in failure for failure in report["failures"])
    assert len(report["delegates"]) == 1
    assert report["operators_outside_delegate"] == ["QUANTIZE"] * 3
    assert report["network"]["architecture"] == "ritm_hrnet18s"
    assert report["network"]["tensors_without_effect"] == 20
    assert 3.9e6 < report["params"] < 4.7e6 and 0.4 < report["gmac"] < 0.6
    assert report["agreement"]["n"] == 3
    models = check_models([out / "oace_int8.tflite"], 2)
    assert (models[0].kind, models[0].click_channels) == ("int8", 2)
    predict = open_predictor(models[0])
    assert isinstance(predict, Guided)
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3)).astype(np.uint8)
    found = predict(image, [Click(20, 20), Click(60, 40, False)])
    assert found.shape == (50, 70) and np.isfinite(found).all()


@pytest.mark.slow
def test_trunks_alone_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ported = Ported("efficientnet_lite0")
    path = tmp_path / "trunk.safetensors"
    save_ported(path, ported, build_ported(ported, 64, 1), {})
    (tmp_path / "photographs").mkdir()
    assert quantize.main(["--int8", "--weights", str(path), "--out", str(tmp_path / "out")]) == 2
    assert "which gives no mask by itself" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
