"""Masks against what their records say of them: contradictions are named, differences are not."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oace_tf.errors import UsageError
from oace_tf.samples.coco import decode_mask, load_coco
from oace_tf.samples.coco_index import CocoIndex
from oace_tf.samples.contradictions import contradiction

H, W = 40, 60
BOX = [10, 5, 30, 20]  # left, top, width, height
POLYGON = [[10, 5, 40, 5, 40, 25, 10, 25]]


def runs(mask: np.ndarray) -> list[int]:
    """Return the run lengths of a mask, slowly."""
    counts, value = [0], 0
    for pixel in mask.T.ravel().tolist():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return counts


def mask() -> np.ndarray:
    found = np.zeros((H, W), np.uint8)
    found[5:25, 10:40] = 1
    return found


def coded(counts: list[int]) -> dict[str, Any]:
    return {"size": [H, W], "counts": counts}


def write(path: Path, **record: Any) -> Path:
    path.write_text(json.dumps({
        "images": [{"id": 1, "file_name": "a.png", "height": H, "width": W}],
        "annotations": [{"id": 7, "image_id": 1, "category_id": 1, **record}],
        "categories": [{"id": 1, "name": "thing"}]}))
    return path


@pytest.mark.parametrize(("record", "words"), (
    ({"segmentation": [[x / n for x, n in zip(POLYGON[0], (W, H) * 4)]]}, "shares of the picture"),
    ({"segmentation": [[0.1, 0.2, 0.5, 0.2, 0.5, 0.9]], "bbox": [0.1, 0.2, 0.4, 0.7], "area": 0.1},
     "shares of the picture"),
    ({"segmentation": [[100 * x / n for x, n in zip(POLYGON[0], (W, H) * 4)]], "bbox": BOX},
     "its bbox"),  # percent
    ({"segmentation": [runs(mask())[:-1] + [runs(mask())[-1] - 10, 10]]}, "run lengths, not a p"),
    ({"segmentation": coded([0, *runs(mask())]), "bbox": BOX}, "background first"),
    ({"segmentation": coded([0, *runs(mask())]), "area": 600}, "its area says 600"),
    ({"segmentation": coded(runs(mask().reshape(W, H).T)), "bbox": BOX}, "its bbox"),  # by rows
    ({"segmentation": [[y for pair in zip(POLYGON[0][1::2], POLYGON[0][::2]) for y in pair]],
      "bbox": BOX}, "its bbox"),  # y before x
    ({"segmentation": POLYGON, "area": 2400}, "its area says 2400"),  # of a larger picture
    ({"segmentation": POLYGON, "bbox": [20, 10, 60, 40]}, "its bbox"),
    ({"segmentation": coded([H * W]), "area": 600}, "has 0 px"),
))
def test_contradictions_are_named_by_both_readers(tmp_path, record, words):
    path = write(tmp_path / "a.json", **record)
    with pytest.raises(UsageError) as caught:
        load_coco(path)
    assert "a.json: annotation 7: " in str(caught.value) and words in str(caught.value)
    index = CocoIndex(path)
    with pytest.raises(UsageError) as again:
        index.annotations(index.at(0))
    assert str(again.value) == str(caught.value)
    kept, = load_coco(path, strict=False).images[0].annotations
    with pytest.raises(UsageError) as later:
        decode_mask(kept, H, W)
    assert str(later.value) == str(caught.value)


@pytest.mark.parametrize("record", (
    {"segmentation": POLYGON, "bbox": BOX, "area": 600},
    {"segmentation": coded(runs(mask())), "bbox": BOX, "area": 600},
    {"segmentation": coded(runs(mask())), "bbox": [9.2, 4.1, 31.5, 21.7], "area": 641.5},
    {"segmentation": [[10, 5, 40, 25, 41, 26]], "bbox": BOX, "area": 600},  # that of the bbox
    {"segmentation": [[40, 20, 100, 20, 100, 60, 40, 60]], "bbox": [40, 20, 60, 40],
     "area": 2400},  # it goes on outside
    {"segmentation": POLYGON, "bbox": [], "area": 0}, {"segmentation": POLYGON, "bbox": None},
    {"segmentation": coded([H * W]), "bbox": [0, 0, 0, 0], "area": 0},
    {"segmentation": [[0, 0, 1, 0, 1, 2]], "bbox": [0, 0, 1, 2], "area": 1},
))
def test_what_tools_write_differently_is_no_contradiction(tmp_path, record):
    assert load_coco(write(tmp_path / "a.json", **record)).images[0].annotations[0].fault == ""


@given(st.integers(0, 2**32 - 1))
def test_bounds_of_run_lengths(seed):
    rng = np.random.default_rng(seed)
    drawn = (rng.random((9, 12)) < rng.random() ** 2).astype(np.uint8)
    if not drawn.any():
        return
    rows, columns = np.nonzero(drawn)
    box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
    counts = np.array(runs(drawn), np.int64)
    box = [int(value) for value in box]
    assert contradiction(None, counts, (9, 12), int(drawn.sum()), box) == ""


@pytest.mark.data
@pytest.mark.parametrize("reader", [load_coco, CocoIndex])
@pytest.mark.parametrize("side, largest, count, is_told", [
    (640, 100, 3, True), (640, 100.5, 3, False), (640, 100, 2, False), (200, 100, 3, False)])
def test_files_in_percent_are_told(tmp_path, caplog, reader, side, largest, count, is_told):
    path = tmp_path / "some.json"
    path.write_text(json.dumps({
        "images": [{"id": 1, "file_name": "a.png", "height": side, "width": 900}],
        "annotations": [{"id": k, "image_id": 1, "segmentation": [
            [10, 5, largest if not k else 40, 5, 40, 25]]} for k in range(count)]}))
    reader(path)
    told = f"all {count} polygons lie in 0..100 of pictures that are larger than 200 px"
    assert (told in caplog.text) == is_told


def test_no_real_label_contradicts_itself(oace_data):
    for name in ("coco_calibration", "val/coco_multi", "train/nuts"):
        assert load_coco(oace_data / name / "instances.json").images  # a contradiction raises
