"""The evaluation sets on disk: grey values, order, and what happens when a file is bad."""
import json
import os

import numpy as np
import pytest
from PIL import Image

from oace_tf.errors import UsageError
from oace_tf.evaluation.tables import listing
from oace_tf.images import write_image
from oace_tf.samples.layouts import available, find_dataset, iter_samples, list_samples

SHAPE = (6, 8)
GREYS = [0, 1, 127, 128, 129, 255]


def _put(folder, stem, mask, size=None):
    images, masks = folder
    write_image(images / f"{stem}.jpg", np.full((*(size or mask.shape), 3), 90, np.uint8))
    write_image(masks / f"{stem}.png", mask)


def _grey_rows():
    return np.repeat(np.array(GREYS, np.uint8)[:, None], SHAPE[1], axis=1)


@pytest.mark.parametrize("place, images, masks, expected", [
    ("GrabCut", "data_GT", "boundary_GT", [0, 0, 0, -1, 1, 1]),
    ("val/ecssd", "img", "gt", [0, 0, 0, 1, 1, 1]),
    ("val/COCO_MVal", "img", "gt", [0, 1, 1, 1, 1, 1]),
])
def test_grey_values(tmp_path, place, images, masks, expected):
    folder = tmp_path / place / images, tmp_path / place / masks
    for stem in ("b 2", "a"):
        _put(folder, stem, _grey_rows())
    name = place.split("/")[-1].lower()
    samples = list(iter_samples(name, tmp_path))
    assert [sample.id for sample in samples] == ["a", "b 2"]
    for sample in samples:
        assert sample.dataset == name
        assert sample.image.shape == (*SHAPE, 3) and sample.image.dtype == np.uint8
        assert sample.mask.dtype == np.int8
        np.testing.assert_array_equal(sample.mask[:, 0], expected)


@pytest.fixture
def ecssd(tmp_path):
    folder = tmp_path / "ecssd" / "img", tmp_path / "ecssd" / "gt"
    for stem in "abcd":
        _put(folder, stem, _grey_rows())
    return folder


def test_bad_samples_are_told_and_left_out(tmp_path, ecssd):
    (ecssd[0] / "b.jpg").write_bytes(b"damaged")
    _put(ecssd, "c", _grey_rows(), size=(8, 6))
    write_image(ecssd[1] / "d.png", np.zeros(SHAPE, np.uint8))
    told: list = []
    samples = list(iter_samples("ecssd", tmp_path, told.append))
    assert [sample.id for sample in samples] == ["a"]
    assert len(told) == 3
    for error, words in zip(told, ("b.jpg is not a readable", "c.png has 8x6", "d has no object")):
        assert words in str(error)
    with pytest.raises(UsageError, match="b.jpg"):
        list(iter_samples("ecssd", tmp_path))


def test_sets_that_are_not_whole(tmp_path, ecssd):
    (ecssd[1] / "b.png").rename(tmp_path / "b.png")
    with pytest.raises(UsageError, match="b.jpg has no mask"):
        list_samples("ecssd", tmp_path)
    (tmp_path / "b.png").rename(ecssd[0] / "b.png")
    with pytest.raises(UsageError, match="one sample twice"):
        list_samples("ecssd", tmp_path)
    (tmp_path / "grabcut" / "data_GT").mkdir(parents=True)
    with pytest.raises(UsageError, match="holds no images"):
        list_samples("grabcut", tmp_path)
    (tmp_path / "coco_mval").mkdir()
    with pytest.raises(UsageError, match="is missing"):
        list_samples("coco_mval", tmp_path)
    with pytest.raises(UsageError, match="no set 'davis'"):
        list_samples("davis", tmp_path)
    with pytest.raises(UsageError, match="no set 'ecssd'"):
        list_samples("ecssd")


def test_a_set_by_name_needs_a_folder() -> None:
    with pytest.raises(UsageError, match="give --data DIR, set OACE_DATA"):
        list_samples("grabcut")


