"""Taps in the errors of the prediction before: where they lie, and on which map."""
from __future__ import annotations

import numpy as np

from oace_tf.training.error_taps import error_tap, with_error_taps

SIZE = 64


def scene():
    mask = np.zeros((SIZE, SIZE), np.int8)
    mask[10:50, 10:30] = 1
    mask[:, 60:] = -1
    return mask


def middle(disk):
    return tuple(round(float(values.mean())) for values in np.nonzero(disk))


def test_a_tap_lies_deep_in_the_larger_error():
    mask = scene()
    predicted = mask == 1
    predicted[10:40, 10:30] = False  # 30 x 20 missed
    predicted[20:30, 40:50] = True  # 10 x 10 too much
    predicted[:, 60:] = True  # nobody knows
    seen = set()
    for seed in range(20):
        tap = error_tap(mask, predicted, np.random.default_rng(seed), background=True)
        assert tap is not None and tap.positive
        # deeper than half of the greatest depth, which is 10
        assert 15 <= tap.y <= 34 and 15 <= tap.x <= 24
        seen.add((tap.x, tap.y))
    assert len(seen) > 10
    predicted[10:40, 10:30] = True
    tap = error_tap(mask, predicted, np.random.default_rng(0), background=True)
    assert tap is not None and not tap.positive and 22 <= tap.y <= 27 and 42 <= tap.x <= 47
    assert error_tap(mask, predicted, np.random.default_rng(0), background=False) is None
    # a right prediction leaves nothing to tap, wherever nobody knows
    assert error_tap(mask, mask != 0, np.random.default_rng(0), background=True) is None


def test_each_round_sees_the_taps_before():
    masks = np.stack([scene()] * 3)
    first = np.zeros((3, SIZE, SIZE, 2), np.uint8)
    first[:, 12, 12, 0] = 1
    batch = {"image": np.zeros((3, SIZE, SIZE, 3), np.uint8), "mask": masks[..., None],
             "disks": first}
    before = first.copy()
    given = []

    def logits(seen):
        given.append(seen["disks"].copy())
        answer = np.full(masks.shape, -4.0)
        answer[1] = 4.0  # everything is object: background taps
        answer[2] = np.where(masks[2] == 1, 4.0, -4.0)  # right
        return answer[..., None]

    rounds = set()
    for seed in range(12):
        given.clear()
        after = with_error_taps(batch, logits, 3, np.random.default_rng(seed))
        rounds.add(len(given))
        np.testing.assert_array_equal(batch["disks"], before)  # left as it was
        for number, disks in enumerate(given[1:]):
            assert disks.sum() > given[number].sum()
        added = after["disks"].astype(int) - before
        assert (added >= 0).all() and not added[2].any()
        if given:
            assert added[0, ..., 0].any() and not added[0, ..., 1].any()
            assert added[1, ..., 1].any() and not added[1, ..., 0].any()
    assert rounds == {0, 1, 2, 3}
    # one tap: a whole disk of radius 5 around a pixel that was missed
    for seed in range(12):
        given.clear()
        after = with_error_taps(batch, logits, 1, np.random.default_rng(seed))
        if given:
            disk = after["disks"][0, ..., 0] - before[0, ..., 0]
            y, x = middle(disk)
            assert disk.sum() in (80, 81) and masks[0, y, x] == 1
            again = with_error_taps(batch, logits, 1, np.random.default_rng(seed))
            np.testing.assert_array_equal(again["disks"], after["disks"])


def test_with_one_map_only_the_object_is_tapped():
    batch = {"mask": scene()[None, ..., None], "disks": np.zeros((1, SIZE, SIZE, 1), np.uint8)}

    def logits(seen):
        return np.where(scene() == 1, -1.0, 1.0)[None, ..., None]

    after = with_error_taps(batch, logits, 7, np.random.default_rng(1))
    assert after["disks"].shape == batch["disks"].shape and after["disks"].any()
    y, x = np.nonzero(after["disks"][0, ..., 0])
    assert 5 <= y.min() and y.max() <= 54 and 5 <= x.min() and x.max() <= 34
