"""Muon for convolutions: orthogonal steps against numpy's SVD, AdamW for what is no matrix."""
from __future__ import annotations

import keras
import numpy as np
import pytest

from oace_tf.networks.weights import value_of
from oace_tf.training.gesture_settings import GestureTrainSettings
from oace_tf.training.muon import ConvMuon
from oace_tf.training.optimizer import get_state, make_gesture_optimizer

RATE = 1e-3


def _moved(optimizer: keras.optimizers.Optimizer, start: np.ndarray,
           gradients: list[np.ndarray]) -> np.ndarray:
    variable = keras.Variable(start, name="kernel")
    optimizer.build([variable])
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
    return value_of(variable) - start


@pytest.mark.parametrize("shape", [(3, 3, 16, 24), (1, 1, 40, 16), (12, 32)])
def test_a_kernel_moves_along_the_orthogonal_factor_of_its_gradient(shape):
    rng = np.random.default_rng(3)
    start = rng.normal(size=shape).astype("float32")
    gradient = rng.normal(size=shape).astype("float32")
    moved = _moved(ConvMuon(RATE, weight_decay=0.0, adam_weight_decay=0.0), start, [gradient])
    matrix = moved.reshape(-1, shape[-1])
    left, _, right = np.linalg.svd(gradient.reshape(-1, shape[-1]), full_matrices=False)
    # Five iterations bring every singular value near one, between 0.6 and 1.3, and turn no axis.
    unit = -matrix / (RATE * 0.2 * np.sqrt(max(matrix.shape)))
    in_its_axes = left.T @ unit @ right.T
    assert 0.6 < np.diag(in_its_axes).min() <= np.diag(in_its_axes).max() < 1.3
    assert np.abs(in_its_axes - np.diag(np.diag(in_its_axes))).max() < 1e-3


def test_the_direction_is_of_the_momentum_not_of_the_last_gradient():
    rng = np.random.default_rng(4)
    start = np.zeros((1, 1, 16, 16), "float32")
    first, second = (rng.normal(size=start.shape).astype("float32") for _ in range(2))
    arguments = {"weight_decay": 0.0, "adam_weight_decay": 0.0}
    last = (_moved(ConvMuon(RATE, **arguments), start, [first, second])
            - _moved(ConvMuon(RATE, **arguments), start, [first])).reshape(16, 16)
    # Nesterov: the gradient plus 0.95 of the momentum, which is 0.95 first + second.
    ahead = (second + 0.95 * (0.95 * first + second)).reshape(16, 16)
    left, _, right = np.linalg.svd(ahead)
    in_its_axes = left.T @ last @ right.T
    assert np.abs(in_its_axes - np.diag(np.diag(in_its_axes))).max() < 0.01 * np.abs(last).max()


@pytest.mark.parametrize("shape", [(7,), (3, 3, 16, 1), (1, 1, 16, 4), (5, 5, 4, 16)])
def test_vectors_depthwise_and_narrow_kernels_move_as_by_adamw(shape):
    rng = np.random.default_rng(5)
    start = rng.normal(size=shape).astype("float32")
    gradients = [rng.normal(size=shape).astype("float32") for _ in range(3)]
    ours = _moved(ConvMuon(RATE, weight_decay=0.1, adam_weight_decay=0.1), start, gradients)
    adamw = _moved(keras.optimizers.AdamW(RATE, weight_decay=0.1), start, gradients)
    np.testing.assert_allclose(ours, adamw, atol=1e-6)


@pytest.mark.parametrize(("name", "kind"), [("adamw", keras.optimizers.AdamW),
                                            ("muon", ConvMuon)])
def test_the_settings_choose_and_biases_do_not_decay(name, kind):
    optimizer = make_gesture_optimizer(GestureTrainSettings(optimizer=name, weight_decay=0.5))
    assert isinstance(optimizer, kind)
    kernel = keras.Variable(np.ones((1, 1, 8, 8), "float32"), name="kernel")
    bias = keras.Variable(np.ones(8, "float32"), name="bias")
    optimizer.build([kernel, bias])
    optimizer.apply([keras.ops.zeros((1, 1, 8, 8)), keras.ops.zeros(8)], [kernel, bias])
    assert value_of(kernel).max() < 1.0
    assert value_of(bias).tolist() == [1.0] * 8
    assert any(name.endswith("bias_momentum") for name in get_state(optimizer))
