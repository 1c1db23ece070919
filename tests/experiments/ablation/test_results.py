"""The table of an ablation: pooled means, paired differences, rows that are missing."""
from __future__ import annotations

import json

import numpy as np
import pytest

from experiments.ablation.results import markdown, summarise
from experiments.ablation.table import read_table

SETS = (("ecssd", "coco_mval"), ("grabcut",))


def figures(shift=0.0, against="", prior=True):
    rng = np.random.default_rng(5)
    iou = {name: {f"{name}{k}": float(rng.uniform(0.2, 0.8)) + shift for k in range(count)}
           for name, count in (("ecssd", 40), ("coco_mval", 20), ("grabcut", 10))}
    multi = {f"o{k}": [f"p{k // 4}", 0.6 + shift, 0.1, int(k == 0)] for k in range(20)}
    auc = {name: {key: [0.9, 0.8] for key in iou[name]} for name in SETS[0]} if prior else {}
    return {"fingerprint": "", "what": "", "against": against, "iou": iou, "multi": multi,
            "auc": auc, "spread": {"grabcut": {"a": 0.02, "b": 0.04}}, "train_seconds": 90.0,
            "measure_seconds": 30.0}


def test_summary_of_a_row():
    results = {"a": figures(), "b": figures(0.1, "a", prior=False)}
    found = summarise(results, results["b"], *SETS)
    values = [v for name in SETS[0] for v in results["b"]["iou"][name].values()]
    assert found["miou"][0] == pytest.approx(100 * np.mean(values))
    assert found["miou"][1] < found["miou"][0] < found["miou"][2]
    # each object gains 10 points: the pairs leave no doubt, the interval has no width
    assert found["difference"] == pytest.approx([10.0, 10.0, 10.0])
    assert found["p"] < 0.001
    assert found["own_minus_other"][0] == pytest.approx(60.0)
    assert found["confusion"][0] == pytest.approx(5.0)
    assert found["confusion"][1] == 0.0  # resamples without the one photograph
    assert found["auc"] is None and found["auc_over_distance"] is None
    assert found["by_set"]["grabcut"] == pytest.approx(
        100 * np.mean(list(results["b"]["iou"]["grabcut"].values())))
    assert found["spread"]["grabcut"] == pytest.approx(3.0)
    first = summarise(results, results["a"], *SETS)
    assert first["difference"] is None
    assert first["auc"] == pytest.approx(0.9)
    assert first["auc_over_distance"] == pytest.approx([0.1, 0.1, 0.1])


def test_pairs_are_of_the_same_objects():
    results = {"a": figures(), "b": figures(0.1, "a")}
    # another order changes nothing, another object is an error
    results["a"]["iou"]["ecssd"] = dict(reversed(results["a"]["iou"]["ecssd"].items()))
    assert summarise(results, results["b"], *SETS)["difference"][0] == pytest.approx(10.0)
    results["a"]["iou"]["ecssd"]["new"] = 0.5
    with pytest.raises(ValueError, match="different objects"):
        summarise(results, results["b"], *SETS)


def test_rows_that_were_not_run_say_so(tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"rows": [{"name": "a", "what": "first"},
                                         {"name": "b", "what": "second", "against": "a"}]}))
    lines = markdown(read_table(path), {"a": figures()}).splitlines()
    assert len(lines) == 4
    assert "| a | first | " in lines[2] and lines[2].endswith("| 2 |")
    assert lines[3].startswith("| b | second | not run")
    assert len({line.count("|") for line in lines}) == 1
