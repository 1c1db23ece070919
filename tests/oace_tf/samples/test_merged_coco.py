"""COCO and LVIS joined: instances of both on the same photographs, none of them twice."""
from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from oace_tf.errors import UsageError
from oace_tf.samples.coco import CocoAnnotation, decode_mask
from oace_tf.samples.merged_coco import MergedCoco, without_duplicates

H, W = 60, 80


def box(x, y, w, h):
    return [[x, y, x + w, y, x + w, y + h, x, y + h]]


def annotation(number, polygon, crowd=False):
    return CocoAnnotation(id=number, category="thing", iscrowd=crowd, area=1.0,
                          segmentation=polygon)


def content(images, objects, lvis="") -> dict[str, Any]:
    """`objects`: (image, box); `lvis`: "", "0.5" or "1"."""
    records = []
    for number in images:
        record = {"id": number, "height": H, "width": W,
                  "coco_url": f"http://host/train2017/{number:012d}.jpg"}
        if lvis == "0.5":
            record["file_name"] = f"COCO_val2014_{number:012d}.jpg"
        elif not lvis:
            record["file_name"] = f"{number:012d}.jpg"
        records.append(record)
    category = {"id": 1, "name": "tabby"} if lvis else {"id": 18, "name": "cat"}
    if lvis:
        category["frequency"] = "r"
    return {"images": records, "categories": [category],
            "annotations": [{"id": 100 + k, "image_id": image, "category_id": category["id"],
                             "segmentation": polygon} | ({} if lvis else {"iscrowd": 0})
                            for k, (image, polygon) in enumerate(objects)]}


@pytest.fixture()
def files(tmp_path):
    """Return a function: version of LVIS -> paths of a COCO and an LVIS file."""
    (tmp_path / "train2017").mkdir()
    (tmp_path / "annotations").mkdir()

    def write(version):
        coco = content((1, 2, 3, 4), [(1, box(5, 5, 20, 20)), (1, box(40, 10, 30, 30)),
                                      (2, box(5, 5, 20, 20)), (3, box(9, 9, 9, 9))])
        lvis = content((2, 1, 5), [(1, box(5, 5, 20, 21)), (1, box(60, 2, 10, 5)),
                                   (5, box(1, 1, 30, 30))], version)
        paths = []
        for name, value in (("instances_train2017.json", coco), ("lvis_train.json", lvis)):
            paths.append(tmp_path / "annotations" / name)
            paths[-1].write_text(json.dumps(value))
        return paths

    return write


@pytest.mark.parametrize("version", ("0.5", "1"))
@pytest.mark.parametrize("order", (1, -1))
def test_instances_of_both_files_stand_on_one_photograph(files, tmp_path, version, order):
    joined = MergedCoco(files(version)[::order])
    assert [path.name for path in joined.paths] == ["lvis_train.json", "instances_train2017.json"]
    assert set(joined.categories.values()) == {"cat", "tabby"}
    assert len(joined.sha256) == 2
    images = {image.path.name: image for image in joined}
    assert len(images) == len(joined) == 4  # 1 and 5 of LVIS, 2 and 3 of COCO alone; 4 has none
    assert all(image.path.parent == tmp_path / "train2017" for image in images.values())
    found = {name: [one.category for one in image.annotations] for name, image in images.items()}
    # COCO's first box is LVIS' first one drawn again; its second is new
    assert found == {"000000000001.jpg": ["tabby", "tabby", "cat"], "000000000005.jpg": ["tabby"],
                     "000000000002.jpg": ["cat"], "000000000003.jpg": ["cat"]}
    assert joined[0].annotations == images["000000000001.jpg"].annotations
    assert joined[-1].path.name == "000000000003.jpg"
    assert [image.id for image in joined[1:3]] == [5, 2]
    for place in (4, -5):
        with pytest.raises(IndexError):
            joined[place]


def test_an_image_of_another_size_is_not_the_same_photograph(files):
    coco, lvis = files("1")
    value = json.loads(lvis.read_text())
    value["images"][1]["width"] = W + 1
    lvis.write_text(json.dumps(value))
    joined = MergedCoco([coco, lvis])
    with pytest.raises(UsageError, match="image 1 is of another size than in .*lvis_train.json"):
        joined[0]


def test_duplicates_by_iou():
    rng = np.random.default_rng(3)

    def boxes(count):
        return [annotation(k, box(*rng.integers(0, 30, 2).tolist(),
                                  *rng.integers(8, 30, 2).tolist())) for k in range(count)]

    known = boxes(8)
    near = [annotation(20 + k, [[c + 0.6 * (k % 2) for c in one.segmentation[0]]])
            for k, one in enumerate(known)]
    more = [*boxes(8), *near]
    kept = without_duplicates(known, more, H, W)

    def iou(a, b):  # slowly, and by pixels
        a, b = (set(zip(*np.nonzero(decode_mask(one, H, W)))) for one in (a, b))
        return len(a & b) / len(a | b)

    expected = [one for one in more if max(iou(one, other) for other in known) < 0.8]
    assert kept == expected and 0 < len(kept) < len(more)
    # crowds hide nothing and are kept
    crowds = [annotation(one.id, one.segmentation, True) for one in known]
    assert without_duplicates(crowds, more, H, W) == more
    assert without_duplicates(known, crowds, H, W) == crowds
    assert without_duplicates([], more, H, W) == more
