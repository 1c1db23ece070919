"""The building blocks: where a bright pixel comes out, and numbers against plain numpy."""
from __future__ import annotations

import keras
import numpy as np
import pytest

from oace_tf.networks import layers as network_layers
from oace_tf.networks.layers import (
    BatchNorm,
    HalfSize,
    Scope,
    dotted_name,
    keras_name,
    merge,
    se_inception,
)
from oace_tf.networks.weights import named_variables
from tests.oace_tf.networks import plain

# float32 against float64; measured: 5e-6 on values up to 12, else 1e-6 of the largest value
TOLERANCE = 2e-5


def run(model, *arrays):
    """Arrays (H, W, C) in, array (H, W, C) out."""
    batch = [keras.ops.convert_to_tensor(array[None].astype(np.float32)) for array in arrays]
    return keras.ops.convert_to_numpy(model(batch if len(batch) > 1 else batch[0]))[0]


def seeded(model, seed=0):
    """Fill a model with seeded values and return them by name."""
    rng, weights = np.random.default_rng(seed), {}
    for name, variable in named_variables(model):
        weights[name] = rng.uniform(0.5 if name.endswith("var") else -0.5, 1,
                                    tuple(variable.shape))
        variable.assign(weights[name])
    return weights


def noise(*shape, seed=1):
    return np.random.default_rng(seed).uniform(-1, 1, shape)


def bright(size, row, column):
    picture = np.zeros((size, size, 1))
    picture[row, column] = 1
    return picture


def lit(result):
    """(row, column) -> value of the pixels that are not zero."""
    return {(int(r), int(c)): float(result[r, c, 0]) for r, c, _ in np.argwhere(result)}


@pytest.mark.parametrize("kind", ("conv", "depthwise"))
@pytest.mark.parametrize("size", (8, 9))
def test_a_bright_pixel_through_a_strided_convolution(kind, size):
    # Kernel value 3 (row) + column + 1 names the tap through which a pixel came. On even sizes
    # TensorFlow pads nothing before and one after: output i sees the inputs 2i, 2i+1, 2i+2.
    image = keras.Input((size, size, 1))
    extra = (1,) if kind == "conv" else ()
    model = keras.Model(image, getattr(Scope("t"), kind)(image, "c", *extra, 3, 2))
    model.get_layer("t.c").kernel.assign(np.arange(1.0, 10.0).reshape(3, 3, 1, 1))
    if size == 8:
        assert lit(run(model, bright(8, 0, 0))) == {(0, 0): 1}
        assert lit(run(model, bright(8, 3, 5))) == {(1, 2): 5}
        assert lit(run(model, bright(8, 2, 5))) == {(0, 2): 8, (1, 2): 2}
        assert lit(run(model, bright(8, 7, 7))) == {(3, 3): 5}
    else:  # one before, one after
        assert lit(run(model, bright(9, 0, 0))) == {(0, 0): 5}
        assert lit(run(model, bright(9, 8, 8))) == {(4, 4): 5}
        assert lit(run(model, bright(9, 3, 6))) == {(1, 3): 8, (2, 3): 2}


@pytest.mark.parametrize("kernel", (1, 3, 5))
@pytest.mark.parametrize("stride", (1, 2))
@pytest.mark.parametrize("size", (8, 11))
def test_convolutions_equal_plain_ones(kernel, stride, size):
    image = keras.Input((size, size, 3))
    scope = Scope("t")
    model = keras.Model(image, scope.depthwise(scope.conv(image, "a", 4, kernel, stride), "b",
                                               kernel, stride))
    weights, x = seeded(model), noise(size, size, 3)
    expected = plain.conv(x, weights["t.a.weight"], stride)
    expected = plain.depthwise(expected, weights["t.b.weight"], stride)
    np.testing.assert_allclose(run(model, x), expected, atol=TOLERANCE)


