"""Float and int8 on the same taps: what is listed, what is compared, what is left out."""
from __future__ import annotations

from pathlib import Path

import pytest

from oace_tf.clicks import Click
from oace_tf.evaluation import float_int8
from oace_tf.evaluation.gate import baseline_rows
from oace_tf.evaluation.protocol import Record


def test_no_sets_no_files(tmp_path: Path) -> None:
    assert float_int8.labelled_files(tmp_path) == [] and float_int8.labelled_files(None) == []


@pytest.mark.data
def test_files_of_the_sets(oace_data: Path) -> None:
    found = float_int8.labelled_files(oace_data)
    assert {name: sum(file.dataset == name for file in found) for name in float_int8.SETS} == {
        "grabcut": 50, "ecssd": 200, "coco_mval": 160}


@pytest.mark.parametrize("workers", [1, 2])
def test_records(data: Path, tiny_int8: Path, tiny_float32: Path, workers: int) -> None:
    (data / "GrabCut" / "data_GT" / "p1.png").write_bytes(b"damaged")
    files = float_int8.labelled_files(data)
    found = list(float_int8.first_clicks(tiny_float32, tiny_int8, files, workers, ("disk",)))
    assert [type(one) for one in found] == [Record, str, Record] and "p1.png" in str(found[1])
    first = found[0]
    assert isinstance(first, Record) and first.click == Click(8, 8)
    assert set(first.iou) == {"float", "int8", "disk"} and first.agreement == 1


def test_baseline_rows() -> None:
    records = [Record(id=str(k), dataset=name, click=Click(0, 0), iou=iou,
                      seconds={}) for k, (name, iou) in enumerate([
        ("grabcut", {"float": 1.0, "disk": 0.25}), ("grabcut", {"float": 1.0, "disk": 0.75}),
        ("ecssd", {"float": 1.0})])]
    assert baseline_rows(records) == {"disk": {"dataset": "grabcut", "n": 2, "miou_at_1": 50.0}}
    assert baseline_rows(records[2:]) == {} == baseline_rows([])
