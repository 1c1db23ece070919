"""Miniature copies of the published layouts, as RITM's evaluation reads them."""
import json
import pickle
import zipfile

import numpy as np
import pytest

from oace_tf.errors import UsageError
from oace_tf.images import read_brightest, write_image
from oace_tf.samples.coco import load_coco
from oace_tf.samples.layouts import list_samples
from oace_tf.samples.sbd import read_instances

scipy_io = pytest.importorskip("scipy.io")
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


# --- SBD


def _sbd(root, instances):
    folder = root / "SBD"
    (folder / "inst").mkdir(parents=True)
    for name, numbers in instances.items():
        _image(folder / "img" / f"{name}.jpg")
        scipy_io.savemat(folder / "inst" / f"{name}.mat", {"GTinst": {
            "Segmentation": numbers, "Boundaries": np.zeros((2, 1), object),
            "Categories": np.array([[15], [3]], np.uint8)}}, do_compression=True)
    (folder / "val.txt").write_text("\n".join(instances) + "\n")
    return folder


@pytest.fixture
def sbd(tmp_path):
    two = np.zeros((H, W), np.uint8)
    two[1:4, 1:4], two[5:7, 2:9] = 1, 2
    one = np.zeros((H, W), np.uint8)
    one[0, 0] = 3
    return _sbd(tmp_path, {"2008_b": two, "2008_a": one})


def test_sbd(tmp_path, sbd):
    files = list_samples("SBD", tmp_path)
    assert [file.id for file in files] == ["2008_b:1", "2008_b:2", "2008_a:3"]  # val.txt's order
    assert [file.group for file in files] == ["2008_b", "2008_b", "2008_a"]
    samples = [pickle.loads(pickle.dumps(file)).read() for file in files]  # goes to a worker
    assert [int((sample.mask == 1).sum()) for sample in samples] == [9, 14, 1]
    assert samples[1].mask.dtype == np.int8 and set(np.unique(samples[1].mask)) == {0, 1}
    assert samples[2].dataset == "sbd" and samples[2].image.shape == (H, W, 3)


def test_bad_sbd(tmp_path, sbd):
    _image(sbd / "img" / "2008_a.jpg", (H, W + 1))
    with pytest.raises(UsageError, match="2008_a.mat has 10x8 pixels, its image 11x8"):
        list_samples("sbd", tmp_path)[-1].read()
    good = (sbd / "inst" / "2008_a.mat").read_bytes()
    for damaged in (good[:200], b"", b"MATLAB 5.0" * 40, good[:-20], b"\x89HDF" + good):
        (sbd / "inst" / "2008_a.mat").write_bytes(damaged)
        with pytest.raises(UsageError, match="2008_a.mat is not a readable .mat file"):
            list_samples("sbd", tmp_path)
    scipy_io.savemat(sbd / "inst" / "2008_a.mat", {"GTinst": {"Segmentation": np.zeros((2, 2))}})
    with pytest.raises(UsageError, match="no matrix of bytes"):
        read_instances(sbd / "inst" / "2008_a.mat")
    (sbd / "inst" / "2008_a.mat").unlink()
    with pytest.raises(UsageError, match="has no .*2008_a.mat"):
        list_samples("sbd", tmp_path)
    (sbd / "img" / "2008_a.jpg").unlink()
    with pytest.raises(UsageError, match="is missing, but .*val.txt names it"):
        list_samples("sbd", tmp_path)
    (sbd / "val.txt").write_text("")
    with pytest.raises(UsageError, match="names no image"):
        list_samples("sbd", tmp_path)
    (sbd / "val.txt").unlink()
    with pytest.raises(UsageError, match="cannot read .*val.txt"):
        list_samples("sbd", tmp_path)
    for file in sbd.rglob("*.*"):
        file.unlink()
    (sbd / "img").rmdir()
    with pytest.raises(UsageError, match="img is missing"):
        list_samples("sbd", tmp_path)


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


def test_a_zip_is_no_mat_file(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.mat", "w") as archive:
        archive.writestr("x", "y")
    with pytest.raises(UsageError, match="not a readable .mat"):
        read_instances(tmp_path / "x.mat")
