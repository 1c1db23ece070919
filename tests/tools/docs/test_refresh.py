"""Pictures, limits, model card: of the shipped file, and remade by one command."""
from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oace_tf import fileio
from oace_tf.clicks import Click
from oace_tf.errors import GateFailed, UsageError
from oace_tf.images import read_image
from oace_tf.segmenter import DEFAULT_MODEL
from tests.oace_tf.conftest import tiny_int8  # noqa: F401  (fixture)
from tools.docs import limits, model_card, refresh
from tools.docs import picture as make_picture

ROOT = Path(__file__).resolve().parents[3]


def test_what_is_committed_is_current() -> None:
    assert refresh.check(None) == 0


def test_a_picture_of_another_file_is_found_out(monkeypatch: pytest.MonkeyPatch,
                                                tmp_path: Path) -> None:
    sha256 = fileio.sha256_file(DEFAULT_MODEL)
    for name, value in (("result.json", sha256), ("limits.json", "0" * 64)):
        (tmp_path / name).write_text(json.dumps({"sha256": value}))
    monkeypatch.setattr(refresh, "IMAGES", tmp_path)
    with pytest.raises(GateFailed, match="limits.json.*tools/docs/refresh.py"):
        refresh.check(None)


def test_a_step_that_fails_ends_it(monkeypatch: pytest.MonkeyPatch,
                                   capsys: pytest.CaptureFixture[str]) -> None:
    called: list[str] = []

    def step(name: str, code: int) -> Callable[[list[str]], int]:
        def main(argv: list[str]) -> int:
            called.append(name)
            return code
        return main

    monkeypatch.setattr(make_picture, "main", step("picture", 2))
    monkeypatch.setattr(limits, "main", step("limits", 0))
    assert refresh.main([]) == 1
    assert called == ["picture"] and "tools/docs/picture.py failed" in capsys.readouterr().err


def test_the_result_has_four_panels_and_a_record(tmp_path: Path) -> None:
    out = tmp_path / "result.png"
    assert make_picture.main([str(ROOT / "docs/samples/coffee.jpg"), "--tap", "290,120", "--out",
                              str(out)]) == 0
    picture = read_image(out)
    assert picture.shape[1] == 1200 and abs(picture.shape[0] - 1200 * 400 / 2424) < 2
    second = picture[:, 305:595]  # the OACE: strong colours, unlike the photograph
    assert second.std() > 25  # a panel without a picture has 0
    record = fileio.read_json(tmp_path / "result.json")
    assert record == {"sha256": fileio.sha256_file(DEFAULT_MODEL), "photograph": "coffee.jpg",
                      "taps": [[290.0, 120.0, True]]}


def test_without_oace_three_panels(tmp_path: Path, tiny_int8: Path,  # noqa: F811
                                   capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "result.png"
    assert make_picture.main([str(ROOT / "docs/samples/coffee.jpg"), "--tap", "290,120", "--out",
                              str(out), "--model", str(tiny_int8), "--width", "9999"]) == 0
    assert read_image(out).shape == (400, 3 * 600 + 16, 3)
    assert "no panel of the OACE" in capsys.readouterr().err


def test_limits_show_every_case_twice() -> None:
    class Everything:
        def segment(self, image: np.ndarray, taps: list[Click]) -> np.ndarray:
            return np.zeros(image.shape[:2], bool)

    picture = limits.columns(Everything())  # type: ignore[arg-type]
    height = limits.HEIGHT
    assert picture.shape == (2 * height + 8, 2 * height + round(1.5 * height) + 16, 3)
    upper, lower = picture[:height].astype(float), picture[height + 8:].astype(float)
    assert lower.mean() < 0.6 * upper.mean()  # all is dimmed where nothing is found
    for case in limits.CASES:
        image = read_image(limits.SAMPLES / case.photograph)
        assert 0 <= case.tap.x < image.shape[1] and 0 <= case.tap.y < image.shape[0]


def test_table_by_thinness_and_size() -> None:
    found = {"n": 7, "miou_at": {"1": 12.5}}
    scores = {"entries": [
        {"kind": "baseline", "dataset": "grabcut", "groups": None},
        {"kind": "int8", "dataset": "coco",
         "groups": {"size": {"small": found}, "thinness": {"thin_parts": found}}},
        {"kind": "int8", "dataset": "bare", "groups": None}]}
    lines = limits.table(scores).splitlines()
    assert lines[2] == "| coco | 12.5 (7) | - | - | 12.5 (7) | - | - |"
    assert lines[3] == "| bare | - | - | - | - | - | - |" and len(lines) == 4


RECORD: dict[str, Any] = {"data": [{"name": "duts", "images": 4210, "share": 0.42},
                                   {"name": "new", "images": 3}], "scenes": 16800, "seed": 1}


def test_record_of_the_weights() -> None:
    text = model_card.record_block("w.safetensors", RECORD, "| `duts` | | `new` |")
    assert "| duts | 4210 | 42 % |" in text and "| new | 3 | - |" in text
    assert "16,800 scenes, seed 1." in text and "was not measured" in text
    assert "mean" not in text
    mean = {**RECORD, "mean_of": [{"share": 0.5}, {"share": 0.25}, {"share": 0.25}]}
    text = model_card.record_block("w.safetensors", mean, "| `duts` | | `new` |")
    assert "a mean of 3 trained weights, 50 % + 25 % + 25 %; a share" in text.splitlines()[0]
    with pytest.raises(UsageError, match="does not name the source `new`"):
        model_card.record_block("w.safetensors", RECORD, "| `duts` |")


def test_weights_by_their_sum(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no weights"):
        model_card.weights_of("0" * 64, tmp_path)


@pytest.mark.parametrize("document", ["README.md", "MODEL_CARD.md", "docs/demo.md",
                                      "docs/samples/README.md", "docs/weights_licence.md"])
def test_links_lead_somewhere(document: str) -> None:
    path = ROOT / document
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:")):
            assert (path.parent / target).exists(), f"{document}: {target}"
