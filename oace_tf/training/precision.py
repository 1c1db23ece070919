"""Precision, the number format that networks compute in; weights are float32 in any case."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras

_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


@contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Build networks that compute in `float32` or `bfloat16`; losses stay float32.

    A network keeps what it was built with.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(_POLICIES[precision])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
