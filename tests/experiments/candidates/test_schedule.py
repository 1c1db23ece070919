"""The schedule by time."""
from __future__ import annotations

import pytest

from experiments.candidates.schedule import learning_share


def test_the_rate_stays_and_then_falls_evenly():
    shares = [learning_share(done) for done in (0.0, 0.35, 0.675, 0.999)]
    assert shares == pytest.approx([1.0, 1.0, 0.5, 0.01])
