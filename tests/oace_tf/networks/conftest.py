"""The tiny pair, built once, with seeded weights unlike those of a fresh one."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest


def seeded_arrays(pair: Any, seed: int = 0) -> dict[str, np.ndarray]:
    """Return a tensor for every name of a pair, each exact in float16, none constant."""
    from oace_tf.networks.weights import pair_variables

    rng, arrays = np.random.default_rng(seed), {}
    for name, variable in sorted(pair_variables(pair).items()):
        unit, kind = rng.random(tuple(variable.shape)), name.rpartition(".")[2]
        if len(variable.shape) == 4:
            value = (2 * unit - 1) * np.sqrt(6 / np.prod(variable.shape[:3]))
        elif kind in ("weight", "running_var"):
            value = 0.5 + unit
        else:
            value = unit - 0.5
        arrays[name] = value.astype(np.float16).astype(np.float32)
    return arrays


@pytest.fixture(scope="session")
def tiny_pair() -> Callable[..., Any]:
    """Return a function of `NetworkConfig` fields: a pair of trunk `tiny`, side 64, seeded."""
    import dataclasses
    from functools import cache

    from oace_tf.config import NetworkConfig
    from oace_tf.networks.pair import build_pair
    from oace_tf.networks.weights import set_arrays

    @cache
    def build(**fields: Any) -> Any:
        pair = build_pair(dataclasses.replace(NetworkConfig.preset("tiny"), **fields), 64)
        set_arrays(pair, seeded_arrays(pair), "seeded")
        return pair

    return build
