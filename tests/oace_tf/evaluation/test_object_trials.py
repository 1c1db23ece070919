"""What is measured on made-up sets: the true mask, nothing, and the part under the tap."""
import dataclasses
import json
import math
from functools import partial

import numpy as np
import pytest

from oace_tf.errors import UsageError
from oace_tf.evaluation.journal import Journal, key_of
from oace_tf.evaluation.object_trials import Answer, GroupResult, ObjectRecord, Plan, measure_group
from oace_tf.evaluation.runner import photographs
from oace_tf.evaluation.scores import score
from oace_tf.samples.layouts import list_samples
from oace_tf.samples.sample import SampleFile
from tests.oace_tf.evaluation.test_click_runs import components, made_set

PLAN = Plan(spread_taps=10, baselines=("whole_image", "disk"))


def _true_masks(files):
    """Return a predictor that knows the object under the first click."""
    samples = [file.read() for file in files]

    def predict(image, clicks):
        row, column = round(clicks[0].y), round(clicks[0].x)
        return next((s.mask == 1).astype(np.float32) for s in samples
                    if (s.image == image).all() and s.mask[row, column] == 1)

    return predict


def _nothing(image, clicks):
    return np.zeros(image.shape[:2], np.float32)


def _salient(image, clicks):
    """Ignores the tap: everything that is red."""
    return (image[..., 0] > 100).astype(np.float32)


def _records(files, predictors, plan=PLAN):
    return [record for group in photographs(files)
            for record in measure_group(group, predictors, plan).records]


def test_true_mask_nothing_and_saliency(data):
    files = list_samples("many", data)
    records = _records(files, {"true": _true_masks(files), "nothing": _nothing, "red": _salient})
    assert [record.id for record in records] == ["1:10", "1:11", "2:20", "2:21"]
    true = score("true", records, 20)
    assert true["n"] == 4 and true["photographs"] == 2
    assert set(true["miou_at"].values()) == {100.0} and len(true["miou_at"]) == 20
    assert true["noc"] == {"80": 1, "85": 1, "90": 1}
    assert true["noc_failures"] == {"80": 0, "85": 0, "90": 0}
    assert true["boundary_iou_at"]["1"] == 100 and true["click_spread"] == 0
    assert true["worst_of_ten"] == 100 and true["spread"]["border"]["mutual_iou"] == 100
    assert (true["own"], true["other"], true["confusion"]) == (100, 0, 0)
    assert true["own_minus_other"] == 100 and true["ci95"]["own_minus_other"] == [100, 100]
    nothing = score("nothing", records, 20)
    assert set(nothing["miou_at"].values()) == {0.0}
    assert nothing["noc"]["80"] == nothing["noc"]["90"] == 20
    assert nothing["noc_failures"]["90"] == nothing["noc_failures_ritm"]["90"] == 4
    assert nothing["ci95"]["noc.90"] == [20, 20]
    assert nothing["spread"]["centre"]["mutual_iou"] == 100  # empty masks agree
    red = score("red", records, 20, others=["true", "whole_image"])
    assert red["own_minus_other"] == 0 and red["confusion"] == 50  # the smaller one of each two
    assert red["against"][0]["difference"]["own_minus_other"] == -100
    assert red["against"][0]["difference"]["noc.90"] == 19
    assert red["against"][1]["difference"]["noc.90"] is None  # baselines get one click
    whole = score("whole_image", records, 20)
    assert list(whole["miou_at"]) == ["1"] and whole["click_spread"] is None
    share = np.mean([90, 120, 100, 120]) / (24 * 32)
    assert whole["miou_at"]["1"] == pytest.approx(100 * share)
    assert json.loads(json.dumps([true, nothing, red, whole], allow_nan=False))


def test_groups(data):
    records = _records(list_samples("many", data), {"nothing": _nothing})
    found = score("nothing", records, 20, seen=frozenset({"cup"}))["groups"]
    assert {way: {label: row["n"] for label, row in rows.items()} for way, rows in found.items()
            if way != "thinness"} == {
        "size": {"small": 4}, "frequency": {"rare": 2, "frequent": 2},
        "category": {"seen": 2, "unseen": 2}}
    assert found["size"]["small"]["miou_at"] == {"1": 0, "20": 0}
    assert "category" not in score("nothing", records, 20)["groups"]


def test_component_by_hand():
    """The scores of `made_set`, worked out there, through the whole of the measurement."""
    one, other = made_set()
    files = [SampleFile("one", "made", lambda: one), SampleFile("other", "made", lambda: other)]
    records = _records(files, {"component": components}, Plan(spread_taps=0, baselines=()))
    found = score("component", records, 20)
    assert found["miou_at"]["1"] == pytest.approx(100 * (16 / 20 + 25 / 34) / 2)
    assert found["miou_at"]["2"] == found["miou_at"]["20"] == 50
    assert found["noc"] == {"80": (1 + 20) / 2, "85": (2 + 20) / 2, "90": (2 + 20) / 2}
    assert found["noc_failures"] == {"80": 1, "85": 1, "90": 1}
    assert found["own_minus_other"] is None and found["tapped_objects"] == 0
    assert found["click_spread"] is None and found["worst_of_ten"] is None


