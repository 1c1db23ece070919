"""Several clicks: runs worked by hand, an independent slow evaluator, NoC, intervals."""
import itertools
import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oace_tf.clicks import Click
from oace_tf.evaluation.metrics import bootstrap_table, clicks_needed, held, sign_flip_p
from oace_tf.evaluation.protocol import run_clicks
from oace_tf.samples.layouts import Sample
from tests.oace_tf.test_clicker import slow_next


def _sample(picture, mask):
    image = np.repeat(np.array(picture, np.uint8)[..., None], 3, axis=2)
    return Sample("made", image, np.array(mask, np.int8), "made")


def components(image, clicks):
    """Return all parts of one grey value that a positive click stands in, no negative one."""
    found = np.zeros(image.shape[:2], np.float32)
    for positive in (True, False):
        for click in clicks:
            if click.positive is positive:
                row, column = round(click.y), round(click.x)
                same = (image[..., 0] == image[row, column, 0]).astype(np.uint8)
                parts = cv2.connectedComponents(same, connectivity=4)[1]
                found[parts == parts[row, column]] = positive
    return found


def made_set():
    """Two objects with their scores by hand.

    First: squares of 4x4 and 2x2. One click takes the large one (16/20), the next the small one.
    Second: a square of 5x5 of one grey value with a bar of 3x3 beside it that is no object: 25/34;
    the second click is on the bar and takes all away (0); the third is on the object again, whose
    whole part a negative click still clears: 0 for good.
    """
    first = np.zeros((9, 14), np.uint8)
    first[2:6, 1:5] = 90
    first[3:5, 9:11] = 180
    second = np.zeros((9, 14), np.uint8)
    second[2:7, 1:6] = 90
    second[3:6, 6:9] = 90
    object_two = np.zeros((9, 14), np.int8)
    object_two[2:7, 1:6] = 1
    return [_sample(first, (first > 0)), _sample(second, object_two)]


def test_components_by_hand():
    runs = [run_clicks(components, sample, 5) for sample in made_set()]
    assert runs[0].iou == (16 / 20, 1.0)  # nothing left to click after the second
    assert runs[0].clicks[1] == Click(9, 3)
    assert runs[1].iou == (25 / 34, 0, 0, 0, 0)
    assert [click.positive for click in runs[1].clicks] == [True, False, True, True, True]
    assert clicks_needed(runs[0].iou, 0.8, 20) == (1, True)
    assert clicks_needed(runs[0].iou, 0.85, 20) == (2, True)
    assert clicks_needed(runs[1].iou, 0.8, 20) == (20, False)
    curve = np.mean([held(run.iou, 5) for run in runs], axis=0)
    np.testing.assert_allclose(curve, [(0.8 + 25 / 34) / 2, 0.5, 0.5, 0.5, 0.5])
    assert runs[0].first_mask is not None and runs[0].first_mask.sum() == 16


@pytest.mark.parametrize("seed", range(8))
def test_against_a_slow_evaluator(seed):
    """The whole run once more, plainly, with the clicker of the clicker's own test."""
    rng = np.random.default_rng(seed)
    shape = (9, 11)
    mask = np.kron(rng.choice([1, 1, 0, -1], (3, 4)), np.ones((3, 3), int))[:9, :11]
    mask[4, 5] = 1
    answers = [np.kron(rng.random((3, 4)), np.ones((3, 3)))[:9, :11].astype(np.float32)
               for _ in range(6)]
    sample = _sample(np.zeros(shape), mask)
    run = run_clicks(lambda image, clicks: answers[len(clicks) - 1], sample, 6)

    clicks, scores = [slow_next(mask, np.zeros(shape, bool), [])], []
    for answer in answers:
        both = either = 0
        for row, column in itertools.product(*map(range, shape)):
            if mask[row, column] != -1:
                said, true = answer[row, column] >= 0.5, mask[row, column] == 1
                both += said and true
                either += said or true
        scores.append(both / either)
        more = slow_next(mask, answer >= 0.5, [(int(c.y), int(c.x)) for c in clicks])
        if more is None or len(scores) == 6:
            break
        clicks.append(more)
    assert run.clicks == tuple(clicks) and run.iou == pytest.approx(scores)


def test_true_mask_and_nothing():
    for sample in made_set():
        truth = (sample.mask == 1).astype(np.float32)
        true = run_clicks(lambda image, clicks: truth, sample, 20)
        assert true.iou == (1.0,) and true.boundary_iou == (1.0,)
        nothing = run_clicks(lambda image, clicks: 0 * truth, sample, 20)
        assert nothing.iou == (0.0,) * 20 and all(click.positive for click in nothing.clicks)
        assert len(set(nothing.clicks)) == 20  # no pixel twice
        assert clicks_needed(nothing.iou, 0.8, 20) == (20, False)


def test_prediction_that_is_not_finite_ends_the_run():
    sample = made_set()[0]
    answers = iter([0 * sample.mask.astype(np.float32), np.full(sample.mask.shape, np.nan)])
    ticks = itertools.count()
    run = run_clicks(lambda image, clicks: next(answers), sample, 20,
                     clock=lambda: next(ticks) * 1.0)
    assert run.iou[0] == 0 and math.isnan(run.iou[1]) and len(run.iou) == 2
    assert run.seconds == (1.0, 1.0)
    with pytest.raises(ValueError, match="at least one click"):
        run_clicks(components, sample, 0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=25), st.floats(0, 1), st.floats(0, 1))
def test_noc_never_falls_when_the_threshold_rises(ious, one, other):
    low, high = sorted((one, other))
    assert clicks_needed(ious, low, 20)[0] <= clicks_needed(ious, high, 20)[0] <= 20


def test_success_at_the_last_click_is_one():
    ious = [0.1] * 19 + [0.9, 1.0]
    assert clicks_needed(ious, 0.9, 20) == (20, True)
    assert clicks_needed(ious, 1.0, 20) == (20, False)
    with pytest.raises(ValueError):
        held([], 3)


def test_bootstrap_of_a_table():
    rng = np.random.default_rng(0)
    values = np.stack([rng.normal(0, 1, 400), np.full(400, 3.0)], axis=1)
    alone = bootstrap_table(values, [str(n) for n in range(400)], np.random.default_rng(1))
    assert alone.shape == (2, 2) and alone[1].tolist() == [3, 3]
    assert alone[0, 1] - alone[0, 0] == pytest.approx(2 * 1.96 / 20, rel=0.1)
    doubled = bootstrap_table(np.repeat(values, 4, axis=0),
                              [str(n // 4) for n in range(1600)], np.random.default_rng(1))
    np.testing.assert_allclose(doubled, alone, atol=1e-9)  # four of one image tell no more
    for bad in (values[:0], values * np.nan):
        with pytest.raises(ValueError):
            bootstrap_table(bad, ["x"] * len(bad), rng)
    with pytest.raises(ValueError):
        bootstrap_table(values, ["x"], rng)


def test_sign_flips():
    rng = np.random.default_rng(0)
    names = [str(n) for n in range(12)]
    assert sign_flip_p([0.0] * 12, names, rng) == 1
    # all 12 of one sign: 2 of 4096 flips are as far out
    assert sign_flip_p([1.0] * 12, names, rng, 20000) == pytest.approx(2 / 4096, rel=0.5)
    assert sign_flip_p([1.0] * 12, ["one"] * 12, rng) == 1
