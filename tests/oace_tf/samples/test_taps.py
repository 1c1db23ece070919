"""Simulated taps: on the object or beside it, of all kinds, seeded."""
from __future__ import annotations

import numpy as np
import pytest

from oace_tf.clicks import Click
from oace_tf.samples.taps import KINDS, draw_taps, random_taps


def mask() -> np.ndarray:
    found = np.zeros((20, 30), np.int8)
    found[5:12, 8:20] = 1
    found[4] = -1
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_labels_say_where_the_taps_lie(kind: str) -> None:
    for seed in range(20):
        taps = draw_taps(mask(), kind, np.random.default_rng(seed))
        assert taps[0].positive
        for tap in taps:
            assert mask()[int(tap.y), int(tap.x)] == (1 if tap.positive else 0)


def test_kinds_differ() -> None:
    drawn = {kind: [draw_taps(mask(), kind, np.random.default_rng(seed)) for seed in range(30)]
             for kind in KINDS}
    assert all(taps == drawn["centre"][0] and len(taps) == 1 for taps in drawn["centre"])
    assert len(set(drawn["anywhere"])) > 20
    assert {len(taps) for taps in drawn["several"]} == {2, 3, 4}
    assert all(tap.positive for taps in drawn["several"] for tap in taps)
    assert {sum(not tap.positive for tap in taps) for taps in drawn["with_background"]} == {1, 2, 3}


def test_same_seed_same_taps() -> None:
    for kind in KINDS:
        pair = [draw_taps(mask(), kind, np.random.default_rng(4)) for _ in range(2)]
        assert pair[0] == pair[1]


def test_an_object_that_fills_the_image_has_no_background_taps() -> None:
    taps = draw_taps(np.ones((4, 5), np.int8), "with_background", np.random.default_rng(0))
    assert len(taps) == 1


def test_random_taps_lie_inside() -> None:
    seen = set()
    for seed in range(40):
        for kind in KINDS:
            taps = random_taps(7, 5, kind, np.random.default_rng(seed))
            assert taps[0].positive
            assert all(0 <= tap.x <= 4 and 0 <= tap.y <= 6 for tap in taps)
            seen.add(taps[0])
    assert len(seen) > 15
    assert random_taps(1, 1, "several", np.random.default_rng(0))[0] == Click(0, 0)


def test_unknown_kind() -> None:
    with pytest.raises(ValueError, match="nowhere"):
        draw_taps(mask(), "nowhere", np.random.default_rng(0))