def test_with_stride_one_both_paddings_are_the_same():
    image = keras.Input((8, 8, 1))
    model = keras.Model(image, Scope("t").conv(image, "c", 1, 3, padding="torch"))
    assert [type(layer).__name__ for layer in model.layers] == ["InputLayer", "Conv2D"]
    model.get_layer("t.c").kernel.assign(np.arange(1.0, 10.0).reshape(3, 3, 1, 1))
    assert lit(run(model, bright(8, 0, 3))) == {(0, 2): 6, (0, 3): 5, (0, 4): 4,
                                                (1, 2): 3, (1, 3): 2, (1, 4): 1}


@pytest.mark.parametrize("size", (8, None))
def test_half_size_is_the_mean_of_two_by_two(size):
    image = keras.Input((size, size, 2))
    layer = HalfSize()
    model = keras.Model(image, layer(image))
    x = noise(8, 8, 2)
    np.testing.assert_allclose(run(model, x), plain.half(x), atol=1e-6)
    assert lit(run(model, np.repeat(bright(8, 5, 2), 2, 2))) == {(2, 1): 0.25}
    assert layer.compute_output_shape((None, 8, 6, 2)) == (None, 4, 3, 2)
    assert layer.compute_output_shape((None, None, None, 2)) == (None, None, None, 2)
    assert type(HalfSize.from_config(layer.get_config())) is HalfSize


@pytest.mark.parametrize(("factor", "expected"), (
    (2, [0, 0.25, 0.75, 0.75, 0.25, 0, 0, 0]),
    (4, [0, 0, 1, 3, 5, 7, 7, 5, 3, 1, 0, 0, 0, 0, 0, 0])))
def test_enlarging_keeps_centres(factor, expected):
    # Cell 1 of 4 covers cells 2, 3 of 8 and 4 to 7 of 16 and is symmetric about their middle.
    image = keras.Input((4, 4, 1))
    model = keras.Model(image, Scope("t").up(image, "up", factor))
    picture = np.zeros((4, 4, 1))
    picture[1] = 1
    column = run(model, picture)[:, 3, 0]
    np.testing.assert_allclose(column, np.array(expected) / (1 if factor == 2 else 8), atol=1e-6)
    x = noise(4, 4, 1)
    np.testing.assert_allclose(run(model, x), plain.enlarge(x, factor), atol=1e-6)


def test_enlarging_undoes_halving_of_a_plane():
    # A slope stays where it is: no shift by half a pixel in either direction.
    rows, columns = np.mgrid[:16, :16] / 16
    plane = (2 * rows - 3 * columns)[..., None]
    image = keras.Input((16, 16, 1))
    model = keras.Model(image, Scope("t").up(HalfSize()(image), "up"))
    np.testing.assert_allclose(run(model, plane)[1:-1, 1:-1], plane[1:-1, 1:-1], atol=1e-6)


@pytest.mark.parametrize("smooth", (True, False))
def test_merge_equals_a_plain_one(smooth):
    inputs = [keras.Input((16 >> level, 16 >> level, 3 + level)) for level in range(3)]
    model = keras.Model(inputs, merge(Scope("m"), inputs, 6, smooth=smooth))
    weights = seeded(model)
    features = [noise(16 >> level, 16 >> level, 3 + level, seed=level) for level in range(3)]
    expected = plain.merge(features, weights, "m", smooth)
    assert expected.shape == (16, 16, 6)
    found = run(model, *features)
    np.testing.assert_allclose(found, expected, atol=TOLERANCE * np.abs(expected).max())
    assert found.min() >= 0


def test_merge_of_one_feature_map():
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, merge(Scope("m"), [image], 4, smooth=False))
    weights, x = seeded(model), noise(8, 8, 3)
    np.testing.assert_allclose(run(model, x), plain.merge([x], weights, "m", False),
                               atol=TOLERANCE)


