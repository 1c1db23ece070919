"""The contact sheet: the list is read, crumbs are counted, pictures and record are written."""
from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from oace_tf.clicks import Click
from oace_tf.errors import UsageError
from oace_tf.evaluation.crumbs import Crumbs
from oace_tf.images import read_image, write_image
from tests.oace_tf.conftest import data, picture, tiny_float32, tiny_int8  # noqa: F401  (fixtures)
from tools.docs import contact_sheet


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """Return a list of one photograph of each kind."""
    path = tmp_path / "everyday.json"
    write_image(tmp_path / "samples" / "red.png", picture((4, 4, 20, 28))[0])
    path.write_text(json.dumps([
        {"set": "grabcut", "id": "p1", "taps": [[17, 14]]},
        {"set": "many", "id": "2:21", "taps": [[24, 17], [20, 15]]},
        {"set": "samples", "id": "red.png", "taps": [[15, 12]]}]))
    return path


def test_the_list_is_read(listed: Path, data: Path) -> None:  # noqa: F811
    found = contact_sheet.read_list(listed, data)
    assert [photograph.name for photograph in found] == ["p1", "2:21", "red.png"]
    assert found[1].taps == (Click(24, 17), Click(20, 15))
    assert found[0].mask is not None and found[0].mask[14, 17] == 1 and found[2].mask is None


@pytest.mark.parametrize(("text", "word"), [
    ("[{}]", "no list"), ('[{"set": "grabcut", "id": "no", "taps": []}]', "has no no"),
    ('[{"set": "samples", "id": "no.png", "taps": [[1, 1]]}]', "no.png"),
    ('[{"set": "grabcut", "id": "p1", "taps": [1]}]', "no list")])
def test_wrong_lists(listed: Path, data: Path, text: str, word: str) -> None:  # noqa: F811
    listed.write_text(text)
    with pytest.raises(UsageError, match=word):
        contact_sheet.read_list(listed, data)


def test_sheet_and_record(listed: Path, data: Path, tiny_int8: Path,  # noqa: F811
                          tiny_float32: Path, tmp_path: Path,  # noqa: F811
                          capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "sheet.png"
    words = [str(tiny_int8), str(tiny_float32), "--out", str(out), "--list", str(listed), "--data",
             str(data), "--count", "2"]
    assert contact_sheet.main(words) == 0
    shown = capsys.readouterr().out
    assert "before: tiny_int8.tflite: crumbs in 0 % of 3 masks" in shown
    assert "after: tiny_float32.tflite, tidy: " in shown
    sheet = read_image(out)
    assert sheet.shape[0] > contact_sheet.HEIGHT and sheet.shape[1] > 6 * contact_sheet.WIDTH
    record = json.loads(out.with_suffix(".json").read_text())
    assert record["before"]["tidy"] is False and record["after"]["tidy"] is True
    assert record["before"]["n"] == 3 and record["before"]["miou"] > 40
    assert [row["id"] for row in record["photographs"]] == ["p1", "2:21", "red.png"]
    assert record["photographs"][2]["after"]["iou"] is None
    assert contact_sheet.main([*words, "--count", "0"]) == 2


def test_words_for_crumbs() -> None:
    assert contact_sheet.crumbs_text(Crumbs(0, 0)) == "no crumbs"
    assert contact_sheet.crumbs_text(Crumbs(1, 2)) == "1 piece, 2 holes"
    sheet = np.full((60, 200, 3), 255, np.uint8)
    assert contact_sheet.write(sheet, "", 3, 30, (0, 0, 0), 0.5) == 3
    end = contact_sheet.write(sheet, "IoU 93", 3, 30, (0, 0, 0), 0.5)
    assert 20 < end < 120 and (sheet[:, 3:end] < 128).any() and (sheet[:, end + 2:] == 255).all()


def test_the_committed_list() -> None:
    rows = json.loads(contact_sheet.LIST.read_text())
    assert len(rows) == 40 == len({(row["set"], row["id"]) for row in rows})
    assert all(row["taps"] for row in rows)


def test_the_committed_list_is_at_hand(oace_data: Path) -> None:
    for photograph in contact_sheet.read_list(contact_sheet.LIST, oace_data):
        if photograph.mask is not None:
            assert all(photograph.mask[round(t.y), round(t.x)] == 1 for t in photograph.taps)


@pytest.fixture
def oace_data(request: pytest.FixtureRequest) -> Path:
    """Return the folder of the sets, or skip."""
    if not os.environ.get("OACE_DATA"):
        pytest.skip("OACE_DATA is not set: no photographs to test with")
    return Path(os.environ["OACE_DATA"])
