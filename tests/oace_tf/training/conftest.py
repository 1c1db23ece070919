"""What the tests of training share: a drawn data set, the tiny pair, functions run eagerly."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

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


@pytest.fixture()
def fresh_pair() -> Callable[..., Any]:
    """Return a function of a seed and `NetworkConfig` fields: a fresh pair of any size."""
    import dataclasses

    import keras

    from oace_tf.config import NetworkConfig
    from oace_tf.networks.pair import build_pair

    def build(seed: int = 0, **fields: Any) -> Any:
        keras.utils.set_random_seed(seed)
        return build_pair(dataclasses.replace(NetworkConfig.preset("tiny"), **fields), None)

    return build
