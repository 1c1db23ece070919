"""The fused batch normalisation equals Keras's own: outputs, statistics, gradients."""
import keras
import numpy as np
import pytest

from oace_tf.networks.layers import BatchNorm

tf = pytest.importorskip("tensorflow")


@pytest.fixture
def pair():
    settings = {"momentum": 0.9, "epsilon": 1e-3, "gamma_initializer": "random_normal"}
    ours, theirs = BatchNorm(**settings), keras.layers.BatchNormalization(**settings)
    for layer in (ours, theirs):
        layer.build((None, None, None, 7))
    theirs.set_weights(ours.get_weights())
    return ours, theirs


@pytest.fixture
def batch():
    return tf.constant(np.random.default_rng(0).normal(2.0, 3.0, (3, 5, 4, 7)), tf.float32)


def gradients(layer, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
        loss = tf.reduce_sum(y * tf.sin(y))
    return [y, *tape.gradient(loss, [x, layer.gamma.value, layer.beta.value])]


def test_training_step(pair, batch):
    ours, theirs = (gradients(layer, batch) for layer in pair)
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5)  # measured: 4e-6
    for a, b in zip(pair[0].get_weights(), pair[1].get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_inference_and_frozen_layers_use_the_running_statistics(pair, batch):
    before = pair[0].get_weights()
    np.testing.assert_array_equal(pair[0](batch), pair[1](batch))
    pair[0].trainable = False
    np.testing.assert_array_equal(pair[0](batch, training=True), pair[1](batch))
    for a, b in zip(before, pair[0].get_weights()):
        np.testing.assert_array_equal(a, b)
