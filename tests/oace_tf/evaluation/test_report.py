"""The page: whole, self-contained, well-formed; its cases, outlines and charts."""
from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from oace_tf import evaluate
from oace_tf.clicks import Click
from oace_tf.evaluation import charts, report_pictures
from oace_tf.evaluation.object_trials import Answer, ObjectRecord

VOID = {"meta", "img", "br"}


class _Nesting(HTMLParser):
    """Checks that every tag is closed in order, and collects what is addressed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value or "" for key, value in attrs if key in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)


def test_page(data: Path, tmp_path: Path, tiny_int8: Path, tiny_float32: Path) -> None:
    odd = tmp_path / "<tiny> & co.tflite"
    odd.write_bytes(tiny_int8.read_bytes())
    page = tmp_path / "page.html"
    assert evaluate.main([str(word) for word in [
        "--data", data, "--dataset", "many", "grabcut", "--workers", 1, "--clicks", 3,
        "--spread-taps", 2, "--baselines", "disk", "--model", odd, tiny_float32,
        "--html", page]]) == 0
    text = page.read_text()
    reader = _Nesting()
    reader.feed(text)
    assert reader.open == [] and reader.tags.count("svg") == 4
    # two sets, two models, worst and median, four and three objects
    assert reader.tags.count("img") == 2 * 2 * (4 + 3) == len(reader.addresses)
    assert all(address.startswith("data:image/jpeg;base64,") for address in reader.addresses)
    text = re.sub("base64,[^\"]*", "", text)
    assert "<script" not in text and "http" not in text and "nan" not in text.lower()
    assert "<tiny>" not in text and "&lt;tiny&gt; &amp; co" in text
    assert "many: 4 objects in 2 photographs" in text and "grabcut: 3 of 50 objects" in text
    assert "No pictures of the OACE" in text and "Paired differences" in text
    for svg in re.findall(r"<svg.*?</svg>", text):
        ElementTree.fromstring(svg)
    assert not list(tmp_path.glob("*.journal"))


def _record(name: str, iou: float) -> ObjectRecord:
    return ObjectRecord(name, "d", name, "", "", 5, 0.1, 0.2,
                        {"m": Answer([iou], [iou], [1.0], [[0, 0, 1]])})


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


def test_charts() -> None:
    colours = {"a": "#111", "b": "#222"}
    svg = ElementTree.fromstring(charts.curves(
        "t", {"a": [(1, 0.0), (2, 100.0)]}, {"a": [(0.0, 10.0), (90.0, 100.0)]}, {"b": 50.0},
        colours, 2))
    (line,) = svg.iter("polyline")
    (x1, y1), (x2, y2) = [map(float, spot.split(",")) for spot in line.attrib["points"].split()]
    assert x1 < x2 and y1 > y2 > 14
    bars = [float(bar.attrib["height"]) for bar in ElementTree.fromstring(charts.histogram(
        "t", {"a": np.array([0.0, 1.0, 1.0, np.nan])}, colours)).iter("rect")]
    assert len(bars) == charts.BINS and bars[0] * 2 == pytest.approx(bars[-1], abs=0.2)
    assert sum(bar > 0 for bar in bars) == 2
    assert charts.curves("t", {}, {}, {}, {}, 1)
