"""What the tests of training share: a drawn data set, the tiny pair, functions run eagerly."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.oace_tf.networks.conftest import seeded_arrays
from tests.oace_tf.training.drawn import write_dataset


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a source of six drawn photographs, one of them unreadable."""
    return write_dataset(tmp_path_factory.mktemp("data") / "drawn", 6, unreadable=(4,))


@pytest.fixture()
def eager() -> Iterator[None]:
    """Run the step without tracing it: for a few steps that is quicker by far."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="session")
def fresh_pair() -> Callable[..., Any]:
    """Return a function of a seed and `NetworkConfig` fields: a tiny pair of any size, seeded.

    Networks are built once for the same arguments, and filled anew at each call.
    """
    import dataclasses
    from functools import cache

    from oace_tf.config import NetworkConfig
    from oace_tf.networks.pair import build_pair
    from oace_tf.networks.weights import set_arrays

    @cache
    def build(seed: int, **fields: Any) -> Any:
        return build_pair(dataclasses.replace(NetworkConfig.preset("tiny"), **fields), None)

    def fresh(seed: int = 0, **fields: Any) -> Any:
        pair = build(seed, **fields)
        set_arrays(pair, seeded_arrays(pair, seed), "seeded")
        return pair

    return fresh
