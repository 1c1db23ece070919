"""The picture of the result: its panels and its record."""
from __future__ import annotations

from pathlib import Path

import pytest

from oace_tf import fileio
from oace_tf.images import read_image
from oace_tf.segmenter import DEFAULT_MODEL
from tests.oace_tf.conftest import tiny_int8  # noqa: F401  (fixture)
from tools.docs import picture as make_picture

ROOT = Path(__file__).resolve().parents[3]


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
