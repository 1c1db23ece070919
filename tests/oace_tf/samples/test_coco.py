"""COCO files: masks as pycocotools makes them, and every fault named before it gets there."""
import copy
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coding

from oace_tf.errors import UsageError
from oace_tf.images import write_image
from oace_tf.samples.coco import (
    CocoAnnotation,
    decode_mask,
    load_coco,
    read_coco_image,
    run_lengths,
)

H, W = 12, 20


def _mask(seed=0):
    mask = np.zeros((H, W), np.uint8)
    mask[3:9, 4:15] = 1
    mask[5, 6] = 0
    return np.roll(mask, seed, axis=1)


def _compressed(mask):
    code = coding.encode(np.asfortranarray(mask))
    return {"size": list(code["size"]), "counts": code["counts"].decode()}


def _uncompressed(mask):
    flat = np.concatenate([[0], mask.T.ravel(), [2]])
    edges = np.flatnonzero(np.diff(flat) != 0)
    counts = np.diff(np.concatenate([[0], edges])).tolist()
    return {"size": list(mask.shape), "counts": counts}


def _content():
    return {
        "images": [{"id": 7, "file_name": "a.png", "height": H, "width": W},
                   {"id": 3, "coco_url": "http://host/x/b.png", "height": H, "width": W}],
        "annotations": [
            {"id": 70, "image_id": 7, "category_id": 1, "iscrowd": 0, "area": 65.5,
             "segmentation": [[1.5, 1.5, 9.5, 1.5, 9.5, 8.5], [12, 2, 18, 2, 18, 9, 12, 9]]},
            {"id": 71, "image_id": 3, "category_id": 2, "segmentation": _compressed(_mask())},
            {"id": 72, "image_id": 7, "category_id": 2, "iscrowd": 1, "area": 65,
             "segmentation": _uncompressed(_mask(2))},
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "tree"}],
    }


def _write(folder, content):
    path = folder / "instances.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # pycocotools 2.0.11's decode
def test_a_good_file(tmp_path):
    dataset = load_coco(_write(tmp_path, _content()))
    first, second = dataset.images
    assert (first.id, first.height, first.width) == (7, H, W)
    assert first.path == tmp_path / "images" / "a.png"
    assert second.path == tmp_path / "images" / "b.png"
    polygons, crowd = first.annotations
    assert (polygons.id, polygons.category, polygons.iscrowd, polygons.area) == (
        70, "cat", False, 65.5)
    assert (crowd.id, crowd.category, crowd.iscrowd) == (72, "tree", True)
    (compressed,) = second.annotations
    assert compressed.area == 65  # counted, the record has none
    np.testing.assert_array_equal(decode_mask(compressed, H, W), _mask())
    np.testing.assert_array_equal(decode_mask(crowd, H, W), _mask(2))
    parts = coding.frPyObjects(polygons.segmentation, H, W)
    found = decode_mask(polygons, H, W)
    np.testing.assert_array_equal(found, coding.decode(coding.merge(parts)))
    assert found.dtype == np.uint8 and found.flags.c_contiguous and 50 < found.sum() < 90


def test_categories_may_be_missing_and_the_folder_named(tmp_path):
    content = _content()
    del content["categories"]
    dataset = load_coco(_write(tmp_path, content), tmp_path / "elsewhere")
    assert dataset.images[0].path == tmp_path / "elsewhere" / "a.png"
    assert dataset.images[0].annotations[0].category == ""


def _change(*path_and_value):
    """Return a function that puts a value at a path of a file's content; `...` removes it."""
    *path, last, value = path_and_value

    def change(content):
        for step in path:
            content = content[step]
        if value is ...:
            del content[last]
        else:
            content[last] = value
    return change


