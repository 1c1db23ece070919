"""The measurement of --refine on drawn photographs with the tiny file."""
from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from docs import refine

TINY = Path(__file__).resolve().parents[1] / "golden" / "tiny_int8.tflite"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a folder with three photographs of GrabCut and of ECSSD."""
    for name, folders in (("GrabCut", ("data_GT", "boundary_GT")), ("val/ecssd", ("img", "gt"))):
        for number in range(3):
            image = np.full((180, 240, 3), 40, np.uint8)
            mask = np.zeros((180, 240), np.uint8)
            cv2.circle(mask, (80 + 30 * number, 90), 40, 255, -1)
            image[mask > 0] = (30, 30, 230)
            for folder, picture in zip(folders, (image, mask)):
                path = tmp_path / name / folder
                path.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path / f"{number}.png"), picture)
    return tmp_path


def test_figures(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "refine.json"
    words = ["--data", str(data), "--model", str(TINY), "--json", str(target)]
    assert refine.main(words) == 0
    entries = json.loads(target.read_text())
    assert [(e["scale"], e["dataset"], e["n"]) for e in entries] == [
        (scale, name, n) for scale in ("own", "large")
        for name, n in (("grabcut", 3), ("ecssd", 3), ("pooled", 6))]
    for entry in entries:
        for metric in ("boundary", "iou"):
            told = entry[metric]
            assert told["gain"] == pytest.approx(told["refined"] - told["plain"], abs=0.011)
            assert told["ci95"][0] <= told["gain"] <= told["ci95"][1]
    assert "boundary IoU" in capsys.readouterr().out
    # Settings are chosen without GrabCut.
    assert refine.main([*words, "--grid", "--every", "3"]) == 0
    entries = json.loads(target.read_text())
    assert {e["dataset"] for e in entries} == {"ecssd", "pooled"}
    assert len({(e["radius"], e["epsilon"]) for e in entries}) == len(refine.GRID)


def test_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refine.main(["--data", str(tmp_path)]) == 2
    assert "name the folder" in capsys.readouterr().err
