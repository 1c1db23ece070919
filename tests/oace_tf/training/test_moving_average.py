"""Moving average: when it is updated, what it keeps of the old, none where none is asked for."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from oace_tf.networks.weights import get_arrays, set_arrays
from oace_tf.training.moving_average import EVERY, MovingAverage

DISK = {"msf": False, "click_input": "disk"}


def filled(pair: Any, value: float) -> Any:
    """Return the pair with one number in all its weights."""
    set_arrays(pair, {name: np.full_like(array, value)
                      for name, array in get_arrays(pair).items()}, "filled")
    return pair


def test_it_forgets_more_early_on(fresh_pair: Callable[..., Any]) -> None:
    pair, average = fresh_pair(0, **DISK), MovingAverage(0.9)
    names = set(get_arrays(pair))
    for step in range(EVERY - 1):
        average.update(step, filled(pair, 7.0))
        assert not average.arrays
    average.update(3, filled(pair, 1.0))  # the fourth step
    assert set(average.arrays) == names
    assert all((array == 1.0).all() for array in average.arrays.values())
    average.update(7, filled(pair, 2.0))
    # of the old, min(0.9, (1 + 7) / (10 + 7)) to the fourth is kept
    kept = (8 / 17)**4
    for array in average.arrays.values():
        np.testing.assert_allclose(array, kept + 2.0 * (1 - kept), rtol=1e-6)
    average.update(1003, filled(pair, 4.0))  # late: 0.9 a step
    for array in average.arrays.values():
        np.testing.assert_allclose(
            array, 0.9**4 * (kept + 2.0 * (1 - kept)) + 4.0 * (1 - 0.9**4), rtol=1e-6)


def test_none_is_kept_without_a_decay(fresh_pair: Callable[..., Any]) -> None:
    average = MovingAverage(0.0)
    average.update(3, fresh_pair(0, **DISK))
    assert not average.arrays
