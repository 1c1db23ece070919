"""SBD in its published layout, and damaged."""
import pickle
import zipfile

import numpy as np
import pytest

from oace_tf.errors import UsageError
from oace_tf.images import write_image
from oace_tf.samples.layouts import list_samples
from oace_tf.samples.sbd import read_instances

scipy_io = pytest.importorskip("scipy.io")

H, W = 8, 10


def _image(path, size=(H, W)):
    write_image(path, np.full((*size, 3), 90, np.uint8))


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


def test_a_zip_is_no_mat_file(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.mat", "w") as archive:
        archive.writestr("x", "y")
    with pytest.raises(UsageError, match="not a readable .mat"):
        read_instances(tmp_path / "x.mat")