def test_merge_without_smoothing_is_one_convolution_of_the_joined_features():
    # The claim of its docstring: 1x1 after enlarging and joining gives the same.
    inputs = [keras.Input((8 >> level, 8 >> level, 3)) for level in range(2)]
    model = keras.Model(inputs, merge(Scope("m"), inputs, 6, smooth=False))
    weights, features = seeded(model), [noise(8 >> level, 8 >> level, 3) for level in range(2)]
    joined, kernels, offset = [], [], 0.0
    for level, feature in enumerate(features):
        scale = (weights[f"m.lateral{level}_bn.weight"]
                 / np.sqrt(weights[f"m.lateral{level}_bn.running_var"] + 1e-5))
        offset = (offset + weights[f"m.lateral{level}_bn.bias"]
                  - weights[f"m.lateral{level}_bn.running_mean"] * scale)
        kernels.append(weights[f"m.lateral{level}.weight"] * scale)
        joined.append(feature if level == 0 else plain.up2(feature))
    expected = plain.conv(np.concatenate(joined, 2), np.concatenate(kernels, 2)) + offset
    np.testing.assert_allclose(run(model, *features), np.clip(expected, 0, 6), atol=TOLERANCE)


def test_se_inception_equals_a_plain_one():
    image = keras.Input((9, 9, 5))
    model = keras.Model(image, se_inception(Scope("i"), image, 4))
    weights, x = seeded(model), noise(9, 9, 5)
    expected = plain.inception(x, weights, "i")
    assert expected.shape == (9, 9, 16)
    np.testing.assert_allclose(run(model, x), expected, atol=TOLERANCE * np.abs(expected).max())


def test_a_moved_padding_is_noticed(monkeypatch):
    x, original = noise(8, 8, 3), network_layers.pad

    def build():
        image = keras.Input((8, 8, 3))
        model = keras.Model(image, Scope("t").conv_bn_relu(image, "c", 4, 3, 2))
        return model, seeded(model)

    model, weights = build()
    expected = plain.block(x, weights, "t.c", 2)
    np.testing.assert_allclose(run(model, x), expected, atol=TOLERANCE)
    monkeypatch.setattr(network_layers, "pad", lambda x, name, kernel, stride, padding: original(
        x, name, kernel, stride, "torch"))
    assert np.abs(run(build()[0], x) - expected).max() > 0.1


def test_normalisation_in_training_equals_keras_own():
    # Measured on one CPU: 1e-6; the statistics are of 3 * 5 * 5 numbers a channel.
    import tensorflow as tf

    x = noise(3, 5, 5, 4).astype(np.float32) * 3 + 2
    away = noise(3, 5, 5, 4, seed=2).astype(np.float32)
    results = []
    for kind in (BatchNorm, keras.layers.BatchNormalization):
        layer = kind(epsilon=1e-3, momentum=0.9)
        layer.build(x.shape)
        layer.gamma.assign([1, 2, 3, 4.0])
        layer.beta.assign([0, 1, 2, 3.0])
        given = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(given)
            outputs = layer(given, training=True)
            loss = tf.reduce_sum(outputs * away)
        gradients = tape.gradient(loss, [given, layer.gamma.value, layer.beta.value])
        results.append([outputs, *gradients, tf.identity(layer.moving_mean.value),
                        tf.identity(layer.moving_variance.value), layer(given, training=False)])
    for ours, theirs in zip(*results):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=2e-5)


def test_frozen_normalisation_keeps_its_statistics():
    layer = BatchNorm()
    layer.trainable = False
    x = noise(2, 4, 4, 3).astype(np.float32) + 5
    np.testing.assert_allclose(layer(x, training=True), x / np.sqrt(1 + layer.epsilon), rtol=1e-6)
    assert not np.any(np.asarray(layer.moving_mean))


def test_names_and_their_torch_form(monkeypatch):
    assert Scope("a")("b")(3).at("c") == "a.b.3.c"
    assert keras_name("a.b.0.c") == "a.b.0.c"
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    assert keras_name("a._blocks.0.c") == "a-_blocks-0-c"
    assert dotted_name(keras_name("a._blocks.0.c")) == "a._blocks.0.c"
