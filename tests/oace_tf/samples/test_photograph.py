"""Photographs of joined files: one whole name or one address is one photograph, a stem is none."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oace_tf.errors import UsageError
from oace_tf.images import write_image
from oace_tf.samples.coco import load_coco, read_coco_image
from oace_tf.samples.coco_index import CocoIndex
from oace_tf.samples.merged_coco import MergedCoco
from oace_tf.samples.photograph import address_of

H, W = 12, 20
HOST = "http://images.cocodataset.org"


def box(left: int) -> list[list[int]]:
    return [[left, 2, left + 4, 2, left + 4, 8, left, 8]]


def write(path: Path, images: list[dict[str, Any]], category: str, left: int = 2) -> Path:
    """Write a file with one object in each image, drawn at `left` + its id."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({
        "images": [{"id": k, "height": H, "width": W, **image}
                   for k, image in enumerate(images, start=1)],
        "annotations": [{"id": k, "image_id": k, "category_id": 1, "segmentation": box(left + k)}
                        for k in range(1, len(images) + 1)],
        "categories": [{"id": 1, "name": category}]}))
    return path


def content(paths: list[Path]) -> dict[str, list[tuple[str, int]]]:
    """Return for each photograph the categories on it and where they begin."""
    found: dict[str, list[tuple[str, int]]] = {}
    for image in MergedCoco(paths):
        name = image.path.as_posix().rpartition("/images/")[2]
        assert name not in found
        found[name] = [(one.category, one.segmentation[0][0]) for one in image.annotations]
    return found


def named(*names: str) -> list[dict[str, Any]]:
    return [{"file_name": name} for name in names]


def test_two_cameras_with_the_same_file_names(tmp_path):
    posts = write(tmp_path / "a.json", named("cam1/0001.png", "cam2/0001.png"), "post")
    balls = write(tmp_path / "b.json", named("cam1/0001.png", "./cam2/0001.png"), "ball", 10)
    assert content([posts, balls]) == {"cam1/0001.png": [("post", 3), ("ball", 11)],
                                       "cam2/0001.png": [("post", 4), ("ball", 12)]}


def test_one_camera_in_each_file(tmp_path):
    one = write(tmp_path / "a.json", named("cam1/0001.png"), "post")
    two = write(tmp_path / "b.json", named("cam2/0001.png"), "ball")
    assert content([one, two]) == {"cam1/0001.png": [("post", 3)], "cam2/0001.png": [("ball", 3)]}


def test_stems_that_differ_by_ending_or_case_are_two(tmp_path):
    one = write(tmp_path / "a.json", named("0001.png"), "post")
    two = write(tmp_path / "b.json", named("0001.jpg", "0001.PNG"), "ball")
    assert len(content([one, two])) == 3


def test_folders_of_two_exports_with_other_photographs_under_one_name(tmp_path):
    files = []
    for number, name in enumerate(("one", "two")):
        files.append(write(tmp_path / name / "instances.json", named("0001.png"), name,
                           2 + 8 * number))
        write_image(tmp_path / name / "images" / "0001.png", np.full((H, W, 3), number, np.uint8))
    joined = MergedCoco(files)
    assert [[a.category for a in image.annotations] for image in joined] == [["one"], ["two"]]
    # the same photograph, copied into both
    write_image(tmp_path / "two" / "images" / "0001.png", np.full((H, W, 3), 0, np.uint8))
    assert [[a.category for a in image.annotations]
            for image in MergedCoco(files)] == [["one", "two"]]


def test_addresses_count_where_both_have_one(tmp_path):
    one = write(tmp_path / "one" / "a.json",
                [{"file_name": "1.png", "coco_url": "http://host/cam1/1.png"}], "a")
    two = write(tmp_path / "two" / "b.json",
                [{"file_name": "1.png", "coco_url": "http://host/cam2/1.png"}], "b")
    three = write(tmp_path / "three" / "c.json",
                  [{"file_name": "other.png", "coco_url": "https://mirror/cam1/1.png"}], "c", 9)
    assert len(MergedCoco([one, two])) == 2 and len(MergedCoco([one, three])) == 1
    empty = write(tmp_path / "four" / "d.json", [{"file_name": "1.png", "coco_url": ""}], "d", 9)
    assert len(MergedCoco([one, empty])) == 1


def test_addresses():
    for url in (f"{HOST}/train2017/000000000009.jpg",
                "https://images.cocodataset.org/train2014/COCO_train2014_000000000009.jpg"):
        assert address_of({"coco_url": url}) == "000000000009"
    assert address_of({"coco_url": "http://host/a/000000000009.jpg"}) == "a/000000000009.jpg"
    for one, other in (("http://h/get?id=1", "http://h/get?id=2"),
                       ("http://cam1/1.png", "http://cam2/1.png"),
                       ("http://evilcocodataset.org/000000000009.jpg", f"{HOST}/000000000009.jpg")):
        assert address_of({"coco_url": one}) != address_of({"coco_url": other})
    for same in ("http://h/x/a%20b.png", "https://mirror/x/a b.png"):
        assert address_of({"coco_url": same}) == "x/a b.png"
    for nothing in (None, "", 0, "http://[", "http://host/"):
        assert address_of({"coco_url": nothing}) == ""


