"""The drift: rows, interval, agreement; and every way in which the gate must fail."""
from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oace_tf.clicks import Click
from oace_tf.errors import UsageError
from oace_tf.evaluation import drift
from oace_tf.evaluation.drift import Budget
from oace_tf.evaluation.protocol import Record

BUDGET = Budget(max_drop_points=0.5, min_agreement=0.93)
NAN = float("nan")


def records(pairs: list[tuple[float, float]], dataset: str = "grabcut") -> list[Record]:
    return [Record(id=str(k), dataset=dataset, click=Click(0, 0), iou={"float": a, "int8": b},
                   seconds={}, agreement=0.97)
            for k, (a, b) in enumerate(pairs)]


def good() -> dict[str, Any]:
    """Return a report within the budget."""
    made = records([(0.8, 0.799), (0.9, 0.9)]) + records([(0.7, 0.7)], "ecssd")
    return {"drift": drift.drift_rows(made), "agreement": drift.agreement([0.97, 0.98, 0.96])}


def test_rows_by_hand() -> None:
    rows = drift.drift_rows(records([(0.8, 0.7), (0.6, 0.6)]) + records([(0.5, 0.6)], "ecssd"))
    assert [row["dataset"] for row in rows] == ["grabcut", "ecssd", "pooled"]
    assert [row["n"] for row in rows] == [2, 1, 3]
    assert list(rows[0]) == ["dataset", "n", "float_miou_at_1", "int8_miou_at_1", "drop_points",
                             "ci95"]
    keys = ("float_miou_at_1", "int8_miou_at_1", "drop_points")
    found = np.array([[row[key] for row in rows] for key in keys], np.float64)
    wanted = np.array([[70, 50, 190 / 3], [65, 60, 190 / 3], [5, -10, 0]])
    np.testing.assert_allclose(found, wanted, atol=1e-9)
    assert rows[1]["ci95"] == pytest.approx([-10, -10])  # of one object there is one resample
    assert rows[0]["ci95"] == pytest.approx([0, 10])


def test_the_interval_is_paired() -> None:
    rng = np.random.default_rng(0)
    scores = rng.uniform(0, 1, 400)
    drops = rng.normal(0.01, 0.01, 400)
    row = drift.drift_rows(records(list(zip(scores, scores - drops))))[-1]
    low, high = row["ci95"]
    assert low < row["drop_points"] < high
    # 2 * 1.96 * 1 point / sqrt(400) = 0.196; unpaired it would be 11 points wide
    assert 0.15 < high - low < 0.25


def test_the_same_seed_gives_the_same_interval() -> None:
    made = records([(0.8, 0.7), (0.6, 0.65), (0.9, 0.2)])
    assert drift.drift_rows(made, seed=3) == drift.drift_rows(made, seed=3)


def test_agreement() -> None:
    assert drift.agreement([1.0, 0.5, 0.9]) == {"n": 3, "mean_iou": pytest.approx(0.8),
                                                "worst": 0.5}
    nothing = {"n": 0, "mean_iou": None, "worst": None}
    assert drift.agreement([]) == nothing
    assert drift.agreement([1.0, NAN]) == {**nothing, "n": 2}


def test_a_good_report_passes() -> None:
    assert drift.gate(good(), BUDGET) == []
    assert drift.gate({"agreement": good()["agreement"]}, BUDGET, labelled=False) == []


def test_a_report_survives_json() -> None:
    assert drift.gate(json.loads(json.dumps(good())), BUDGET) == []


def test_over_budget_fails() -> None:
    report = good()
    report["drift"] = drift.drift_rows(records([(0.8, 0.79)] * 5))
    assert "drops by 1.000 points" in drift.gate(report, BUDGET)[0]
    report = {**good(), "agreement": drift.agreement([0.9, 0.9])}
    assert "agree by 0.9000" in drift.gate(report, BUDGET)[0]


def test_opposite_errors_do_not_pass() -> None:
    """The mean does not move, but the masks are others."""
    report = {"drift": drift.drift_rows(records([(0.9, 0.5), (0.5, 0.9)])),
              "agreement": drift.agreement([0.5, 0.5])}
    assert len(drift.gate(report, BUDGET)) == 1


