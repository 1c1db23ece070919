"""Whole numbers in logs: digits that are odd or endless are refused, never guessed at."""
from __future__ import annotations

import re

from android_bench.errors import NotUnderstood

_WHOLE = re.compile(r"-?[0-9]{1,15}")


def whole_number(text: str, line: str) -> int:
    """Return a printed whole number.

    Args:
      text: its digits.
      line: where they stand, for the message.
    Raises:
      NotUnderstood: they are of another script, or far too many.
    """
    if _WHOLE.fullmatch(text) is None:
        raise NotUnderstood("a number that cannot be read", line)
    return int(text)