def test_addresses_told_apart_by_their_query(tmp_path):
    files = [write(tmp_path / f"{name}.json", [
        {"file_name": f"{name}{k}.png", "coco_url": f"http://host/get?id={k}"} for k in (1, 2)],
        name, left) for name, left in (("a", 2), ("b", 12))]
    assert content(files) == {f"a{k}.png": [("a", 2 + k), ("b", 12 + k)] for k in (1, 2)}


def test_two_hosts_with_other_photographs_under_one_address(tmp_path):
    files = []
    for number in (1, 2):
        files.append(write(tmp_path / str(number) / "a.json", [
            {"file_name": "x/1.png", "coco_url": f"http://cam{number}/x/1.png"}], str(number),
            2 + 8 * number))
        write_image(tmp_path / str(number) / "images" / "x" / "1.png",
                    np.full((H, W, 3), number, np.uint8))
    assert [[a.category for a in image.annotations]
            for image in MergedCoco(files)] == [["1"], ["2"]]


def test_two_addresses_on_one_file_are_refused(tmp_path):
    images = [{"coco_url": f"http://host/{folder}/1.png"} for folder in ("cam1", "cam2")]
    (tmp_path / "images").mkdir()
    both = write(tmp_path / "both.json", images, "a")
    for reader in (load_coco, CocoIndex):
        with pytest.raises(UsageError, match="both.json: images 1 and 2 both lie at .*1.png.*"):
            reader(both)
    one, two = (write(tmp_path / f"{k}.json", [image], "a") for k, image in enumerate(images))
    with pytest.raises(UsageError, match="0.json: image 1 and image 1 .* a folder of its own"):
        MergedCoco([one, two])


def test_one_name_twice_in_a_file(tmp_path, caplog):
    twice = write(tmp_path / "twice.json", named("0001.png", "0001.png"), "a")
    other = write(tmp_path / "other.json", named("0001.png"), "b")
    for reader in (load_coco, CocoIndex):
        caplog.clear()
        reader(twice)
        assert "images 1 and 2 both lie at" in caplog.text
    with pytest.raises(UsageError, match="twice.json: images 1 and 2 are both named 0001.png"):
        MergedCoco([twice, other])


@pytest.mark.parametrize("name", ["a\u202fPM.png", "a\xa0b.png", "\u200fx.png", "👩‍🚀.png",
                                  "a\\b.png", "100%20.png", "a\nb.png", "\x7f.png"])
def test_any_name_that_a_file_can_have(tmp_path, name):
    write_image(tmp_path / "images" / "x.png", np.zeros((H, W, 3), np.uint8))
    (tmp_path / "images" / "x.png").rename(tmp_path / "images" / name)
    path = write(tmp_path / "a.json", named(name), "a")
    image, = load_coco(path).images
    assert read_coco_image(image).shape == (H, W, 3)
    assert [one.path.name for one in MergedCoco([path])] == [name]


@pytest.mark.parametrize("name", ["a\0b.png", "\ud800.png", "x" * 300 + ".png", "a/" * 3000 + "b",
                                  "../a.png", "/a.png"])
def test_names_that_no_file_can_have(tmp_path, name):
    path = write(tmp_path / "a.json", named(name), "a")
    for reader in (load_coco, CocoIndex):
        with pytest.raises(UsageError, match="a.json: image 1: .*is no file name") as caught:
            reader(path)
        assert len(str(caught.value)) < 400 and str(caught.value).isprintable()


@pytest.mark.parametrize(("listed", "there", "words"), [
    ("cam1\\0001.png", "cam1/0001.png", "separated by /, not by a backslash"),
    ("my%20cat.png", "my cat.png", "%20 is no space"),
    ("a PM.png", "a\u202fPM.png", "no-break space"),
    ("a\u202fPM.png", "a PM.png", "no-break space"),
    ("\u200ea.png", "a.png", "mark of direction"),
    ("é.png", "e\u0301.png", "composed otherwise"), ("e\u0301.png", "é.png", "composed otherwise"),
    ("cam1\\2.png", "other.png", "separated by /"), ("a%20b.png", "other.png", "no address"),
    ("a.png", "other.png", "put it there")])
def test_what_is_wrong_with_a_name_is_told(tmp_path, listed, there, words):
    write_image(tmp_path / "images" / there, np.zeros((H, W, 3), np.uint8))
    image, = load_coco(write(tmp_path / "a.json", named(listed), "a")).images
    with pytest.raises(UsageError, match="no such file") as caught:
        read_coco_image(image)
    assert words in str(caught.value)