def test_find_dataset(tmp_path):
    (tmp_path / "val" / "ECSSD").mkdir(parents=True)
    (tmp_path / "ecssd").write_bytes(b"a file")
    assert find_dataset("ecssd", tmp_path) == tmp_path / "val" / "ECSSD"
    assert find_dataset("grabcut", tmp_path) is None
    assert find_dataset("ecssd", tmp_path / "missing") is None
    assert find_dataset("ecssd", None) is None


def _instances(folder):
    polygon = [[1, 1, 6, 1, 6, 5, 1, 5]]
    records = [(4, 0, polygon), (9, 1, polygon), (2, 0, [[0, 0, 3, 0, 3, 3]])]
    content = {
        "images": [{"id": 1, "file_name": "x.png", "height": SHAPE[0], "width": SHAPE[1]}],
        "annotations": [{"id": n, "image_id": 1, "iscrowd": crowd, "segmentation": polygons}
                        for n, crowd, polygons in records]}
    folder.mkdir(parents=True)
    (folder / "instances.json").write_text(json.dumps(content))
    write_image(folder / "images" / "x.png", np.full((*SHAPE, 3), 90, np.uint8))


@pytest.mark.parametrize("by_name", [True, False])
def test_objects_of_an_instances_file(tmp_path, by_name):
    _instances(tmp_path / "val" / "Many")
    name = "many" if by_name else tmp_path / "val" / "Many" / "instances.json"
    samples = list(iter_samples(name, tmp_path))
    assert [sample.id for sample in samples] == ["x:4", "x:2"]  # no crowd
    assert samples[0].mask.dtype == np.int8 and set(np.unique(samples[0].mask)) == {0, 1}
    assert samples[0].mask[2, 3] == 1 and samples[0].mask[0, 0] == 0
    assert samples[0].dataset.lower() == "many"
    os.remove(tmp_path / "val" / "Many" / "images" / "x.png")
    told: list = []
    assert not list(iter_samples(name, tmp_path, told.append)) and len(told) == 2


@pytest.mark.parametrize("orientation", [1, 3])
def test_turned_photographs_whose_masks_are_files_are_told(tmp_path, caplog, orientation):
    folders = tmp_path / "ecssd" / "img", tmp_path / "ecssd" / "gt"
    _put(folders, "x", _grey_rows())
    record = Image.Exif()
    record[0x112] = orientation
    Image.fromarray(np.full((*SHAPE, 3), 90, np.uint8)).save(folders[0] / "x.jpg", exif=record)
    assert len(list(iter_samples("ecssd", tmp_path))) == 1
    told = "is stored turned (its orientation), and its size cannot tell" in caplog.text
    assert told is (orientation == 3)


def test_folders_that_differ_in_case_are_not_chosen_between(tmp_path):
    for name in ("Many", "many"):
        _instances(tmp_path / name)
    assert find_dataset("many", tmp_path) == tmp_path / "many"
    assert find_dataset("Many", tmp_path) == tmp_path / "Many"
    with pytest.raises(UsageError, match="Many and .*many are both 'MANY'"):
        find_dataset("MANY", tmp_path)
    for name in ("ECSSD", "Ecssd"):
        (tmp_path / name).mkdir()
    faults = {one.name: one.fault for one in available(tmp_path)}
    assert "are both 'ecssd'" in faults["ecssd"]
    assert "broken: " in listing(available(tmp_path), tmp_path)


@pytest.mark.data
@pytest.mark.skipif("OACE_DATA" not in os.environ, reason="OACE_DATA is not set")
@pytest.mark.parametrize("name, count", [
    ("grabcut", 50), ("ecssd", 200), ("coco_mval", 160), ("coco_multi", 719)])
def test_published_sets(name, count):
    files = list_samples(name, os.environ["OACE_DATA"])
    assert len(files) == count
    sample = files[-1].read()
    assert sample.image.shape == (*sample.mask.shape, 3)
