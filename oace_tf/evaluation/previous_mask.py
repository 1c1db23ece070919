"""Previous mask kept between the protocol's calls, for models that are guided by it (RITM).

The protocol hands over all clicks so far and expects one answer. A guided model needs its answer
to the clicks before as well; asking for it again each time would cost a run per click.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from oace_tf.clicks import Click
from oace_tf.gestures import Gesture

Asked = Sequence[Click] | Gesture
# photograph, clicks or gesture, mask in the frame for all but the last click (None: from the start)
#   -> probability (H, W), mask in the frame
Answer = Callable[[np.ndarray, Any, np.ndarray | None], tuple[np.ndarray, np.ndarray]]
_Key = tuple[Click, ...] | Gesture


class Guided:
    """Keeps the masks of one photograph, for the case that a call goes on by one click.

    What is asked may be clicks, or a gesture whose taps grow.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._image: np.ndarray | None = None  # kept, so that no other array can take its place
        self._masks: dict[_Key, np.ndarray] = {}

    def __call__(self, image: np.ndarray, asked: Asked) -> np.ndarray:
        """Return the probability, (H, W) float32 in [0, 1]."""
        if self._image is not image:
            self._image, self._masks = image, {}
        key: _Key = asked if isinstance(asked, Gesture) else tuple(asked)
        before = _before(key)
        previous = None if before is None else self._masks.get(before)
        probability, self._masks[key] = self._answer(image, key, previous)
        return probability


def _before(asked: _Key) -> _Key | None:
    """Return what was asked one click before; None where this is the first of its kind."""
    if not isinstance(asked, Gesture):
        return asked[:-1] or None
    if not asked.taps:
        return None
    if asked.kinds <= {"tap", "background"} and not any(tap.positive for tap in asked.taps[:-1]):
        return None
    return replace(asked, taps=asked.taps[:-1])
