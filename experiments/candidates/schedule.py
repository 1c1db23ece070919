"""What all candidates share: the size of the training, and the learning rate by time."""
from __future__ import annotations

SIZE = 256  # px, of the training
FALLING = 0.35  # share of the minutes after which the learning rate falls


def learning_share(done: float) -> float:
    """Return the learning rate as a share of its peak when `done` in [0, 1] of the time is over."""
    if done <= FALLING:
        return 1.0
    return max(0.01, (1.0 - done) / (1.0 - FALLING))
