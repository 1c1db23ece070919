"""The protocol: the same click for all, the threshold, and figures that are not finite."""
import itertools
import math

import numpy as np
import pytest

from oace_tf.clicks import Click
from oace_tf.errors import UsageError
from oace_tf.evaluation.protocol import evaluate_first_click, mean_iou
from oace_tf.samples.layouts import Sample


def _sample(name, mask):
    mask = np.array(mask, np.int8)
    return Sample(name, np.zeros((*mask.shape, 3), np.uint8), mask, "set")


SAMPLES = [_sample("a", [[1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, -1]]), _sample("b", [[0, 1, 1, 0]])]


def _constant(value):
    return lambda image, clicks: np.full(image.shape[:2], value, np.float32)


def test_records():
    seen: list = []
    told: list = []

    def spy(image, clicks):
        seen.append((image.shape, tuple(clicks)))
        return np.zeros(image.shape[:2], np.float32)

    ticks = itertools.count()
    records = evaluate_first_click(
        {"half": _constant(0.5), "below": _constant(np.nextafter(np.float32(0.5), np.float32(0))),
         "spy": spy},
        iter(SAMPLES), agree=("below", "spy"), progress=told.append,
        clock=lambda: next(ticks) * 2.0)
    assert records == told
    assert [record.id for record in records] == ["a", "b"]
    assert [record.dataset for record in records] == ["set", "set"]
    assert [record.click for record in records] == [Click(1, 1), Click(1, 0)]
    assert seen == [((3, 4, 3), (Click(1, 1),)), ((1, 4, 3), (Click(1, 0),))]
    assert records[0].iou == {"half": 9 / 11, "below": 0, "spy": 0}  # one half is object
    assert records[1].iou == {"half": 2 / 4, "below": 0, "spy": 0}
    assert records[0].seconds == {"half": 2.0, "below": 2.0, "spy": 2.0}
    assert [record.agreement for record in records] == [1.0, 1.0]  # two empty masks agree
    assert mean_iou(records, "half") == (9 / 11 + 1 / 2) / 2
    with pytest.raises(KeyError):
        mean_iou(records, "unknown")


def test_no_agreement_unless_asked():
    (record,) = evaluate_first_click({"x": _constant(1.0)}, SAMPLES[:1])
    assert record.agreement is None and record.seconds["x"] >= 0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_numbers_that_are_not_finite_show(bad):
    def one_bad_pixel(image, clicks):
        probability = np.ones(image.shape[:2], np.float32)
        probability[0, 0] = bad
        return probability

    records = evaluate_first_click({"good": _constant(1.0), "bad": one_bad_pixel}, SAMPLES,
                                   agree=("good", "bad"))
    assert all(math.isnan(record.iou["bad"]) for record in records)
    assert all(math.isnan(record.agreement or 0) for record in records)
    assert math.isnan(mean_iou(records, "bad"))
    assert not math.isnan(mean_iou(records, "good"))


def test_faults():
    with pytest.raises(ValueError, match="flat gave shape"):
        evaluate_first_click({"flat": lambda image, clicks: np.zeros(3, np.float32)}, SAMPLES)
    with pytest.raises(ValueError, match="no records"):
        mean_iou([], "x")
    with pytest.raises(UsageError, match="object pixel"):
        evaluate_first_click({"x": _constant(1.0)}, [_sample("empty", [[0, -1]])])


def test_one_sample_at_a_time():
    """The next sample is asked for only when the record of the last one is there."""
    records: list = []

    def samples():
        for number in range(3):
            assert len(records) == number
            yield SAMPLES[number % 2]

    evaluate_first_click({"x": _constant(1.0)}, samples(), progress=records.append)
    assert len(records) == 3
