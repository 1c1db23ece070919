"""Seeded weights by name, and inputs: what PyTorch was given once, and what the tests take."""
from __future__ import annotations

import zlib

import numpy as np

SEED = 16
SIZES = {"hrnet18": 64, "hrnet18s": 64, "segmentation18s": 64, "ritm_hrnet18": 96,
         "ritm_hrnet18s": 96}


def seeded(name: str, shape: tuple[int, ...], seed: int = SEED) -> np.ndarray:
    """Return a tensor that depends on its published name and shape alone, float32.

    Normalisations scale by less than one, so that residual sums do not grow with the depth.
    """
    unit = np.random.default_rng((seed, zlib.crc32(name.encode()))).random(shape)
    kind = name.rpartition(".")[2]
    if len(shape) == 4:
        value = (2 * unit - 1) * np.sqrt(6 / np.prod(shape[1:]))
    elif len(shape) == 2:
        value = (2 * unit - 1) * np.sqrt(3 / shape[1])
    elif kind == "weight":
        value = 0.2 + 0.4 * unit
    elif kind == "running_var":
        value = 0.5 + unit
    elif kind == "scale":
        value = -0.2 - 0.2 * unit  # negative: what counts is its size
    else:
        value = 0.4 * unit - 0.2
    return value.astype(np.float32)


def inputs(key: str) -> list[np.ndarray]:
    """The inputs of one network, channels first, seeded."""
    rng, size = np.random.default_rng(len(key)), SIZES[key]
    if not key.startswith("ritm"):
        return [rng.normal(0, 1, (1, 3, size, size)).astype(np.float32)]
    image = rng.random((1, 3, size, size)).astype(np.float32)
    previous = rng.random((1, 1, size, size)).astype(np.float32)
    clicks = np.zeros((1, 2, size, size), np.float32)
    rows, columns = np.mgrid[:size, :size]
    for label, (y, x) in enumerate(((20, 30), (70, 8))):
        clicks[0, label] = (rows - y) ** 2 + (columns - x) ** 2 <= 25
    return [image, previous, clicks]
