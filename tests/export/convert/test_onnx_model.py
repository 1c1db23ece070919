"""Graphs that are not of this project: their inputs' roles, and the road through onnx2tf."""
from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export import port
from oace_tf.clicks import Click, draw_disks, pack_points
from oace_tf.runtime.model import open_model
from tests.export import click_model

onnx = pytest.importorskip("onnx")
SIDE = click_model.SIDE


def write(folder: Path, **options: Any) -> Path:
    path = folder / "click.onnx"
    path.write_bytes(click_model.build(**options).SerializeToString())
    return path


def need_onnx2tf() -> None:
    # Not imported here: it lifts the limit of recursion of the whole process.
    if importlib.util.find_spec("onnx2tf") is None:
        pytest.skip("the extra `port` is not installed")


@pytest.mark.slow
def test_onnxruntime_and_the_file_agree(tmp_path: Path) -> None:
    need_onnx2tf()
    onnxruntime = pytest.importorskip("onnxruntime")
    from export.convert.onnx_model import convert_onnx
    from oace_tf.workers import apart

    path, before = write(tmp_path), click_model.build().SerializeToString()
    made: Any = apart(convert_onnx, path, None, 4, SIDE, tmp_path / "float.tflite")
    assert path.read_bytes() == before  # onnxsim would have written into it
    assert made.click_channels == 2 and made.gmac > 0 and made.params > 0
    model = open_model(tmp_path / "float.tflite")
    assert model.takes_previous and model.size == SIDE
    rng = np.random.default_rng(6)
    image = rng.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    points = pack_points([Click(12, 40), Click(50, 20.5, False)], 4)
    previous = rng.random((SIDE, SIDE)).astype(np.float32)
    disks = np.stack([draw_disks(points, (SIDE, SIDE), label) > 0 for label in (1.0, 0.0)])
    session = onnxruntime.InferenceSession(before, providers=["CPUExecutionProvider"])
    logits = session.run(None, {
        "rgb": (image / 255).astype(np.float32).transpose(2, 0, 1)[None],
        "coords": disks[None].astype(np.float32), "prev": previous[None, None]})[0][0, 0]
    found = model.run(image, points, previous)
    assert np.abs(found - 1 / (1 + np.exp(-logits))).max() < 1e-5  # measured: 5e-7
    assert found.std() > 0.05


@pytest.mark.slow
def test_a_foreign_graph_goes_to_int8_through_the_same_gate(
        tmp_path: Path, folder: Any, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    need_onnx2tf()
    monkeypatch.delenv("OACE_DATA", raising=False)
    path, out = write(tmp_path), tmp_path / "out"
    code = port.main([str(path), "--via", "onnx2tf", "--int8", "--out", str(out), "--threads", "1",
                      "--size", str(SIDE), "--images", str(folder("photographs", 4))])
    report = json.loads((out / "report.json").read_text())
    assert code == (0 if report["passed"] else 1), capsys.readouterr()
    assert report["network"]["trunk"] == "onnx" and report["network"]["range"] == "unit"
    assert report["agreement"]["n"] == 4 and report["calibration"]["images"] == 4
    assert report["agreement"]["mean_iou"] > 0.8
    model = open_model(out / "oace_int8.tflite")
    assert model.quantized and model.takes_previous
