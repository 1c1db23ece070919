"""The index of a COCO file: what the whole reader finds, renewed with it, in little memory."""
from __future__ import annotations

import copy
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from oace_tf.errors import UsageError
from oace_tf.fileio import sha256_file
from oace_tf.samples import coco_index
from oace_tf.samples.coco import decode_mask, load_coco
from oace_tf.samples.coco_index import FOLDER, CocoIndex, IndexedImage
from oace_tf.training.sources import find_sources

SCRIPT = Path(__file__).with_name("index_memory.py")
BOX = [[1.5, 1.5, 9.5, 1.5, 9.5, 8.5]]
CONTENT: dict[str, Any] = {
    "info": {"year": 2017},
    "annotations": [
        {"id": 70, "image_id": 7, "category_id": 1, "area": 30, "segmentation": BOX},
        {"id": 71, "image_id": 3, "category_id": 2, "iscrowd": 1, "segmentation": BOX},
        {"id": 72, "image_id": 9, "category_id": 2, "segmentation": BOX},
        {"id": 73, "image_id": 7, "category_id": 2, "iscrowd": 1, "segmentation": BOX}],
    "images": [{"id": number, "file_name": f"größe {number}.png", "height": 12, "width": 20}
               for number in (9, 7, 3, 5)],
    "categories": [{"id": 1, "name": "Kätzchen"}, {"id": 2, "name": "tree", "frequency": "r"}],
}


def write(folder, content=CONTENT, name="some.json"):
    path = folder / name
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def changed(**changes):
    content = copy.deepcopy(CONTENT)
    for place, value in changes.items():
        kind, number, key = place.split("__")
        content[kind][int(number)][key] = value
    return content


def test_it_finds_what_the_whole_reader_finds(tmp_path):
    path = write(tmp_path)
    index, whole = CocoIndex(path), load_coco(path)
    assert (index.categories, index.frequencies) == (whole.categories, whole.frequencies)
    assert index.sha256 == sha256_file(path)
    images = {image.id: image for image in whole.images}
    assert len(index) == 2  # a crowd alone is no object
    for place, number in enumerate((7, 9)):
        found = index.at(place)
        expected = images[number]
        assert (found.id, found.path, found.height, found.width) == (
            number, expected.path, expected.height, expected.width)
        assert index.annotations(found) == expected.annotations
    with pytest.raises(IndexError):
        index.at(2)
    for number, has_object in ((7, True), (3, False)):
        name = f"größe {number}.png"
        record = IndexedImage(id=1, name=name, address="", path=images[number].path, height=12,
                              width=20)
        same = index.same(record)
        assert same is not None and same.id == number and index.has_object(record) == has_object
    assert index.same(dataclasses.replace(record, name="3.png", path=Path("3.png"))) is None
    index.close()


def test_the_index_is_built_once_and_again_when_the_file_changes(tmp_path, monkeypatch):
    built = []
    build = coco_index._build

    def noted(path, *rest):
        built.append(path)
        build(path, *rest)

    monkeypatch.setattr(coco_index, "_build", noted)
    path = write(tmp_path)
    CocoIndex(path).close()
    CocoIndex(path).close()
    assert built == [path]
    assert [p.name for p in (tmp_path / FOLDER).iterdir()] == ["some.json.sqlite"]
    write(tmp_path, changed(annotations__0__image_id=5))
    index = CocoIndex(path)
    assert len(built) == 2 and index.at(0).id == 5
    # the same size, another time
    index.close()
    os.utime(path, ns=(1, 1))
    CocoIndex(path).close()
    assert len(built) == 3
    # damaged: half of it, then rubbish
    place = tmp_path / FOLDER / "some.json.sqlite"
    for damaged in (place.read_bytes()[:100], b"rubbish" * 1000, b""):
        place.write_bytes(damaged)
        assert len(CocoIndex(path)) == 2
    assert len(built) == 6