FAULTS = {  # name: (change, what the message must say)
    "short code": (_change("annotations", 1, "segmentation", "counts", "03"),
                   "annotation 71.*sum to 3, expected 240"),
    "cut code": (_change("annotations", 1, "segmentation", "counts", "0P"), "71.*cut short"),
    "empty code": (_change("annotations", 1, "segmentation", "counts", ""), "71.*empty"),
    "foreign code": (_change("annotations", 1, "segmentation", "counts", "0 é"), "71.*character"),
    "lone surrogate": (_change("annotations", 1, "segmentation", "counts", "\ud800"), "71"),
    "endless length": (_change("annotations", 1, "segmentation", "counts", "o" * 12 + "0"),
                       "71.*32 bits"),
    "negative length": (_change("annotations", 1, "segmentation", "counts", "0N"), "71.*negative"),
    "no counts": (_change("annotations", 1, "segmentation", "counts", ...), "71.*run lengths"),
    "short list": (_change("annotations", 2, "segmentation", "counts", [100, 100]),
                   "72.*sum to 200, expected 240"),
    "negative list": (_change("annotations", 2, "segmentation", "counts", [250, -10]), "72"),
    "fractions": (_change("annotations", 2, "segmentation", "counts", [120.0, 120]), "72"),
    "truth values": (_change("annotations", 2, "segmentation", "counts", [239, True]), "72"),
    "empty list": (_change("annotations", 2, "segmentation", "counts", []), "72"),
    "other size": (_change("annotations", 1, "segmentation", "size", [W, H]),
                   r"71.*\[20, 12\] is not its image's \[12, 20\]"),
    "no size": (_change("annotations", 2, "segmentation", "size", ...), "72.*size None"),
    "odd polygon": (_change("annotations", 0, "segmentation", 0, [1, 1, 5, 1, 5, 5, 3]),
                    "70.*7 numbers"),
    "two corners": (_change("annotations", 0, "segmentation", 1, [1, 1, 5, 1]), "70.*4 numbers"),
    "no polygons": (_change("annotations", 0, "segmentation", []), "70.*no mask"),
    "flat polygon": (_change("annotations", 0, "segmentation", [1, 1, 5, 1, 5, 5]), "70.*polygon"),
    "text in polygon": (_change("annotations", 0, "segmentation", 0, 2, "9"), "70.*finite"),
    "far polygon": (_change("annotations", 0, "segmentation", 0, 2, 1e9), "70.*far outside"),
    "huge number": (_change("annotations", 0, "segmentation", 0, 2, 10**400), "70.*finite"),
    "no mask": (_change("annotations", 0, "segmentation", ...), "70.*no mask"),
    "unknown image": (_change("annotations", 1, "image_id", 99), "71.*image_id 99"),
    "unknown category": (_change("annotations", 1, "category_id", 9), "71.*category_id 9"),
    "annotation twice": (_change("annotations", 1, "id", 70), "annotation 70.*twice"),
    "image twice": (_change("images", 1, "id", 7), "image 7.*twice"),
    "category twice": (_change("categories", 1, "id", 1), "category 1.*twice"),
    "no id": (_change("annotations", 2, "id", ...), "annotation number 2 of the list"),
    "id as text": (_change("images", 0, "id", "7"), "image '7'.*whole number"),
    "no record": (_change("annotations", 1, 5), "annotation number 1.*no object"),
    "crowd": (_change("annotations", 0, "iscrowd", 2), "70.*iscrowd"),
    "area": (_change("annotations", 0, "area", "65"), "70.*area"),
    "no height": (_change("images", 0, "height", ...), "image 7.*height"),
    "empty image": (_change("images", 0, "height", 0), "image 7.*20x0"),
    "endless image": (_change("images", 0, "height", 10**9), "image 7"),
    "out of the folder": (_change("images", 0, "file_name", "../a.png"), "image 7.*inside"),
    "absolute": (_change("images", 0, "file_name", "/etc/passwd"), "image 7.*inside"),
    "zero byte": (_change("images", 0, "file_name", "a\0.png"), "image 7.*inside"),
    "no name": (_change("images", 1, "coco_url", ...), "image 3.*coco_url"),
    "no images": (_change("images", []), "lists no images"),
    "images missing": (_change("images", ...), "list named images"),
    "annotations missing": (_change("annotations", {}), "list named annotations"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_named(tmp_path, name):
    change, words = FAULTS[name]
    content = copy.deepcopy(_content())
    change(content)
    path = _write(tmp_path, content)
    with pytest.raises(UsageError, match=words) as caught:
        load_coco(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message and len(message) < 400


@pytest.mark.parametrize("text, words", [
    ("[]", "not a COCO file"),
    ('{"images": [], "images": []}', "stands twice"),
    (json.dumps(_content()).replace("65.5", "NaN"), "NaN"),
    (json.dumps(_content()).replace("9.5", "1e999", 1), "too large"),
    (json.dumps(_content())[:-5], "not valid JSON"),
])
def test_faults_of_the_file(tmp_path, text, words):
    with pytest.raises(UsageError, match=words):
        load_coco(_write(tmp_path, text))
    with pytest.raises(UsageError, match="cannot read"):
        load_coco(tmp_path / "missing.json")


def test_images_are_checked_when_read(tmp_path):
    dataset = load_coco(_write(tmp_path, _content()), tmp_path)
    good, wrong = dataset.images
    write_image(good.path, np.zeros((H, W, 3), np.uint8))
    write_image(wrong.path, np.zeros((W, H, 3), np.uint8))
    assert read_coco_image(good).shape == (H, W, 3)
    with pytest.raises(UsageError, match=r"b.png has 12x20 pixels.*\(image 3\) says 20x12"):
        read_coco_image(wrong)
    good.path.write_bytes(b"damaged")
    with pytest.raises(UsageError, match="a.png is not a readable image"):
        read_coco_image(good)


def test_decode_checks_the_size_too():
    annotation = CocoAnnotation(id=5, category="", iscrowd=False, area=1.0,
                                segmentation=_compressed(_mask()))
    with pytest.raises(UsageError, match="annotation 5.*size"):
        decode_mask(annotation, W, H)


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_run_lengths_as_pycocotools_codes_them(height, width, share, seed):
    mask = (np.random.default_rng(seed).random((height, width)) < share).astype(np.uint8)
    code = _compressed(mask)
    annotation = CocoAnnotation(id=1, category="", iscrowd=False, area=1.0, segmentation=code)
    np.testing.assert_array_equal(decode_mask(annotation, height, width), mask)
    assert run_lengths(code["counts"]).tolist() == _uncompressed(mask)["counts"] or mask[0, 0]
    listed = CocoAnnotation(id=1, category="", iscrowd=False, area=1.0,
                            segmentation=_uncompressed(mask))
    np.testing.assert_array_equal(decode_mask(listed, height, width), mask)


def test_long_runs():
    mask = np.zeros((1500, 2000), np.uint8)
    mask[:, 1000:] = 1
    assert run_lengths(_compressed(mask)["counts"]).tolist() == [1_500_000, 1_500_000]


@given(st.text(max_size=12))
@settings(max_examples=60, deadline=None)
def test_any_code_is_lengths_or_a_value_error(code):
    try:
        assert (run_lengths(code) >= 0).all()
    except ValueError:
        pass