def test_success_at_click_20_is_told_apart():
    answer = Answer([0.5] * 19 + [0.95], [0.0] * 20, [1.0] * 20, [[0, 0, 1]] * 20)
    record = ObjectRecord("a", "d", "a", "", "", 10, 0.1, 0.2, {"m": answer})
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


def test_small_objects_are_not_asked_for(data):
    files = list_samples("many", data)[:2]
    sample = files[0].read()
    tiny = np.zeros_like(sample.mask)
    tiny[0, :7] = 1  # 7 of 768 pixels: below 1 %
    from oace_tf.samples.sample import Sample
    dot = SampleFile("dot", "many", lambda: Sample("dot", sample.image, tiny, "many"), "1")
    records = measure_group([*files, dot], {"red": _salient}, PLAN).records
    assert [record.answers["red"].own is None for record in records] == [False, False, True]
    alone = measure_group([files[0], dot], {"red": _salient}, PLAN).records
    assert all(record.answers["red"].own is None for record in alone)


def test_bad_samples(data):
    files = list_samples("grabcut", data)
    (data / "GrabCut" / "data_GT" / "p1.png").write_bytes(b"damaged")
    with pytest.raises(UsageError, match="p1.png"):
        measure_group(files, {}, PLAN)
    result = measure_group(files, {}, Plan(skip_bad=True, baselines=()))
    assert len(result.records) == 2 and "p1.png" in result.left_out[0]


# --- the journal


def _result(name):
    answer = Answer([0.5, math.nan], [0.1], [3.0], [[1, 2, 1]], 0.5, 0.1, True, {"centre": [0.5]},
                    {"centre": 0.25})
    record = ObjectRecord(name, "d", "g", "cup", "rare", 5, 0.25, 0.125, {"m": answer})
    return GroupResult([record], ["left"], 3.0, 2.0, 0.5)


def test_journal(tmp_path):
    path = tmp_path / "sub" / "run.journal"
    journal = Journal(path, {"run": 1})
    journal.add("one", _result("a"))
    journal.add("two", _result("b"))
    journal.close(done=False)
    with open(path, "a") as file:
        file.write('{"key": "three", "rec')  # cut off
    again = Journal(path, {"run": 1})
    assert list(again.finished) == ["one", "two"]
    np.testing.assert_equal(dataclasses.asdict(again.finished["one"]),
                            dataclasses.asdict(_result("a")))
    again.add("three", _result("c"))
    again.close(done=False)
    third = Journal(path, {"run": 1})
    assert list(third.finished) == ["one", "two", "three"]
    third.close(done=False)
    assert path.exists()
    other = Journal(path, {"run": 2})
    assert not other.finished
    other.close(done=False)
    assert not path.exists()  # nothing in it, nothing left
    Journal(None, {}).close(done=True)


def test_journal_of_something_else(tmp_path):
    path = tmp_path / "run.journal"
    path.write_bytes(b"\xff\xfe no text")
    journal = Journal(path, {})
    journal.add("one", _result("a"))
    journal.close(done=True)
    assert not path.exists() and not list(tmp_path.iterdir())
    with pytest.raises(UsageError, match="cannot write"):
        Journal(tmp_path, {})


def test_key_follows_the_files(data):
    files = list_samples("grabcut", data)
    before = key_of(files[:1])
    assert before == key_of(list_samples("grabcut", data)[:1]) != key_of(files[1:2])
    path = data / "GrabCut" / "boundary_GT" / "p0.png"
    path.write_bytes(path.read_bytes() + b" ")
    assert key_of(files[:1]) != before


def test_photographs_do_not_pile_up(tiny_int8):
    """Only the photograph under way is in memory, however many there are."""
    import gc
    import weakref

    from oace_tf.evaluation import runner
    from oace_tf.evaluation.predictors import check_models
    from oace_tf.samples.sample import Sample

    alive, most = set(), []

    def read(name):
        image = np.full((24, 32, 3), 200, np.uint8)
        mask = np.zeros((24, 32), np.int8)
        mask[4:20, 4:20] = 1
        alive.add(name)
        weakref.finalize(image, alive.discard, name)
        most.append(len(alive))
        return Sample(name, image, mask, "made", name)

    files = [SampleFile(str(k), "made", partial(read, str(k)), str(k)) for k in range(12)]
    gc.disable()  # nothing may need the collector to go away
    try:
        results = runner.run_sets(check_models([tiny_int8], 4), {"made": photographs(files)},
                                  Plan(clicks=4, spread_taps=2), 1, Journal(None, {}))
    finally:
        gc.enable()
    assert len(results["made"].records) == 12 and max(most) <= 2
