"""COCO, labelme and SVG of polygons, read by others where they are installed."""
from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import cv2
import numpy as np
import pytest

from oace_tf.annotations import AnnotatedObject, AnnotatedPhotograph, as_coco, as_labelme, as_svg
from oace_tf.fileio import write_json
from oace_tf.polygons import polygons_of

HEIGHT, WIDTH = 90, 120


def _mask() -> np.ndarray:
    """Return a ring and a square."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(mask, (50, 45), 35, 1, -1)
    cv2.circle(mask, (50, 45), 15, 0, -1)
    mask[70:85, 100:115] = 1
    return mask.astype(bool)


def _photograph() -> AnnotatedPhotograph:
    polygons = polygons_of(_mask(), tolerance=0)
    return AnnotatedPhotograph(file_name="a/b.jpg", height=HEIGHT, width=WIDTH, objects=(
        AnnotatedObject(polygons=polygons, category="<cup>", name="left"),
        AnnotatedObject(polygons=polygons[1:])))


def test_coco_is_read_by_pycocotools(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    from oace_tf.samples.coco import decode_mask, load_coco

    content = json.loads(json.dumps(as_coco([_photograph(), _photograph()])))
    first = content["annotations"][0]
    write_json(tmp_path / "instances.json", content)
    ring, square, *_ = load_coco(tmp_path / "instances.json").images[0].annotations
    assert ring.fault == square.fault == ""
    decoded, mask = decode_mask(ring, HEIGHT, WIDTH).astype(bool), _mask()
    np.testing.assert_array_equal(decoded, mask)  # the hole too
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[70:85, 100:115] = True
    np.testing.assert_array_equal(decode_mask(square, HEIGHT, WIDTH).astype(bool), expected)
    assert first["area"] == mask.sum() and first["bbox"] == [15, 10, 100, 75]
    assert first["object"] == "left" and "object" not in content["annotations"][1]
    assert [a["id"] for a in content["annotations"]] == [1, 2, 3, 4]
    assert [a["image_id"] for a in content["annotations"]] == [1, 1, 2, 2]
    assert [c["name"] for c in content["categories"]] == ["<cup>", "object"]
    assert content["images"][1] == {"id": 2, "file_name": "a/b.jpg", "width": WIDTH,
                                    "height": HEIGHT}


def test_an_object_without_a_polygon_is_left_out() -> None:
    photograph = AnnotatedPhotograph(file_name="a.jpg", height=2, width=3,
                                     objects=(AnnotatedObject(polygons=()),))
    content = as_coco([photograph])
    assert content["annotations"] == [] and len(content["images"]) == 1
    assert as_labelme(photograph)["shapes"] == []


def test_labelme_draws_the_mask() -> None:
    content = as_labelme(_photograph())
    assert (content["imageHeight"], content["imageWidth"]) == (HEIGHT, WIDTH)
    assert content["imagePath"] == "a/b.jpg" and content["imageData"] is None
    assert [shape["group_id"] for shape in content["shapes"]] == [1, 1, 2]
    assert {shape["shape_type"] for shape in content["shapes"]} == {"polygon"}
    assert content["shapes"][0]["label"] == "<cup>"
    square = content["shapes"][2]["points"]
    assert sorted(square) == [[100, 70], [100, 85], [115, 70], [115, 85]]


def test_svg_is_of_the_photographs_size_and_has_holes() -> None:
    root = ElementTree.fromstring(as_svg(_photograph()))
    assert root.attrib["viewBox"] == f"0 0 {WIDTH} {HEIGHT}"
    paths = list(root)
    assert [path.attrib["fill-rule"] for path in paths] == ["evenodd"] * 2
    assert [path.attrib["d"].count("M") for path in paths] == [3, 1]
    assert [path[0].text for path in paths] == ["left", "object"]


def test_names_that_xml_cannot_hold() -> None:
    thing = AnnotatedObject(polygons=(), name="a\x01<b>\udcff\x0b")
    drawn = as_svg(AnnotatedPhotograph(file_name="a", height=4, width=4, objects=(thing,)))
    assert "<title>a\ufffd&lt;b&gt;\ufffd\ufffd</title>" in drawn
    assert ElementTree.fromstring(drawn.encode()) is not None
