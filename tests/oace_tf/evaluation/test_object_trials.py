"""What is measured on made-up sets: the true mask, nothing, and the part under the tap."""
import json

import numpy as np
import pytest

from oace_tf.errors import UsageError
from oace_tf.evaluation.object_trials import EvaluationOptions, measure_group
from oace_tf.evaluation.runner import photographs
from oace_tf.evaluation.scores import score
from oace_tf.samples.layouts import list_samples
from oace_tf.samples.sample import SampleFile
from tests.oace_tf.evaluation.test_click_runs import components, made_set

OPTIONS = EvaluationOptions(spread_taps=10, baselines=("whole_image", "disk"))


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


def _records(files, predictors, options=OPTIONS):
    return [record for group in photographs(files)
            for record in measure_group(group, predictors, options).records]


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


def test_component_by_hand():
    """The scores of `made_set`, worked out there, through the whole of the measurement."""
    one, other = made_set()
    files = [SampleFile(id="one", dataset="made", read=lambda: one),
             SampleFile(id="other", dataset="made", read=lambda: other)]
    records = _records(files, {"component": components},
                       EvaluationOptions(spread_taps=0, baselines=()))
    found = score("component", records, 20)
    assert found["miou_at"]["1"] == pytest.approx(100 * (16 / 20 + 25 / 34) / 2)
    assert found["miou_at"]["2"] == found["miou_at"]["20"] == 50
    assert found["noc"] == {"80": (1 + 20) / 2, "85": (2 + 20) / 2, "90": (2 + 20) / 2}
    assert found["noc_failures"] == {"80": 1, "85": 1, "90": 1}
    assert found["own_minus_other"] is None and found["tapped_objects"] == 0
    assert found["click_spread"] is None and found["worst_of_ten"] is None


def test_small_objects_are_not_asked_for(data):
    files = list_samples("many", data)[:2]
    sample = files[0].read()
    tiny = np.zeros_like(sample.mask)
    tiny[0, :7] = 1  # 7 of 768 pixels: below 1 %
    from oace_tf.samples.sample import Sample
    dot = SampleFile(id="dot", dataset="many",
                     read=lambda: Sample("dot", sample.image, tiny, "many"), group="1")
    records = measure_group([*files, dot], {"red": _salient}, OPTIONS).records
    assert [record.answers["red"].own is None for record in records] == [False, False, True]
    alone = measure_group([files[0], dot], {"red": _salient}, OPTIONS).records
    assert all(record.answers["red"].own is None for record in alone)


def test_bad_samples(data):
    files = list_samples("grabcut", data)
    (data / "GrabCut" / "data_GT" / "p1.png").write_bytes(b"damaged")
    with pytest.raises(UsageError, match="p1.png"):
        measure_group(files, {}, OPTIONS)
    result = measure_group(files, {}, EvaluationOptions(skip_bad=True, baselines=()))
    assert len(result.records) == 2 and "p1.png" in result.left_out[0]
