"""Random taps: where they may lie, that they repeat, and what their masks' spread is."""
import itertools

import numpy as np
import pytest

from oace_tf.clicker import edge_distance
from oace_tf.clicks import Click
from oace_tf.evaluation.metrics import mask_agreement
from oace_tf.evaluation.spread import PLACES, generator_of, mutual_iou, random_taps, tap_spread
from oace_tf.samples.sample import Sample

BIG = np.zeros((60, 80), np.int8)
BIG[5:55, 10:70] = 1
SMALL = np.zeros((9, 9), np.int8)
SMALL[3:6, 2:7] = 1
DOT = np.zeros((5, 5), np.int8)
DOT[2, 2] = 1


def _sample(mask, name="a"):
    return Sample(name, np.zeros((*mask.shape, 3), np.uint8), mask, "set")


@pytest.mark.parametrize("mask", [BIG, SMALL, DOT])
def test_places(mask):
    depth = edge_distance(mask == 1)
    greatest = depth.max()
    for place, fits in (("anywhere", lambda d: d >= min(5, greatest / 2)),
                        ("centre", lambda d: d >= 2 / 3 * greatest),
                        ("border", lambda d: 1 <= d <= max(1, greatest / 3))):
        taps = random_taps(mask, place, 200, np.random.default_rng(0))
        found = [depth[int(tap.y), int(tap.x)] for tap in taps]
        assert len(found) == 200 and all(fits(d) for d in found) and all(t.positive for t in taps)
    with pytest.raises(ValueError, match="edge"):
        random_taps(mask, "edge", 1, np.random.default_rng(0))


def test_no_tap_twice_where_there_is_room():
    taps = random_taps(BIG, "anywhere", 300, np.random.default_rng(1))
    assert len(set(taps)) == 300
    assert len(set(random_taps(DOT, "border", 3, np.random.default_rng(1)))) == 1


def test_taps_depend_on_object_and_place_only():
    def taps(seed, name, place):
        return random_taps(BIG, place, 10, generator_of(seed, _sample(BIG, name), place))

    assert taps(0, "a", "anywhere") == taps(0, "a", "anywhere")
    keys = itertools.product((0, 1), ("a", "b"), PLACES)
    assert len({taps(*key) for key in keys}) == 12


def test_spread_by_hand():
    def left_of_tap(image, clicks):
        found = np.zeros(image.shape[:2], np.float32)
        found[3:6, 2: int(clicks[0].x) + 1] = 1
        return found

    taps = [Click(2, 4), Click(4, 4), Click(6, 4)]
    scores, mutual = tap_spread(left_of_tap, _sample(SMALL), taps)
    assert scores == pytest.approx((1 / 5, 3 / 5, 1))
    assert mutual == pytest.approx((1 / 3 + 1 / 5 + 3 / 5) / 3)


def test_mutual_iou_against_pairs():
    rng = np.random.default_rng(0)
    masks = rng.random((6, 50)) < rng.random((6, 1))
    masks[:2] = False
    pairs = [mask_agreement(a, b) for a, b in itertools.combinations(masks, 2)]
    assert mutual_iou(masks) == pytest.approx(np.mean(pairs))


def test_not_finite():
    scores, mutual = tap_spread(lambda image, clicks: np.full(image.shape[:2], np.nan),
                                _sample(SMALL), random_taps(SMALL, "centre", 2,
                                                            np.random.default_rng(0)))
    assert np.isnan(scores).all() and np.isnan(mutual)
