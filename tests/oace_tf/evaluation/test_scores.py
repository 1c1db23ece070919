"""Scores of records: groups, failures told apart, what is not finite."""
import numpy as np

from oace_tf.evaluation.object_trials import Answer, EvaluationOptions, ObjectRecord, measure_group
from oace_tf.evaluation.runner import photographs
from oace_tf.evaluation.scores import score
from oace_tf.samples.layouts import list_samples

OPTIONS = EvaluationOptions(spread_taps=10, baselines=("whole_image", "disk"))


def _nothing(image, clicks):
    return np.zeros(image.shape[:2], np.float32)


def _records(files, predictors, options=OPTIONS):
    return [record for group in photographs(files)
            for record in measure_group(group, predictors, options).records]


def test_groups(data):
    records = _records(list_samples("many", data), {"nothing": _nothing})
    found = score("nothing", records, 20, seen=frozenset({"cup"}))["groups"]
    assert {way: {label: row["n"] for label, row in rows.items()} for way, rows in found.items()
            if way != "thinness"} == {
        "size": {"small": 4}, "frequency": {"rare": 2, "frequent": 2},
        "category": {"seen": 2, "unseen": 2}}
    assert found["size"]["small"]["miou_at"] == {"1": 0, "20": 0}
    assert "category" not in score("nothing", records, 20)["groups"]


def test_success_at_click_20_is_told_apart():
    answer = Answer(iou=[0.5] * 19 + [0.95], boundary_iou=[0.0] * 20, ms=[1.0] * 20,
                    clicks=[[0, 0, 1]] * 20)
    record = ObjectRecord(id="a", dataset="d", group="a", category="", frequency="", area_px=10,
                          share=0.1, thinness=0.2, answers={"m": answer})
    found = score("m", [record], 20)
    assert found["noc"]["90"] == 20 and found["noc_failures"]["90"] == 0
    assert found["noc_failures_ritm"]["90"] == 1
    short = score("m", [record], 5)
    assert short["noc"]["90"] is None and list(short["miou_at"]) == ["1", "2", "3", "4", "5"]


def test_not_finite_is_no_figure(data):
    def sometimes(image, clicks):
        bad = clicks[0].x > 15
        return np.full(image.shape[:2], np.nan if bad else 1.0, np.float32)

    records = _records(list_samples("many", data), {"bad": sometimes})
    found = score("bad", records, 20)
    assert found["miou_at"]["1"] is None and found["ci95"]["miou_at.1"] is None
    assert found["noc"]["90"] is None and found["own_minus_other"] is None
    assert found["not_finite"] == 2 and found["ms_per_click"] is not None
