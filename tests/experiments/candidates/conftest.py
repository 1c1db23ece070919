"""What the tests of candidates share: functions run eagerly."""
from __future__ import annotations

from tests.oace_tf.training.conftest import eager

__all__ = ["eager"]
