"""One trunk: shapes, what depends on what, names, and the model of the file."""
from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest

from oace_tf.config import NetworkConfig
from oace_tf.errors import UsageError
from oace_tf.gestures import draw_maps, pack_rows
from oace_tf.networks.cost import add_up, network_costs
from oace_tf.networks.gesture_maps import GestureMaps
from oace_tf.networks.gesture_networks import (
    build_fused_gestures,
    build_gesture_networks,
    repeated,
)
from oace_tf.networks.one_trunk import RegionMean
from oace_tf.networks.weights import get_arrays, set_arrays

SIZE = 64
RNG = np.random.default_rng(1)


@pytest.fixture(scope="module")
def networks():
    keras.utils.set_random_seed(3)
    built = build_gesture_networks(NetworkConfig.preset("tiny_one_trunk"), None)
    rng = np.random.default_rng(3)
    # Fresh modulations do nothing; here every weight does something.
    arrays = {name: array + rng.normal(0, 0.05, array.shape).astype(np.float32)
              if name.endswith(("weight", "bias")) else array
              for name, array in get_arrays(built).items()}
    set_arrays(built, arrays, "test")
    return built


def _points(*rows: tuple[float, float, int]) -> np.ndarray:
    return pack_rows(np.array(rows, np.float32), 6)


