"""The HRNet trunks against the published definition: names, shapes, padding, numbers.

How the golden files were made, outside this repository:
- `hrnet_names_*.txt`: the published networks (HRNet-Image-Classification `cls_hrnet.py`, commit
  f760c98; HRNet-Semantic-Segmentation `seg_hrnet.py`, commit 0bbb288, which agree) were
  instantiated in PyTorch from the published `experiments/cls_hrnet_w18*.yaml`; each line is a name
  and a shape of their state dict, in its order, without heads and `num_batches_tracked`.
- `hrnet_outputs.safetensors`: features of `seg_hrnet.py` (`ALIGN_CORNERS` false, evaluation mode)
  with the weights of `golden_weights` on the picture of `golden_image`; of each tensor the channels
  0, 6, 12, ... For stem strides 2 and 1 the strides of `conv2` and `conv1` were set to one.
"""
from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file

from oace_tf.networks import layers as network_layers
from oace_tf.networks.hrnet import VARIANTS, hrnet_trunk
from oace_tf.networks.layers import Scope

GOLDEN = Path(__file__).parents[2] / "golden"
CHANNEL_STEP = 6
# float32 on both sides, sums in another order; measured: at most 1.3e-6 of the largest value.
TOLERANCE = 1e-5


def published_shapes(variant: str) -> dict[str, tuple[int, ...]]:
    """Name -> shape (convolutions O, I, H, W) of the published checkpoint, in its order."""
    lines = (GOLDEN / f"hrnet_names_{variant}.txt").read_text().splitlines()
    pairs = (line.split() for line in lines)
    return {name: tuple(map(int, shape.split("x"))) for name, shape in pairs}


def golden_weights(variant: str) -> dict[str, np.ndarray]:
    """Seeded weights in published order and layout: one generator, `random` alone.

    Residual sums grow with depth, so the normalisations scale by less than one.
    """
    rng = np.random.default_rng(20)
    weights = {}
    for name, shape in published_shapes(variant).items():
        unit = rng.random(shape)
        kind = name.rpartition(".")[2]
        if len(shape) == 4:
            value = (2 * unit - 1) * np.sqrt(6 / np.prod(shape[1:]))
        elif kind == "weight":
            value = 0.3 + 0.6 * unit
        elif kind == "running_var":
            value = 0.5 + unit
        else:
            value = 0.4 * unit - 0.2
        weights[name] = value.astype(np.float32)
    return weights


def golden_image(size: int, channels: int = 3) -> np.ndarray:
    """(1, size, size, channels) float32 in [-1, 1), seeded."""
    unit = np.random.default_rng(21).random((1, size, size, channels))
    return (2 * unit - 1).astype(np.float32)


def build(variant: str, size: int | None, stem_stride: int) -> keras.Model:
    """The trunk with the outputs of the stem, stage 1 and every branch of stages 2 to 4."""
    image = keras.Input((size, size, 3))
    branches = hrnet_trunk(Scope("t"), image, variant, stem_stride)
    whole = keras.Model(image, branches)
    net = VARIANTS[variant]
    names = ["t.relu2", f"t.layer1.{net.bottlenecks - 1}.relu"]
    for number, stage in enumerate(net.stages, start=2):
        names += [f"t.stage{number}.{stage.modules - 1}.fuse_layers.{branch}.relu"
                  for branch in range(number)]
    outputs = [whole.get_layer(name).output for name in names]
    assert all(a is b for a, b in zip(branches, outputs[-4:]))
    return keras.Model(image, outputs)


OUTPUTS = ("stem", "layer1", *(f"stage{n}.{b}" for n in (2, 3, 4) for b in range(n)))


def tensors(model: keras.Model) -> dict[str, keras.Variable]:
    """Published name -> variable, for a trunk under the scope `t`."""
    suffixes = {"kernel": "weight", "gamma": "weight", "beta": "bias",
                "moving_mean": "running_mean", "moving_variance": "running_var"}
    return {f"{layer.name.removeprefix('t.')}.{suffixes[variable.name]}": variable
            for layer in model.layers for variable in layer.weights}


