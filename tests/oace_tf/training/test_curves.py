"""The learning curve, from a log with and without validation."""
from __future__ import annotations

import pytest

from oace_tf.errors import UsageError
from oace_tf.images import read_image
from oace_tf.training.curves import draw_curve, read_validation
from oace_tf.training.run_log import LOG, VALIDATION_LOG, RunLog

FIGURES = {"score": 50.0, "sets": {"ecssd": {"n": 3, "miou": 60.0},
                                   "coco_multi": {"n": 5, "miou": 40.0, "own_minus_other": 30.0,
                                                  "confusion": 20.0}}}


@pytest.fixture()
def log(tmp_path):
    log = RunLog(tmp_path / "run")
    for step in range(6):
        log.step(step, 64, 1.0 / (step + 1), 5.0, 0.1)
        if step in (2, 5):
            log.validation(step + 1, FIGURES)
    return log


def test_the_curve(log, tmp_path):
    run = tmp_path / "run"
    assert read_validation(run / VALIDATION_LOG)["ecssd"][1].tolist() == [60.0, 60.0]
    tall = read_image(draw_curve(run / LOG, tmp_path / "curve.png"))
    (run / VALIDATION_LOG).unlink()
    assert len(read_image(draw_curve(run / LOG, tmp_path / "curve.png"))) < len(tall)
    for name, text, words in (("none.csv", None, "not a training log"),
                              ("bad.csv", "a,b\n1,2\n", "not a training log"),
                              ("zeros.csv", "0" * 200_000, "not a training log"),
                              ("short.csv", "step,size,loss,images_per_second\n0,64,1,5\n",
                               "fewer than two steps")):
        if text is not None:
            (tmp_path / name).write_text(text)
        with pytest.raises(UsageError, match=words):
            draw_curve(tmp_path / name, tmp_path / "out.png")
