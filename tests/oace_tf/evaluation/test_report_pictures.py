"""Pictures of single objects: outlines, tap, window, OACE."""
from __future__ import annotations

import numpy as np

from oace_tf.clicks import Click
from oace_tf.evaluation import report_pictures
from oace_tf.evaluation.object_trials import Answer, ObjectRecord


def _record(name: str, iou: float) -> ObjectRecord:
    return ObjectRecord(
        id=name, dataset="d", group=name, category="", frequency="", area_px=5, share=0.1,
        thinness=0.2,
        answers={"m": Answer(iou=[iou], boundary_iou=[iou], ms=[1.0], clicks=[[0, 0, 1]])})


def test_worst_and_median() -> None:
    records = [_record(str(k), k / 100) for k in (5, 3, 9, 1, 7)] + [_record("bad", float("nan"))]
    worst, median = report_pictures.worst_and_median(records, "m", 2)
    assert [record.id for record in worst] == ["bad", "1"]
    assert [record.id for record in median] == ["3", "5"]
    worst, median = report_pictures.worst_and_median(records[:1], "m")
    assert worst == median == records[:1]


def test_outlines_and_tap() -> None:
    image = np.full((60, 120, 3), 100, np.uint8)
    mask = np.zeros((60, 120), np.int8)
    mask[10:50, 10:50] = 1
    prediction = np.zeros(mask.shape, bool)
    prediction[10:50, 70:110] = True
    before = image.copy()
    picture = report_pictures.outlined(image, mask, prediction, [Click(30, 30)])
    np.testing.assert_array_equal(image, before)
    assert picture.shape == (130, 260, 3)
    scale = report_pictures.SIDE / 120

    def near(x: float, y: float, colour: tuple[int, ...]) -> bool:
        part = picture[int(scale * y) - 3:int(scale * y) + 4, int(scale * x) - 3:int(scale * x) + 4]
        return bool((np.abs(part.astype(int) - colour).max(axis=-1) < 60).any())

    assert near(10, 30, report_pictures.TRUE_COLOUR) and near(70, 30, report_pictures.FOUND_COLOUR)
    assert near(30, 30, report_pictures.TAP_COLOUR)
    assert not near(90, 30, report_pictures.FOUND_COLOUR)
    tall = report_pictures.outlined(image[:2, :1], mask[10:12, 10:11], prediction[:2, :1], [])
    assert tall.shape == (260, 130, 3)


def test_window() -> None:
    region = np.zeros((90, 120), bool)
    region[40:44, 2:6] = True
    assert report_pictures.window(region) == (slice(27, 57), slice(0, 40))  # a third, moved inside
    region[20:50, 60:100] = True
    assert report_pictures.window(region) == (slice(5, 65), slice(0, 120))
    assert report_pictures.window(~np.zeros((2, 3), bool)) == (slice(0, 2), slice(0, 3))


def test_oace_picture() -> None:
    oace = np.zeros((64, 64, 3), np.float32)
    oace[..., 0], oace[..., 1] = 1, -1
    oace[:, 48:] = 1
    whole = (slice(0, 90), slice(0, 120))
    picture = report_pictures.oace_picture(oace, (90, 120), whole, (32, 20))
    assert picture.shape == (20, 32, 3) and picture[5, 5].tolist() == [255, 0, 127]
    assert picture[5, 28].tolist() == [255, 255, 255]
    right = report_pictures.oace_picture(oace, (90, 120), (slice(3, 40), slice(90, 120)), (8, 8))
    assert (right == 255).all()
    assert report_pictures.data_uri(picture).startswith("data:image/jpeg;base64,/9j/")