def published_layout(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Keras's (H, W, I, O) as PyTorch's (O, I, H, W)."""
    return (shape[3], shape[2], shape[0], shape[1]) if len(shape) == 4 else tuple(shape)


def load_golden(model: keras.Model, variant: str) -> None:
    """Assign `golden_weights`."""
    variables = tensors(model)
    for name, value in golden_weights(variant).items():
        variables[name].assign(value.transpose(2, 3, 1, 0) if value.ndim == 4 else value)


def features(model: keras.Model, image: np.ndarray) -> dict[str, np.ndarray]:
    """Output name -> every sixth channel of (H, W, C)."""
    values = [np.asarray(value)[0] for value in model(image)]
    return {name: value[..., ::CHANNEL_STEP] for name, value in zip(OUTPUTS, values)}


def deviation(model: keras.Model, image: np.ndarray, key: str) -> float:
    """The largest deviation from the golden outputs under `key`, relative to each one's maximum."""
    golden = load_file(GOLDEN / "hrnet_outputs.safetensors")
    found = features(model, image)
    keys = [name for name in golden if name.startswith(f"{key}.")]
    assert keys
    worst = 0.0
    for name in keys:
        expected, got = golden[name], found[name.removeprefix(f"{key}.")]
        assert got.shape == expected.shape
        worst = max(worst, float(np.abs(got - expected).max() / np.abs(expected).max()))
    return worst


@pytest.fixture(scope="session")
def trunks() -> dict[str, keras.Model]:
    """Both variants at stem stride 4 with golden weights, of any size, built once."""
    built = {variant: build(variant, None, 4) for variant in VARIANTS}
    for variant, model in built.items():
        load_golden(model, variant)
    return built


@pytest.mark.parametrize("variant", VARIANTS)
def test_names_and_shapes_are_as_published(trunks, variant):
    found = {name: published_layout(variable.shape)
             for name, variable in tensors(trunks[variant]).items()}
    assert found == published_shapes(variant)


def test_published_parameter_counts():
    counts = {variant: sum(int(np.prod(shape)) for shape in published_shapes(variant).values())
              for variant in VARIANTS}
    assert counts == {"w18": 9_596_196, "w18_small_v2": 3_876_668}


@pytest.mark.parametrize("variant", VARIANTS)
def test_outputs_equal_the_published_network(trunks, variant):
    assert deviation(trunks[variant], golden_image(64), f"{variant}.stride4") < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("stem_stride", (2, 1))
def test_outputs_at_finer_stems_equal_the_published_network(stem_stride):
    model = build("w18_small_v2", 32, stem_stride)
    load_golden(model, "w18_small_v2")
    key = f"w18_small_v2.stride{stem_stride}"
    assert deviation(model, golden_image(32), key) < TOLERANCE


@pytest.mark.parametrize("moved", ("t.conv1", "t.stage4.1.fuse_layers"))
def test_a_moved_padding_is_noticed(monkeypatch, moved):
    original = network_layers.pad

    def pad(x, name, kernel, stride, padding):
        return original(x, name, kernel, stride, "same" if name.startswith(moved) else padding)

    monkeypatch.setattr(network_layers, "pad", pad)
    model = build("w18_small_v2", 64, 4)
    load_golden(model, "w18_small_v2")
    assert deviation(model, golden_image(64), "w18_small_v2.stride4") > 1000 * TOLERANCE


def test_swapped_colours_are_noticed(trunks):
    swapped = golden_image(64)[..., ::-1]
    assert deviation(trunks["w18_small_v2"], swapped, "w18_small_v2.stride4") > 1000 * TOLERANCE


@pytest.mark.parametrize("size", (8, 9))
def test_a_bright_pixel_comes_out_where_pytorch_puts_it(size):
    # Kernel value 3 (row) + column + 1 names the tap through which a pixel came.
    image = keras.Input((size, size, 1))
    model = keras.Model(image, Scope("t").conv(image, "conv", 1, 3, 2, padding="torch"))
    model.get_layer("t.conv").kernel.assign(np.arange(1.0, 10.0).reshape(3, 3, 1, 1))

    def outputs(row: int, column: int) -> dict[tuple[int, int], float]:
        picture = np.zeros((1, size, size, 1), np.float32)
        picture[0, row, column, 0] = 1
        result = np.asarray(model(picture))[0, :, :, 0]
        assert result.shape == ((size + 1) // 2,) * 2
        return {(int(y), int(x)): float(result[y, x]) for y, x in np.argwhere(result)}

    assert outputs(0, 0) == {(0, 0): 5}
    assert outputs(4, 6) == {(2, 3): 5}
    assert outputs(4, 5) == {(2, 2): 6, (2, 3): 4}
    assert outputs(3, 5) == {(1, 2): 9, (1, 3): 7, (2, 2): 3, (2, 3): 1}


def test_shifting_by_the_stride_shifts_the_stem(trunks):
    model = trunks["w18_small_v2"]
    image = golden_image(64)
    stem = features(model, image)["stem"]
    for rows, columns in ((4, 0), (0, 8), (12, 4)):
        shifted = features(model, np.roll(image, (rows, columns), axis=(1, 2)))["stem"]
        expected = np.roll(stem, (rows // 4, columns // 4), axis=(0, 1))
        # Away from the border and from the seam of the roll.
        np.testing.assert_allclose(shifted[5:-5, 5:-5], expected[5:-5, 5:-5], atol=1e-5)


def test_a_coarse_pixel_is_enlarged_about_its_centre():
    # Half-pixel centres: cell 2 of 4 covers cells 4 and 5 of 8, which then take 3/4 of it each.
    image = keras.Input((4, 4, 1))
    model = keras.Model(image, Scope("t").up(image, "up", 2))
    picture = np.zeros((1, 4, 4, 1), np.float32)
    picture[0, 2, :, 0] = 1
    column = np.asarray(model(picture))[0, :, 3, 0]
    np.testing.assert_allclose(column, [0, 0, 0, 0.25, 0.75, 0.75, 0.25, 0], atol=1e-7)


def test_a_side_tensor_joins_after_the_first_activation():
    image, side = keras.Input((64, 64, 3)), keras.Input((32, 32, 64))
    branches = hrnet_trunk(Scope("t"), image, "w18_small_v2", 4, side)
    joined = keras.Model([image, side], branches)
    model = keras.Model([image, side], [joined.get_layer("t.bn1").output,
                                        joined.get_layer("t.fuse_relu").output])
    assert {name: published_layout(variable.shape) for name, variable
            in tensors(joined).items()} == published_shapes("w18_small_v2")
    extra = golden_image(32, 64)
    normalised, activated = model([golden_image(64), extra])
    expected = np.clip(np.maximum(0, np.asarray(normalised)) + extra, 0, 6)
    np.testing.assert_allclose(activated, expected, atol=1e-6)


@pytest.mark.parametrize(("variant", "stem_stride", "size", "named"), (
    ("w48", 4, 64, "w48"), ("w18", 3, 64, "stem stride 3"), ("w18", 4, 72, "multiples of 32"),
    ("w18", 2, 40, "multiples of 16")))
def test_bad_arguments_are_named(variant, stem_stride, size, named):
    with pytest.raises(ValueError, match=named):
        hrnet_trunk(Scope("t"), keras.Input((size, size, 3)), variant, stem_stride)


@pytest.mark.slow
def test_nothing_in_the_trunk_splits_the_int8_graph():
    # Activations and normalisations fold into convolutions and additions; the rest is int8 inside
    # the delegate.
    import tensorflow as tf

    model = build("w18_small_v2", 64, 4)
    call = tf.function(lambda image: model(image, training=False)[-4:], autograph=False)
    concrete = call.get_concrete_function(tf.TensorSpec((1, 64, 64, 3), tf.float32))
    content = tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert()

    from ai_edge_litert.interpreter import Interpreter, OpResolverType
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=plain)
    operators = {details["op_name"] for details in interpreter._get_ops_details()}
    assert operators == {"PAD", "CONV_2D", "ADD", "RESIZE_BILINEAR"}
