"""Previous mask kept between the protocol's calls, for models that are guided by it (RITM).

The protocol hands over all clicks so far and expects one answer. A guided model needs its answer
to the clicks before as well; asking for it again each time would cost a run per click.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from oace_tf.clicks import Click

# photograph, clicks, mask in the frame for all clicks but the last (None: from the start)
#   -> probability (H, W), mask in the frame
Answer = Callable[[np.ndarray, Sequence[Click], np.ndarray | None], tuple[np.ndarray, np.ndarray]]


class Guided:
    """Keeps the mask of the last call, for the case that the next one goes on by one click."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._image: np.ndarray | None = None  # kept, so that no other array can take its place
        self._clicks: tuple[Click, ...] = ()
        self._mask: np.ndarray | None = None

    def __call__(self, image: np.ndarray, clicks: Sequence[Click]) -> np.ndarray:
        """Return the probability, (H, W) float32 in [0, 1]."""
        clicks = tuple(clicks)
        goes_on = self._image is image and len(clicks) > 1 and clicks[:-1] == self._clicks
        probability, mask = self._answer(image, clicks, self._mask if goes_on else None)
        self._image, self._clicks, self._mask = image, clicks, mask
        return probability
