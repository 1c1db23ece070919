"""Validation: which sets may choose, what is counted, and that GrabCut never is."""
from __future__ import annotations

import numpy as np
import pytest

from oace_tf.errors import UsageError
from oace_tf.training.validation import find_validation, validate
from tests.oace_tf.test_score import write_sets
from tests.oace_tf.training.drawn import write_dataset


@pytest.fixture()
def data(tmp_path):
    write_sets(tmp_path)
    write_dataset(tmp_path / "val" / "several", 3, seed=1)
    return tmp_path


def test_sets_are_found_and_grabcut_is_not(data):
    for folder in (data, data / "val"):
        found = find_validation(folder, 10, 64)
        assert {name: len(groups) for name, groups in found.sets.items()} == {
            "ecssd": 2, "coco_mval": 2, "several": 3}
    assert (found.every, found.record()["size"]) == (10, 64)
    few = find_validation(data, 10, 64, limit=2)
    assert [len(groups) for groups in few.sets.values()] == [2, 2, 2]
    # spread over the listing
    assert [group[0].group for group in few.sets["several"]] == ["0", "1"]
    assert [group[0].group for group in find_validation(data, 10, 64, 1).sets["several"]] == ["0"]


def test_folders_that_may_not_choose(data, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "only").mkdir()
    (data / "GrabCut").rename(tmp_path / "only" / "GrabCut")
    for folder in (tmp_path / "empty", tmp_path / "only"):
        with pytest.raises(UsageError, match="GrabCut may not"):
            find_validation(folder, 10, 64)
    with pytest.raises(UsageError, match="none: no such folder"):
        find_validation(tmp_path / "none", 10, 64)
    (data / "val" / "ecssd" / "gt" / "0.png").unlink()
    with pytest.raises(UsageError, match="0.png has no mask"):
        find_validation(data, 10, 64)


def test_figures_of_predictors_that_are_known(data):
    sets = find_validation(data, 10, 64).sets
    seen = []

    def bright(image, clicks):  # all bright objects: ignores the tap
        return (image.max(axis=2) > 120).astype(np.float32)

    def tapped(image, clicks):  # that of the tap's colour
        colour = image[int(clicks[0].y), int(clicks[0].x)]
        return (np.abs(image.astype(int) - colour).max(axis=2) <= 3).astype(np.float32)

    saliency = validate(bright, sets, lambda: seen.append(1))
    assert len(seen) == 7
    row = saliency["sets"]["several"]
    assert row["n"] == 6 and row["own_minus_other"] == pytest.approx(0.0, abs=1e-9)
    assert row["confusion"] == pytest.approx(50.0)
    assert "own_minus_other" not in saliency["sets"]["ecssd"]
    assert saliency["score"] == pytest.approx(
        np.mean([entry["miou"] for entry in saliency["sets"].values()]))
    row = validate(tapped, {"several": sets["several"]})["sets"]["several"]
    assert row["miou"] > 95 and row["own_minus_other"] > 95 and row["confusion"] == 0.0

    def broken(image, clicks):
        return np.full(image.shape[:2], np.nan, np.float32)

    assert np.isnan(validate(broken, {"ecssd": sets["ecssd"]})["score"])