@pytest.mark.parametrize("pair", [(NAN, 0.5), (0.5, NAN)])
def test_nan_fails(pair: tuple[float, float]) -> None:
    report = {**good(), "drift": drift.drift_rows(records([pair, (0.5, 0.5)]))}
    assert drift.gate(report, BUDGET)
    assert report["drift"][-1]["drop_points"] is None


def test_nan_agreement_fails() -> None:
    assert drift.gate({**good(), "agreement": drift.agreement([NAN, 1.0])}, BUDGET)
    for labelled in (True, False):
        bad = {**good(), "agreement": {"n": 3, "mean_iou": NAN, "worst": NAN}}
        assert drift.gate(bad, BUDGET, labelled)


def test_empty_sets_fail() -> None:
    assert drift.gate({**good(), "drift": drift.drift_rows([])}, BUDGET)
    assert drift.gate({**good(), "drift": []}, BUDGET)
    assert drift.gate({**good(), "agreement": drift.agreement([])}, BUDGET)
    report = good()
    report["drift"][0]["n"] = 0
    assert drift.gate(report, BUDGET)


@pytest.mark.parametrize("key", ["drift", "agreement"])
def test_missing_parts_fail(key: str) -> None:
    report = good()
    del report[key]
    assert drift.gate(report, BUDGET)


@pytest.mark.parametrize("place", [-1, 0])
@pytest.mark.parametrize("key", ["dataset", "n", "float_miou_at_1", "int8_miou_at_1",
                                 "drop_points", "ci95"])
def test_a_missing_key_fails(key: str, place: int) -> None:
    report = copy.deepcopy(good())
    del report["drift"][place][key]
    # A nameless row of a set is counted all the same, so that pooled still adds up.
    assert drift.gate(report, BUDGET) or (key, place) == ("dataset", 0)


@pytest.mark.parametrize("key", ["n", "mean_iou", "worst"])
def test_a_missing_key_of_the_agreement_fails(key: str) -> None:
    report = good()
    del report["agreement"][key]
    assert drift.gate(report, BUDGET)


@pytest.mark.parametrize("value", ["0.1", True, None, [], NAN, float("inf")])
def test_a_number_that_is_none_fails(value: Any) -> None:
    report = good()
    report["drift"][-1]["drop_points"] = value
    assert drift.gate(report, BUDGET)


def test_pooled_must_add_up() -> None:
    report = good()
    report["drift"][0]["n"] += 1
    assert drift.gate(report, BUDGET)
    report = good()
    report["drift"] = report["drift"][:-1]
    assert drift.gate(report, BUDGET)


def test_weights_that_find_nothing_fail() -> None:
    """Float and int8 of damaged weights may agree perfectly."""
    report = {**good(), "baselines": {"disk": {"dataset": "grabcut", "miou_at_1": 44.6}}}
    assert drift.gate(report, BUDGET) == []
    report["drift"] = drift.drift_rows(records([(0.0, 0.0), (0.3, 0.3)]))
    assert "a disk around the tap 44.60" in drift.gate(report, BUDGET)[0]
    empty = {"agreement": {**drift.agreement([1.0, 1.0]), "both_empty": 2}}
    assert "empty mask" in drift.gate(empty, BUDGET, labelled=False)[0]


def test_budget_file(tmp_path: Path) -> None:
    path = tmp_path / "budget.json"
    path.write_text('{"max_drop_points": 0.5, "min_agreement": 0.93}')
    assert drift.read_budget(path) == BUDGET


