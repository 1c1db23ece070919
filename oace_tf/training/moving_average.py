"""Moving average of the weights of a run."""
from __future__ import annotations

import numpy as np

from oace_tf.networks.weights import Networks, get_arrays

EVERY = 4  # steps between updates


class MovingAverage:
    """The average of the weights of networks over the last steps, updated every fourth.

    Args:
      decay: the share that a step leaves of it, in [0, 1); with 0 no average is kept.
    Attributes:
      arrays: name -> average; empty before the first update.
    """

    def __init__(self, decay: float) -> None:
        self._decay = decay
        self.arrays: dict[str, np.ndarray] = {}

    def update(self, step: int, networks: Networks) -> None:
        """Take in the weights after a step, where it is time to."""
        if self._decay <= 0 or (step + 1) % EVERY:
            return
        # Early on the average is short, so that it forgets the untrained weights.
        keep = min(self._decay, (1 + step) / (10 + step)) ** EVERY
        for name, value in get_arrays(networks).items():
            if name in self.arrays:
                self.arrays[name] += (1.0 - keep) * (value - self.arrays[name])
            else:
                self.arrays[name] = value
