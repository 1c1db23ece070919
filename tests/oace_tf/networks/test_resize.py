"""The conventions of enlarging, against their definitions written plainly."""
from __future__ import annotations

import keras
import numpy as np
import pytest

from oace_tf.config import RESIZES
from oace_tf.networks.layers import Scope
from oace_tf.networks.resize import Aligned, aligned_matrix, enlarge


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(4).normal(size=(2, height, width, 3)).astype(np.float32)


def plain(x: np.ndarray, factor: int, convention: str) -> np.ndarray:
    """Each output cell by itself."""
    sides = [side * factor for side in x.shape[1:3]]
    result = np.zeros((x.shape[0], *sides, x.shape[3]))
    for row in range(sides[0]):
        for column in range(sides[1]):
            value = np.zeros((x.shape[0], x.shape[3]))
            for y, share_y in corners(row, x.shape[1], factor, convention):
                for z, share_z in corners(column, x.shape[2], factor, convention):
                    value = value + share_y * share_z * x[:, y, z].astype(np.float64)
            result[:, row, column] = value
    return result


def corners(place: int, side: int, factor: int, convention: str) -> list[tuple[int, float]]:
    if convention == "nearest":
        return [(place // factor, 1.0)]
    if convention == "aligned":
        source = place * (side - 1) / (side * factor - 1)
    else:
        source = min(max((place + 0.5) / factor - 0.5, 0), side - 1)
    low = int(source)
    return [(low, 1 - (source - low)), (min(low + 1, side - 1), source - low)]


@pytest.mark.parametrize("convention", RESIZES)
@pytest.mark.parametrize(("height", "width", "factor"), ((3, 5, 2), (2, 3, 4), (1, 4, 8)))
def test_conventions_equal_their_definitions(convention, height, width, factor):
    x = picture(height, width)
    for size in ((height, width), (None, None)):
        if size[0] is None and convention == "half_pixel":
            continue
        image = keras.Input((*size, 3))
        model = keras.Model(image, enlarge(Scope("t"), image, "up", factor, convention))
        found = np.asarray(model(x))
        np.testing.assert_allclose(found, plain(x, factor, convention), atol=2e-6)
        assert model.output.shape[1:] == (size[0] and height * factor, size[1] and width * factor,
                                          3)


def test_matrices_give_what_the_operator_gives():
    x = picture(3, 4)
    layer = Aligned(4)
    np.testing.assert_allclose(np.asarray(layer.by_matrices(keras.ops.convert_to_tensor(x))),
                               np.asarray(layer(x)), atol=1e-6)
    np.testing.assert_allclose(aligned_matrix(3, 6).sum(axis=1), 1, atol=1e-6)


def test_conventions_differ():
    x = picture(4, 4)
    found = [plain(x, 2, convention) for convention in RESIZES]
    for first in range(3):
        for second in range(first):
            assert np.abs(found[first] - found[second]).max() > 0.1


def test_an_unknown_convention_is_named():
    with pytest.raises(ValueError, match="resize convention 'cubic'"):
        enlarge(Scope("t"), keras.Input((4, 4, 3)), "up", 2, "cubic")
