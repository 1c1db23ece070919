"""What two networks agree on: worked by hand on small maps."""
from __future__ import annotations

import numpy as np
import pytest

from experiments.proposals.agreement import (
    Proposal,
    Rules,
    agreed,
    find_objects,
    jittered_taps,
    with_new,
)

SIZE = (20, 40)


def box(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    """Return a mask, (20, 40) bool."""
    mask = np.zeros(SIZE, bool)
    mask[top:bottom, left:right] = True
    return mask


def logits_of(*masks: np.ndarray) -> np.ndarray:
    """Return logits of +6 on each mask, -6 beside it."""
    return np.stack([np.where(mask, 6.0, -6.0) for mask in masks]).astype(np.float32)


def probability_of(mask: np.ndarray, inside: float = 0.9, outside: float = 0.1) -> np.ndarray:
    """Return our probabilities."""
    return np.where(mask, inside, outside).astype(np.float32)


PART, WHOLE = box(5, 10, 10, 15), box(5, 15, 10, 30)


def test_ours_says_which_extent_is_meant() -> None:
    logits, scores = logits_of(PART, WHOLE), np.array([0.95, 0.93])
    found = agreed(probability_of(WHOLE), logits, scores, (12, 7))
    assert found is not None and (found.mask == WHOLE).all()
    assert found.score == pytest.approx(0.93)
    # 200 px of 0.9 overlap; the union is 200 px of 1 and 600 px of 0.1
    assert found.agreement == pytest.approx(0.9 * 200 / (200 + 0.1 * 600), rel=1e-4)
    part = agreed(probability_of(PART, 0.95, 0.0), logits, scores, (12, 7))
    assert part is not None and (part.mask == PART).all()


def test_the_mask_is_the_mean_of_both_under_the_tap() -> None:
    # Ours is sure of a strip that the teacher has not: (0.9 + 0.0025) / 2 < 0.5, so it stays out.
    # Where the teacher is unsure (logit -1: 0.27), ours decides: (0.9 + 0.27) / 2 > 0.5.
    logits = logits_of(WHOLE)
    logits[0, 5:15, 30:34] = -1.0
    ours = probability_of(box(5, 15, 10, 38), 0.9, 0.0)
    found = agreed(ours, logits, np.array([0.9]), (12, 7))
    assert found is not None and (found.mask == box(5, 15, 10, 34)).all()
    two = logits_of(WHOLE | box(0, 3, 0, 3))
    found = agreed(probability_of(WHOLE), two, np.array([0.9]), (12, 7))
    assert found is not None and (found.mask == WHOLE).all()  # the other piece is not tapped
    assert agreed(probability_of(WHOLE), logits_of(WHOLE), np.array([0.9]), (2, 2)) is None


@pytest.mark.parametrize(("mask", "ours", "score", "without"), (
    (WHOLE, WHOLE, 0.84, {"score": 0.8}),
    (WHOLE, box(5, 15, 10, 16), 0.95, {"agreement": 0.2}),  # 60 of 200 px
    (box(5, 7, 5, 6), box(5, 7, 5, 6), 0.95, {"smallest": 0.001}),  # 2 of 800 px
    (box(1, 19, 1, 39), box(1, 19, 1, 39), 0.95, {"largest": 0.9}),  # 86 % of the frame
    (box(0, 4, 15, 27), box(0, 4, 15, 27), 0.95, {"top": 0.5}),  # sky: 12 of 40 px above
    (box(6, 20, 0, 24), box(6, 20, 0, 24), 0.95, {"border": 0.5}),  # floor: 38 of 120 px
))
def test_what_is_not_kept(mask: np.ndarray, ours: np.ndarray, score: float,
                          without: dict[str, float]) -> None:
    row, column = np.argwhere(mask)[0]
    given = (probability_of(ours, 1.0, 0.0), logits_of(mask), np.array([score]),
             (float(column), float(row)))
    assert agreed(*given) is None
    assert agreed(*given, Rules(**without)) is not None  # it is this rule alone


def test_at_the_border_agreement_must_be_higher() -> None:
    mask = box(8, 20, 14, 32)  # 18 of 120 px of the border: 15 %
    sure = agreed(probability_of(mask, 1.0, 0.0), logits_of(mask), np.array([0.9]), (20, 12))
    assert sure is not None
    unsure = agreed(probability_of(mask, 0.52, 0.0), logits_of(mask), np.array([0.9]), (20, 12))
    assert unsure is None  # soft IoU 0.52
    inner = box(4, 16, 14, 32)
    assert agreed(probability_of(inner, 0.52, 0.0), logits_of(inner), np.array([0.9]), (20, 12))


def test_of_two_masks_of_one_object_the_surer_stays() -> None:
    first = Proposal(box(0, 10, 0, 10), 0.9, 0.6)
    surer = Proposal(box(0, 10, 0, 9), 0.9, 0.7)
    beside = Proposal(box(0, 10, 20, 30), 0.9, 0.5)
    assert with_new([first], beside, 0.5) == [first, beside]
    assert with_new([first, beside], surer, 0.5) == [beside, surer]
    assert with_new([surer, beside], first, 0.5) == [surer, beside]


def test_what_was_found_is_not_asked_for_again() -> None:
    asked = []

    def ask(x: float, y: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        asked.append((x, y))
        mask = WHOLE if WHOLE[round(y), round(x)] else box(0, 4, 2, 8)
        return probability_of(mask, 0.9, 0.0), logits_of(mask), np.array([0.95])

    found = find_objects([(12, 7), (25, 12), (4, 2), (5, 2)], ask, SIZE, Rules(top=1.0))
    assert asked == [(12, 7), (4, 2)]
    assert [one.mask.sum() for one in found] == [200, 24]


def test_taps_lie_one_in_every_cell() -> None:
    taps = jittered_taps(SIZE, 4, np.random.default_rng(3))
    cells = {(int((x + 0.5) // 10), int((y + 0.5) // 5)) for x, y in taps}
    assert len(taps) == 16 and cells == {(c, r) for c in range(4) for r in range(4)}
    assert taps == jittered_taps(SIZE, 4, np.random.default_rng(3))
    assert taps != jittered_taps(SIZE, 4, np.random.default_rng(4))
