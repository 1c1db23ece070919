"""The log of a run: rows and pictures; what is made again is cut; the curve."""
from __future__ import annotations

import csv

import numpy as np
import pytest

from oace_tf.images import read_image
from oace_tf.training.run_log import LOG, PICTURES, VALIDATION_LOG, RunLog

FIGURES = {"score": 50.0, "sets": {"ecssd": {"n": 3, "miou": 60.0},
                                   "coco_multi": {"n": 5, "miou": 40.0, "own_minus_other": 30.0,
                                                  "confusion": 20.0}}}


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture()
def log(tmp_path):
    log = RunLog(tmp_path / "run")
    for step in range(6):
        log.step(step, 64, 1.0 / (step + 1), 5.0, 0.1)
        if step in (2, 5):
            log.validation(step + 1, FIGURES)
    return log


def test_rows_and_pictures(log, tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (8, 9, 3)).astype(np.uint8)
    log.picture(6, picture)
    assert [row["step"] for row in rows(tmp_path / "run" / LOG)] == list("012345")
    checks = rows(tmp_path / "run" / VALIDATION_LOG)
    assert [(row["step"], row["set"], row["confusion"]) for row in checks] == [
        (step, name, confusion) for step in "36"
        for name, confusion in (("ecssd", ""), ("coco_multi", "20.0"))]
    np.testing.assert_array_equal(read_image(tmp_path / "run" / PICTURES / "00000006.png"), picture)


def test_what_is_made_again_is_cut(log, tmp_path):
    with (tmp_path / "run" / LOG).open("a") as file:
        file.write("6,6")  # cut in the middle of a line
    log.cut(4)
    assert [row["step"] for row in rows(tmp_path / "run" / LOG)] == list("0123")
    assert [row["step"] for row in rows(tmp_path / "run" / VALIDATION_LOG)] == ["3", "3"]
    log.step(4, 64, 0.1, 5.0, 0.1)
    assert [row["step"] for row in rows(tmp_path / "run" / LOG)] == list("01234")