def test_without_room_beside_the_file_the_cache_is_taken(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    folder.mkdir()
    path = write(folder)
    (folder / FOLDER).write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    index = CocoIndex(path)
    assert tmp_path / "cache" in index.index_path.parents and len(index) == 2
    (tmp_path / "cache2").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache2"))
    with pytest.raises(UsageError, match="no place for the index of .*some.json.*XDG_CACHE_HOME"):
        CocoIndex(path)


@pytest.mark.parametrize(("changes", "words"), (
    ({"images__0__id": 7}, "image 7: the id stands twice; correct or remove that image"),
    ({"annotations__1__id": 70}, "annotation 70: the id stands twice"),
    ({"annotations__1__id": 2**70}, "more than 64 bits"),
    ({"annotations__1__image_id": 77}, "annotation 71: image_id 77 is not among"),
    ({"annotations__1__category_id": 77}, "annotation 71: category_id 77 is not among"),
    ({"annotations__1__iscrowd": 2}, "annotation 71: iscrowd must be 0 or 1"),
    ({"annotations__1__image_id": "7"}, "annotation 71: image_id must be a whole number"),
    ({"images__0__width": 0}, "image 9: no image has 0x12 pixels"),
    ({"images__0__file_name": "../a.png"}, "is no file name inside"),
    ({"categories__0__name": 3}, "category 1: name must be a text"),
))
def test_faults_are_named_and_leave_no_index(tmp_path, changes, words):
    path = write(tmp_path, changed(**changes))
    with pytest.raises(UsageError, match="some.json") as caught:
        CocoIndex(path)
    assert words in str(caught.value)
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_files_that_are_none(tmp_path):
    for content, words in (({"images": [], "annotations": []}, "lists no images"),
                           ({**CONTENT, "annotations": []}, "no image with an object"),
                           ([1], "not a COCO file")):
        with pytest.raises(UsageError, match=words):
            CocoIndex(write(tmp_path, content))
    with pytest.raises(UsageError, match="none.json"):
        CocoIndex(tmp_path / "none.json")


def test_a_broken_mask_is_named_when_its_image_is_read(tmp_path):
    index = CocoIndex(write(tmp_path, changed(annotations__0__segmentation=[[1, 2, 3]])))
    with pytest.raises(UsageError, match="some.json: annotation 70: a polygon has 3 numbers"):
        index.annotations(index.at(0))
    assert len(index.annotations(index.at(1))) == 1


def test_a_file_that_changes_under_way_is_noticed(tmp_path):
    path = write(tmp_path)
    index = CocoIndex(path)
    path.write_text(path.read_text()[:40] + " " * 400)
    with pytest.raises(UsageError, match="was changed while it was in use"):
        index.annotations(index.at(0))


@pytest.mark.slow
def test_memory_does_not_grow_with_the_images(tmp_path):
    # COCO's 118,000 images with two objects each, against 1,180
    peaks = {}
    for images in (1180, 118000):
        done = subprocess.run([sys.executable, str(SCRIPT), str(tmp_path / f"{images}.json"),
                               str(images)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        peaks[images] = json.loads(done.stdout)
    assert peaks[118000]["images"] == 118000 and peaks[118000]["read"] == 500
    assert (tmp_path / "118000.json").stat().st_size > 40e6
    # measured: 6 MiB more, of about 75
    assert peaks[118000]["peak_mib"] < peaks[1180]["peak_mib"] + 20


# --- the same words from both readers


def told(reader, path):
    with pytest.raises(UsageError) as caught:
        reader(path)
    return str(caught.value)


@pytest.mark.parametrize("changes", (
    {"annotations__1__category_id": 1.0}, {"annotations__1__category_id": "1"},
    {"annotations__1__category_id": None}, {"annotations__1__category_id": 2**70},
    {"annotations__1__category_id": True}, {"annotations__1__id": 70}, {"images__0__id": 7},
    {"images__0__id": 2**63}, {"images__0__id": 7.0}, {"images__0__id": "x" * 5000},
    {"annotations__1__image_id": 2.0}, {"annotations__1__iscrowd": 3},
    {"images__0__file_name": 5}, {"images__0__height": "12"}, {"categories__0__id": "1"}))
def test_a_fault_is_told_in_the_same_words(tmp_path, changes):
    path = write(tmp_path, changed(**changes))
    assert told(load_coco, path) == told(CocoIndex, path)
    assert len(told(load_coco, path)) < len(str(path)) + 200


@pytest.mark.parametrize("key", ("images", "annotations", "categories"))
def test_what_is_no_record_is_told_in_the_same_words(tmp_path, key):
    path = write(tmp_path, {**changed(), key: ["cup"]})
    assert told(load_coco, path) == told(CocoIndex, path)


@pytest.mark.parametrize("damage", (
    lambda text: text[:-1] + ",}", lambda text: text.replace("]", ",]", 1),
    lambda text: text[:len(text) // 2], lambda text: text[:-2], lambda text: text + "x",
    lambda text: text.replace(":", "=", 1), lambda text: text.replace(",", ";", 1),
    lambda text: text.replace('"id"', "'id'", 1), lambda text: text.replace("70", "NaN", 1),
    lambda text: text.replace("70", "70.5.5", 1), lambda text: "", lambda text: "   ",
    lambda text: "[]", lambda text: "5", lambda text: '"a"', lambda text: "null",
    lambda text: text.replace("images", "pictures"), lambda text: text.replace("70", "01", 1),
    lambda text: text.replace('"annotations": [', '"annotations": {"a": ', 1),
    lambda text: '{"images": 5, "annotations": []}', lambda text: '{"annotations": []}',
    lambda text: '{"images": {}, "annotations": []}', lambda text: "\x00" + text,
    lambda text: "[" * 200000, lambda text: text[:30] + "[" * 200000,
    lambda text: text.replace("info", "images", 1)))
def test_damage_is_told_in_the_same_words(tmp_path, damage):
    path = tmp_path / "some.json"
    path.write_text(damage(json.dumps(CONTENT)))
    assert told(load_coco, path) == told(CocoIndex, path)


def test_a_byte_order_mark_is_read_over_or_named(tmp_path):
    path = tmp_path / "some.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(CONTENT).encode())
    index, whole = CocoIndex(path), load_coco(path)
    assert [image.id for image in whole.images] == [9, 7, 3, 5] and len(index) == 2
    assert index.annotations(index.at(0)) == tuple(
        one for image in whole.images if image.id == 7 for one in image.annotations)
    for coding in ("utf-16", "utf-16-be"):
        path.write_bytes(("\ufeff" if coding == "utf-16-be" else "").encode(coding)
                         + json.dumps(CONTENT).encode(coding))
        assert "it is UTF-16; save it as UTF-8" in told(CocoIndex, path) == told(load_coco, path)


def test_one_bad_mask_costs_one_image_in_both(tmp_path):
    path = write(tmp_path, changed(annotations__0__segmentation=[[1, 2, 3]]))
    source, = find_sources([path], {})
    joined = CocoIndex(path)
    small = {image.id: image for image in source.dataset.images}
    with pytest.raises(UsageError) as caught:
        decode_mask(small[7].annotations[0], 12, 20)
    with pytest.raises(UsageError) as again:
        joined.annotations(joined.at(0))
    assert str(caught.value) == str(again.value)
    assert decode_mask(small[9].annotations[0], 12, 20).any()


def test_leftovers_of_a_killed_run_are_cleared(tmp_path):
    write(tmp_path)
    (tmp_path / FOLDER).mkdir()
    old, young = (tmp_path / FOLDER / f".some.json.sqlite.{name}"
                  for name in ("abcd_123", "zzzzzzzz"))
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    CocoIndex(tmp_path / "some.json")
    assert not old.exists() and young.exists()


def test_names_that_are_no_utf8(tmp_path):
    content = copy.deepcopy(CONTENT)
    for number, record in enumerate(content["images"]):
        record["file_name"] = os.fsdecode(b"odd\xff%d.png" % number)
        record["coco_url"] = f"http://host/{record['file_name']}"
    path = tmp_path / "some.json"
    path.write_text(json.dumps(content))  # the bytes are escaped, as Python's own JSON does it
    index, small = CocoIndex(path), load_coco(path)
    paths = {image.id: image.path for image in small.images}
    assert len(index) == 2
    for place in range(2):
        image = index.at(place)
        assert image.path == paths[image.id]
        assert index.same(image) == image
