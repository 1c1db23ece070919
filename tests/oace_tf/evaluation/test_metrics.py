"""IoU, AUC and intervals against plain rules and figures worked by hand."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from oace_tf.evaluation.metrics import (
    auc,
    bootstrap_mean_ci,
    iou,
    mask_agreement,
    paired_bootstrap_ci,
)

masks = arrays(bool, (3, 4))


@given(masks, masks)
@settings(max_examples=50, deadline=None)
def test_agreement_is_symmetric_and_bounded(a, b):
    value = mask_agreement(a, b)
    assert value == mask_agreement(b, a)
    assert 0 <= value <= 1
    assert (value == 1) == np.array_equal(a, b)
    assert value == iou(a, b.astype(np.int8))


@given(masks, arrays(np.int8, (3, 4), elements=st.sampled_from([-1, 0, 1])))
@settings(max_examples=50, deadline=None)
def test_iou_against_counting(prediction, mask):
    both = either = 0
    for predicted, label in zip(prediction.ravel(), mask.ravel()):
        if label != -1:
            both += predicted and label == 1
            either += predicted or label == 1
    assert iou(prediction, mask) == (both / either if either else 1.0)


def test_hand_worked_iou():
    prediction = np.array([[1, 1, 1, 0, 1]], bool)
    assert iou(prediction, np.array([[1, 1, 0, 1, -1]], np.int8)) == 2 / 4
    assert mask_agreement(np.zeros((2, 2), bool), np.zeros((2, 2), bool)) == 1.0


@pytest.mark.parametrize("positive, negative, expected", [
    ([2, 3], [0, 1], 1.0), ([0, 1], [2, 3], 0.0), ([1, 1], [1, 1, 1], 0.5),
    ([1, 3], [2], 0.5), ([2, 3], [1, 2], 0.875)])
def test_hand_worked_auc(positive, negative, expected):
    assert auc(positive, negative) == expected


@pytest.mark.parametrize("seed", range(5))
def test_auc_against_all_pairs(seed):
    rng = np.random.default_rng(seed)
    positive, negative = rng.integers(0, 12, (8, 5)), rng.integers(0, 9, 33)  # many ties
    pairs = np.sign(positive.ravel()[:, None] - negative[None, :])
    assert auc(positive, negative) == pytest.approx((pairs.mean() + 1) / 2, abs=1e-12)


@pytest.mark.parametrize("positive, negative", [([], [1]), ([1], []), ([np.nan], [1])])
def test_auc_that_is_none(positive, negative):
    with pytest.raises(ValueError):
        auc(positive, negative)


def test_interval_of_the_mean():
    """Of 400 normal values the interval is near mean +- 1.96 s / 20, and the seed decides."""
    values = np.random.default_rng(0).normal(3, 2, 400)
    low, high = bootstrap_mean_ci(values, np.random.default_rng(1))
    half = 1.96 * values.std() / 20
    # resampling noise of the ends: measured 0.006, of a half width of 0.19
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.03)
    assert (low, high) == bootstrap_mean_ci(values, np.random.default_rng(1))
    assert (low, high) != bootstrap_mean_ci(values, np.random.default_rng(2))
    narrow = bootstrap_mean_ci(values, np.random.default_rng(1), level=0.5)
    assert low < narrow[0] < narrow[1] < high


def test_pairs_cancel_what_they_share():
    rng = np.random.default_rng(3)
    shared = rng.normal(0, 100, 50)
    low, high = paired_bootstrap_ci(shared + 0.25, shared, rng, n=200)
    assert (low, high) == pytest.approx((0.25, 0.25), abs=1e-9)


def test_intervals_that_are_none():
    rng = np.random.default_rng(0)
    for values in ([], [1.0, np.nan], [np.inf], [[1.0]]):
        with pytest.raises(ValueError, match="interval"):
            bootstrap_mean_ci(np.array(values), rng)
    with pytest.raises(ValueError, match="equal lengths"):
        paired_bootstrap_ci([1.0], [1.0, 2.0], rng)
