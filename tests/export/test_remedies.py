"""Remedies row by row, and both converters side by side, on the tiny pair and drawn objects."""
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from export import remedies, routes
from export.calibration import images as calibration_images
from export.quantization import agreement, on_objects
from tests.export.conftest import SIZE, liven


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a weights file of the tiny pair."""
    import keras

    from oace_tf.config import NetworkConfig
    from oace_tf.networks.pair import build_pair
    from oace_tf.networks.weights import save_weights

    keras.utils.set_random_seed(4)
    pair = build_pair(NetworkConfig.preset("tiny"), SIZE)
    liven(pair, 4)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(path, pair, {})
    return path


@pytest.fixture
def data(tmp_path: Path, folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with two drawn objects in each set, and stand-ins for what is large."""
    root = tmp_path / "data"
    for name in on_objects.SETS:
        for kind in ("img", "gt"):
            (root / name / kind).mkdir(parents=True)
        for number in range(2):
            picture, clicks = agreement.synthetic(np.random.default_rng(number))
            mask = np.zeros(picture.shape[:2], np.uint8)
            cv2.circle(mask, (int(clicks[0].x), int(clicks[0].y)), 30, 255, -1)
            stem = f"{number}_{number}" if name == "coco_mval" else f"{number}"
            cv2.imwrite(str(root / name / "img" / f"{stem}.jpg"), picture)
            cv2.imwrite(str(root / name / "gt" / f"{stem}.png"), mask)
    photographs = calibration_images.from_folder(folder("photographs", 3), 0)
    monkeypatch.setattr(calibration_images, "choose", lambda *args, **kwargs: (photographs, ()))
    for module in (remedies, routes):
        monkeypatch.setattr(module, "SIZE", SIZE)
        monkeypatch.setattr(module, "apart", lambda function, *args: function(*args))
    return root


def call(command: Any, *words: Any) -> int:
    return command.main([str(word) for word in words])


def test_rows_are_made_once(
    data: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "remedies.json"
    fixed = ("--out", out, "--weights", weights, "--data", data, "--objects", 2,
             "--keep", tmp_path / "kept")
    assert call(remedies, *fixed, "--recipe", "plain") == 0
    assert call(remedies, *fixed, "--recipe", "plain", "bias_corrected") == 0
    content = json.loads(out.read_text())
    assert [row["name"] for row in content["rows"]] == ["bias_corrected", "plain"]
    for row in content["rows"]:
        assert row["objects"] == 4 and 0 < row["agreement"] <= 1 and row["delegates"]
        assert row["outside"] == {"QUANTIZE": 2} and row["size_mb"] > 0
        assert row["drop_ci95"][0] <= row["drop_points"] <= row["drop_ci95"][1]
    made: list[str] = []
    monkeypatch.setattr(remedies, "measure", lambda chosen, *rest: made.append(chosen.name))
    assert call(remedies, *fixed, "--recipe", "plain") == 0 and made == []
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- remedies:begin -->\nold\n<!-- remedies:end -->\nb\n")
    assert call(remedies, *fixed, "--table", "--page", page) == 0
    assert "| plain |" in page.read_text() and "old" not in page.read_text()
    assert page.read_text().startswith("a\n") and page.read_text().endswith("-->\nb\n")
    page.write_text("no markers")
    assert call(remedies, *fixed, "--table", "--page", page) == 2
    assert "| plain |" in capsys.readouterr().out
    # Other weights: nothing of the old rows counts.
    assert remedies._earlier(out, "cd" * 32, 2) == [] and len(remedies._earlier(
        out, content["weights_sha256"], 2)) == 2
    assert call(remedies, *fixed, "--recipe", "fancy") == 2
    assert "no recipe 'fancy'" in capsys.readouterr().err


def test_differences_are_seen(data: Path, weights: Path) -> None:
    """A predictor that answers the truth drops nothing; one that answers nothing loses all."""
    files = on_objects.objects(data, 2)
    truth = [file.read().mask == 1 for file in files]
    answers = iter(truth)
    agreed, dropped, _ = on_objects.per_object(
        lambda image, clicks: next(answers).astype(np.float32), files, truth)
    assert (agreed == 1).all() and (dropped == 0).all()
    found = on_objects.compare(
        lambda image, clicks: np.zeros(image.shape[:2], np.float32), files, truth)
    assert found["agreement"] == 0 and found["drop_points"] == 100 and found["worst"] == 0


@pytest.mark.slow
def test_both_routes(
    data: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "routes.json"
    assert call(routes, "--out", out, "--weights", weights, "--data", data, "--objects", 2,
                "--images", 2) == 0
    rows = json.loads(out.read_text())["rows"]
    assert len(rows) == 3 and rows[-1]["route"] == "TensorFlow's converter"
    for row in rows:
        assert row["agreement"] > 0.5 and row["size_mb"] > 0 and row["seconds"] > 0
    assert rows[0]["delegates"] == 1 and rows[0]["outside"] == ["QUANTIZE", "QUANTIZE"]
    assert "TensorFlow's converter" in capsys.readouterr().out