@pytest.mark.parametrize("text, word", [
    ('{"max_drop_points": 0.5, "min_agreement": 0.93, "min_agrement": 0.9}', "min_agrement"),
    ('{"max_drop_points": 0.5}', "min_agreement"),
    ('{"max_drop_points": "0.5", "min_agreement": 0.93}', "max_drop_points"),
    ('{"max_drop_points": 0.5, "min_agreement": 93}', "min_agreement"),
    ('{"max_drop_points": true, "min_agreement": 0.93}', "max_drop_points"),
    ('[0.5, 0.93]', "object"),
    ('{"max_drop_points": NaN, "min_agreement": 0.93}', "NaN"),
    ('{', "JSON"),
])
def test_a_bad_budget_is_refused(text: str, word: str, tmp_path: Path) -> None:
    path = tmp_path / "budget.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=word):
        drift.read_budget(path)


def test_the_committed_budget() -> None:
    path = Path(__file__).parents[3] / "export" / "drift_budget.json"
    budget = drift.read_budget(path)
    assert budget.max_drop_points <= 0.5 and budget.min_agreement >= 0.93  # only ever tightened


# --- what lost most, and the last accepted report


def test_most_lost() -> None:
    made = records([(0.9, 0.5), (0.5, 0.9), (0.7, 0.6), (0.8, 0.8), (NAN, 0.1), (0.9, NAN)])
    found = drift.most_lost(made, 5)
    assert [(row["id"], row["drop_points"]) for row in found] == [
        ("0", pytest.approx(40)), ("2", pytest.approx(10))]
    assert found[0] == {"dataset": "grabcut", "id": "0", "float": 90, "int8": 50,
                        "drop_points": pytest.approx(40), "agreement": 0.97}
    assert drift.most_lost(made, 1) == found[:1] and drift.most_lost([], 3) == []


@pytest.mark.parametrize("before, after, word", [
    (0.70, 0.709, ""), (0.70, 0.691, ""), (0.70, 0.72, "rises"), (0.70, 0.68, "falls")])
def test_change_in_both_directions(before: float, after: float, word: str) -> None:
    accepted = {"drift": drift.drift_rows(records([(0.7, before)]))}
    rows = drift.changes(records([(0.7, after)]), accepted)
    assert [row["dataset"] for row in rows] == ["grabcut", "pooled"]
    failures = drift.change_failures(rows, Budget(0.5, 0.9, max_change_points=1.0))
    assert len(failures) == (2 if word else 0) and all(word in text for text in failures)


@pytest.mark.parametrize("accepted, words", [
    ({"drift": []}, "accepted None"),
    ({"drift": ["text", {"dataset": "grabcut", "int8_miou_at_1": "70", "n": 1}]},
     "accepted '70'"),
    ({"drift": [{"dataset": "grabcut", "int8_miou_at_1": 70.0, "n": 2},
                {"dataset": "pooled", "int8_miou_at_1": 70.0, "n": 2}]},
     "the accepted report has 2"),
    ({"drift": drift.drift_rows(records([(0.7, 0.7)])) + [{"dataset": "gone"}]}, "change on gone"),
])
def test_accepted_reports_that_do_not_fit(accepted: dict[str, Any], words: str) -> None:
    rows = drift.changes(records([(0.7, 0.7)]), accepted)
    failures = drift.change_failures(rows, BUDGET)
    assert failures and any(words in text for text in failures)


def test_a_figure_that_is_not_a_number_is_a_change() -> None:
    accepted = {"drift": drift.drift_rows(records([(0.7, 0.7)]))}
    rows = drift.changes(records([(0.7, NAN)]), accepted)
    assert drift.change_failures(rows, BUDGET) == [
        "change on grabcut: now None, accepted 70.0", "change on pooled: now None, accepted 70.0"]


def test_the_change_may_be_left_out_of_a_budget(tmp_path: Path) -> None:
    path = tmp_path / "budget.json"
    path.write_text('{"max_drop_points": 0.5, "min_agreement": 0.9}')
    assert drift.read_budget(path) == Budget(0.5, 0.9, 1.0)
    path.write_text('{"max_drop_points": 0.5, "min_agreement": 0.9, "max_change_points": 3}')
    assert drift.read_budget(path).max_change_points == 3
    path.write_text('{"max_drop_points": 0.5, "min_agreement": 0.9, "max_change_points": -1}')
    with pytest.raises(UsageError, match="max_change_points"):
        drift.read_budget(path)
