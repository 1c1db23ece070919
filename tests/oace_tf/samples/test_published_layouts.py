"""Miniature copies of the published layouts, as RITM's evaluation reads them."""
import json

import numpy as np
import pytest

from oace_tf.errors import UsageError
from oace_tf.images import read_brightest, write_image
from oace_tf.samples.coco import load_coco
from oace_tf.samples.layouts import list_samples

H, W = 8, 10


def _image(path, size=(H, W)):
    write_image(path, np.full((*size, 3), 90, np.uint8))


def test_berkeley(tmp_path):
    grey = np.zeros((H, W), np.uint8)
    grey[1], grey[2], grey[3] = 127, 128, 255
    _image(tmp_path / "Berkeley" / "images" / "100_1.jpg")
    write_image(tmp_path / "Berkeley" / "masks" / "100_1.png", grey)
    (file,) = list_samples("BERKELEY", tmp_path)
    assert (file.id, file.dataset) == ("100_1", "berkeley")
    assert file.read().mask[:5, 0].tolist() == [0, 0, -1, 1, 0]


def test_davis_takes_the_greatest_channel(tmp_path):
    """A dark blue pixel would become 0 in a grey value."""
    colours = np.zeros((H, W, 3), np.uint8)
    colours[1], colours[2], colours[3] = (0, 0, 2), (255, 0, 0), (1, 1, 1)
    _image(tmp_path / "DAVIS" / "img" / "bear-01.jpg")
    write_image(tmp_path / "DAVIS" / "gt" / "bear-01.png", colours)
    assert read_brightest(tmp_path / "DAVIS" / "gt" / "bear-01.png")[1, 0] == 2
    (file,) = list_samples("davis", tmp_path)
    assert file.read().mask[:5, 0].tolist() == [0, 1, 1, 1, 0]


def test_categories_of_coco_mval(tmp_path):
    for stem in ("baseball bat05_000000057232", "odd"):
        _image(tmp_path / "COCO_MVal" / "img" / f"{stem}.jpg")
        write_image(tmp_path / "COCO_MVal" / "gt" / f"{stem}.png", np.full((H, W), 1, np.uint8))
    assert [f.category for f in list_samples("coco_mval", tmp_path)] == ["baseball bat", ""]


# --- COCO and LVIS as published


def _lvis(path, **image):
    polygon = [[1, 1, 6, 1, 6, 5, 1, 5]]
    content = {
        "images": [{"id": n, "height": H, "width": W,
                    **{key: value.format(n) for key, value in image.items()}} for n in (7, 8)],
        "categories": [{"id": 1, "name": "cup", "frequency": "f"},
                       {"id": 2, "name": "yak", "frequency": "r"}],
        "annotations": [{"id": 10 * n + c, "image_id": n, "category_id": c,
                         "segmentation": polygon} for n in (7, 8) for c in (1, 2)]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def test_lvis(tmp_path):
    path = _lvis(tmp_path / "annotations" / "lvis_v1_val.json",
                 coco_url="http://images.cocodataset.org/train2017/{:012}.jpg")
    _image(tmp_path / "train2017" / "000000000007.jpg")
    files = list_samples(path)
    assert [(f.category, f.frequency, f.group) for f in files[:2]] == [
        ("cup", "frequent", "7"), ("yak", "rare", "7")]
    assert files[0].dataset == "lvis_v1_val" and files[0].id == "000000000007:71"
    assert files[0].read().image is files[1].read().image  # read once a photograph
    content = json.loads(path.read_text())
    content["categories"][0]["frequency"] = "often"
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError, match="category 1: frequency must be r, c or f"):
        load_coco(path)


def test_coco_as_published(tmp_path):
    path = _lvis(tmp_path / "annotations" / "instances_val2017.json", file_name="{:012}.jpg")
    with pytest.raises(UsageError, match="folder .*images is missing"):
        list_samples(path)
    _image(tmp_path / "val2017" / "000000000007.jpg")
    files = list_samples(path)
    assert files[0].dataset == "instances_val2017" and files[0].read().mask[2, 3] == 1
    (tmp_path / "annotations" / "images").mkdir()  # goes first
    assert load_coco(path).images[0].path.parent.name == "images"