def _decoded(networks, image, *gestures, previous=None):
    features = repeated(networks.encode(image), len(gestures))
    drawn = GestureMaps(SIZE)(np.stack([_points(*gesture) for gesture in gestures]))
    if previous is None:
        previous = np.zeros((len(gestures), SIZE // 4, SIZE // 4, 1), np.float32)
    return networks.decode(features, drawn, keras.ops.convert_to_tensor(previous))


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).uniform(-1, 1, (1, SIZE, SIZE, 3)).astype(np.float32)


def test_shapes_and_ranges(networks, image):
    outputs = _decoded(networks, image, [(20, 20, 1)], [(40, 40, 1), (5, 5, 0)])
    half = SIZE // 2
    assert tuple(outputs["logits"].shape) == (2, half, half, 1)
    assert tuple(outputs["alternatives"].shape) == (2, half, half, 3)
    assert tuple(outputs["scores"].shape) == (2, 1, 1, 3)
    oace = np.asarray(outputs["oace"])
    assert oace.shape == (2, SIZE // 8, SIZE // 8, 3)
    assert np.abs(oace).max() <= 1.0


@pytest.mark.parametrize("gesture", [
    [(44, 40, 1)], [(20, 20, 1), (50, 50, 0)], [(8, 8, 2), (50, 50, 3)],
    [(8, 30, 4), (30, 8, 4), (50, 30, 4), (30, 50, 4)], [(20, 20, 1), (30, 30, 5)]])
def test_every_gesture_changes_the_answer(networks, image, gesture):
    outputs = _decoded(networks, image, [(20, 20, 1)], gesture)
    logits = np.asarray(outputs["logits"])
    assert np.abs(logits[0] - logits[1]).max() > 1e-3


def test_the_second_query_is_made_of_what_the_estimate_holds(networks, image):
    outputs = _decoded(networks, image, [(20, 20, 1)])
    first = np.asarray(outputs["first"])
    assert first.shape == (1, SIZE // 16, SIZE // 16, 1) and 0 < first.min() and first.max() < 1
    x, mask = RNG.normal(0, 1, (2, 4, 4, 3)), RNG.uniform(0, 1, (2, 4, 4, 1))
    for inside, weights in ((True, mask), (False, 1 - mask)):
        mean = np.asarray(RegionMean(inside)([x.astype(np.float32), mask.astype(np.float32)]))
        wanted = (x * weights).sum((1, 2)) / weights.sum((1, 2))
        assert np.allclose(mean[:, 0, 0], wanted, atol=1e-3)


def test_a_fresh_second_query_and_fresh_residual_blocks_change_nothing(image):
    keras.utils.set_random_seed(5)
    with_it = build_gesture_networks(NetworkConfig.preset("tiny_one_trunk"), None)
    without = build_gesture_networks(NetworkConfig(trunk="tiny", one_trunk=True), None)
    arrays = get_arrays(with_it)
    set_arrays(without, {name: arrays[name] for name in get_arrays(without)}, "test")
    deep, plain = (np.asarray(_decoded(each, image, [(20, 20, 1)])["logits"])
                   for each in (with_it, without))
    assert np.array_equal(deep, plain)


def test_the_mask_before_changes_the_answer(networks, image):
    previous = np.zeros((2, SIZE // 4, SIZE // 4, 1), np.float32)
    previous[1, 4:9, 4:9] = 1.0
    logits = np.asarray(_decoded(networks, image, [(20, 20, 1)], [(20, 20, 1)],
                                 previous=previous)["logits"])
    assert np.abs(logits[0] - logits[1]).max() > 1e-3


def test_every_weight_has_a_gradient(networks, image):
    import tensorflow as tf

    variables = [v for model in networks.models() for v in model.trainable_variables]
    with tf.GradientTape() as tape:
        features = repeated(networks.encode(image, True), 2)
        drawn = GestureMaps(SIZE)(np.stack([_points((20, 20, 1), (9, 50, 0)),
                                            _points((40, 40, 1), (5, 5, 0))]))
        previous = np.full((2, SIZE // 4, SIZE // 4, 1), 0.5, np.float32)
        outputs = networks.decode(features, drawn, tf.constant(previous), True)
        loss = sum(tf.reduce_sum(tf.square(outputs[name]))
                   for name in ("logits", "alternatives", "scores", "first"))
    gradients = tape.gradient(loss, [v.value for v in variables])
    dead = [v.path for v, g in zip(variables, gradients) if g is None or not np.any(g)]
    assert variables and dead == []


@pytest.mark.parametrize("second_pass", [False, True])
def test_the_file_s_model_is_the_networks_at_the_file_s_size(networks, image, second_pass):
    fused = build_fused_gestures(_fixed(networks, second_pass), 6, SIZE)
    gesture = [(20, 20, 1), (50, 50, 0)]
    previous = np.zeros((1, SIZE, SIZE, 1), np.float32)
    previous[:, 16:32, 16:32] = 1.0
    mask = np.asarray(fused([image, _points(*gesture)[None], previous]))
    assert mask.shape == (1, SIZE, SIZE, 1)
    small = previous.reshape(1, SIZE // 4, 4, SIZE // 4, 4, 1).mean(axis=(2, 4))
    logits = _decoded(networks, image, gesture, previous=small)["logits"]
    if second_pass:  # the first answer, a quarter of the frame's side, is the mask before
        answer = np.asarray(keras.ops.sigmoid(logits))
        small = answer.reshape(1, SIZE // 4, 2, SIZE // 4, 2, 1).mean(axis=(2, 4))
        logits = _decoded(networks, image, gesture, previous=small)["logits"]
    wanted = keras.ops.sigmoid(keras.ops.image.resize(logits, (SIZE, SIZE),
                                                      interpolation="bilinear"))
    # float32 in another order of sums: measured 1e-6
    assert np.allclose(mask, np.asarray(wanted), atol=1e-5)


def test_a_smaller_frame_moves_the_gesture_along(networks):
    config = NetworkConfig(trunk="tiny", one_trunk=True, frame=256, second_query=True, deep=True)
    small = build_gesture_networks(config, 64, 1)
    set_arrays(small, get_arrays(networks), "test")
    fused = build_fused_gestures(small, 6, 128)
    flat = np.zeros((1, 128, 128, 3), np.float32)
    empty = np.zeros((1, 128, 128, 1), np.float32)
    # Pixel centres: x of 128 px is (x + 0.5) / 2 - 0.5 of 64 px.
    mask = np.asarray(fused([flat, _points((40.5, 80.5, 1))[None], empty]))
    logits = _decoded(networks, flat[:, :64, :64], [(20, 40, 1)])["logits"]
    wanted = keras.ops.sigmoid(keras.ops.image.resize(logits, (128, 128),
                                                      interpolation="bilinear"))
    assert np.allclose(mask, np.asarray(wanted), atol=1e-4)


def test_tensor_names_have_their_part_in_front(networks):
    names = get_arrays(networks)
    assert {name.partition(".")[0] for name in names} == {"shared", "prior", "msfnet"}
    assert draw_maps(_points((1, 1, 1)), SIZE, SIZE).maps[4].shape[-1] == 3


def test_a_second_pass_costs_msfnet_again_and_no_parameters(networks):
    once, twice = (network_costs(_fixed(networks, second_pass)) for second_pass in (False, True))
    assert add_up(twice["msfnet"]).macs == 2 * add_up(once["msfnet"]).macs > 0
    assert add_up(twice["msfnet"]).params == add_up(once["msfnet"]).params
    assert twice["prior"] == once["prior"] and twice["shared"] == once["shared"]


def test_a_refiner_that_starts_as_msfnet_changes_nothing(networks, image):
    refined = _refined(networks)
    zeros = np.zeros((1, SIZE, SIZE, 1), np.float32)
    given = [image, _points((20, 20, 1))[None], zeros]
    plain, mask = (np.asarray(build_fused_gestures(each, 6, SIZE)(given))
                   for each in (_fixed(networks, True), refined))
    assert np.array_equal(plain, mask)


def test_the_second_pass_is_the_refiner_s_where_there_is_one(networks, image):
    refined = _refined(networks)
    rng = np.random.default_rng(9)
    set_arrays(refined, {name: array + rng.normal(0, 0.05, array.shape).astype(np.float32)
                         if name.startswith("refiner.") and name.endswith(("weight", "bias"))
                         else array for name, array in get_arrays(refined).items()}, "test")
    given = [image, _points((20, 20, 1))[None], np.zeros((1, SIZE, SIZE, 1), np.float32)]
    mask = np.asarray(build_fused_gestures(refined, 6, SIZE)(given))
    first = keras.ops.sigmoid(_decoded(networks, image, [(20, 20, 1)])["logits"])
    drawn = GestureMaps(SIZE)(given[1])
    logits = refined.refine(refined.encode(image), drawn, first)["logits"]
    wanted = keras.ops.sigmoid(keras.ops.image.resize(logits, (SIZE, SIZE),
                                                      interpolation="bilinear"))
    assert np.allclose(mask, np.asarray(wanted), atol=1e-5)
    plain = np.asarray(build_fused_gestures(_fixed(networks, True), 6, SIZE)(given))
    assert np.abs(mask - plain).max() > 1e-3


def test_a_refiner_counts_as_a_network_of_its_own(networks):
    once, refined = (network_costs(each) for each in (_fixed(networks), _refined(networks)))
    assert refined["msfnet"] == once["msfnet"]
    own, of_msfnet = add_up(refined["refiner"]), add_up(once["msfnet"])
    assert own.macs > of_msfnet.macs > 0 and own.params > of_msfnet.params > 0


def test_a_fresh_second_trunk_changes_nothing_a_trained_one_does(networks, image):
    config = dataclasses.replace(networks.config, second_trunk="tiny")
    two = build_gesture_networks(config, SIZE, 1)
    known = get_arrays(networks)
    arrays = {name: known.get(name, array) for name, array in get_arrays(two).items()}
    set_arrays(two, arrays, "test")
    plain = np.asarray(_decoded(networks, image, [(20, 20, 1)])["logits"])
    assert np.array_equal(plain, np.asarray(_decoded(two, image, [(20, 20, 1)])["logits"]))
    for stride in (8, 16, 32):  # each of the three places where it enters
        scale = f"shared.neck.second{stride}_bn.weight"
        set_arrays(two, {**arrays, scale: np.full_like(arrays[scale], 0.5)}, "test")
        logits = np.asarray(_decoded(two, image, [(20, 20, 1)])["logits"])
        assert np.abs(logits - plain).max() > 1e-3, stride


def test_a_second_trunk_may_be_another_one():
    costs = {name: add_up(network_costs(build_gesture_networks(NetworkConfig.preset(name), 64, 1))
                          ["shared"]) for name in ("one_trunk_refined", "two_trunks")}
    more = costs["two_trunks"].params - costs["one_trunk_refined"].params
    # MobileNetV2 without its last convolution and classifier: 3.5 M - 0.41 M - 1.28 M; 1x1
    # convolutions of 32, 96 and 320 channels to 96, 128 and 160, with their normalisations.
    assert more == pytest.approx(1.81e6 + 32 * 96 + 96 * 128 + 320 * 160 + 4 * 384, rel=0.02)


def test_settings_that_one_trunk_has_not_are_refused():
    with pytest.raises(UsageError, match="second_trunk is 'tiny'"):
        NetworkConfig(trunk="tiny", second_trunk="tiny")
    with pytest.raises(UsageError, match="second_trunk is 'hrnet'"):
        NetworkConfig(trunk="tiny", one_trunk=True, second_trunk="hrnet")
    with pytest.raises(UsageError, match="refiner is True"):
        NetworkConfig(trunk="tiny", one_trunk=True, refiner=True)
    with pytest.raises(UsageError, match="trunk is 'hrnet'"):
        NetworkConfig(trunk="hrnet", one_trunk=True)


def _refined(networks):
    """Networks whose refiner has MSFNet's weights, and fresh residual blocks."""
    config = dataclasses.replace(networks.config, second_pass=True, refiner=True)
    built = build_gesture_networks(config, SIZE, 1)
    known = get_arrays(networks)
    origins = {name: name.replace("refiner.", "msfnet.", 1) for name in get_arrays(built)}
    set_arrays(built, {name: known.get(origins[name], fresh)
                       for name, fresh in get_arrays(built).items()}, "test")
    return built


def _fixed(networks, second_pass=False):
    config = dataclasses.replace(networks.config, second_pass=second_pass)
    built = build_gesture_networks(config, SIZE, 1)
    set_arrays(built, get_arrays(networks), "test")
    return built
