"""Weights files: exact to float16, strict in names, shapes and values."""
from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from oace_tf.config import NetworkConfig
from oace_tf.errors import UsageError
from oace_tf.networks.pair import build_pair
from oace_tf.networks.weights import (
    FLOAT16_MAX,
    FORMAT,
    build_from_weights,
    get_arrays,
    load_weights,
    named_variables,
    pair_variables,
    read_arrays,
    read_record,
    save_weights,
    set_arrays,
)
from oace_tf.tensor_file import content_sha256
from tests.oace_tf.networks.conftest import seeded_arrays

GOLDEN = Path(__file__).parents[2] / "golden"
RECORD = {"steps": 7, "seed": 1, "licence": "Apache-2.0", "data": [{"name": "cats"}]}
NAME = "msfnet.trunk.conv1.weight"


@pytest.fixture()
def pair(tiny_pair):
    """The tiny pair, put back to its seeded weights before the test."""
    pair = tiny_pair()
    set_arrays(pair, seeded_arrays(pair), "seeded")
    return pair


@pytest.fixture()
def path(pair, tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, pair, RECORD)
    return path


def rewrite(path, tensors, **changes):
    """Write a weights file whose checksum is right, whatever else is wrong."""
    metadata = {"format": FORMAT, "network": json.dumps(NetworkConfig.preset("tiny").to_json()),
                "record": "{}", **changes}
    tensors = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    save_file(tensors, path, {**metadata, "content_sha256": content_sha256(tensors, metadata)})


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def assert_refused(path, pair, *words):
    """Loading is one line of UsageError with file and words; the pair keeps its weights."""
    before = get_arrays(pair)
    with pytest.raises(UsageError) as caught:
        load_weights(path, pair)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message
    for word in words:
        assert word in message
    assert_equal(get_arrays(pair), before)


def test_round_trip_is_exact(pair, path):
    expected = seeded_arrays(pair)
    assert_equal(get_arrays(pair), expected)
    config, record, arrays = read_arrays(path)
    assert (config, record) == (pair.config, RECORD) == read_record(path)
    assert_equal(arrays, expected)
    assert {array.dtype for array in load_file(path).values()} == {np.dtype(np.float16)}

    set_arrays(pair, {name: array + 1 for name, array in expected.items()}, "moved")
    assert load_weights(path, pair) == RECORD
    assert_equal(get_arrays(pair), expected)
    other, record = build_from_weights(path, size=128)
    assert record == RECORD and other.config == pair.config
    assert other.msfnet.output_shape == (None, 128, 128, 1)
    assert_equal(get_arrays(other), expected)


def test_values_are_rounded_to_float16(pair, tmp_path):
    arrays = {name: array * 1.0001 for name, array in seeded_arrays(pair).items()}
    set_arrays(pair, arrays, "finer")
    save_weights(tmp_path / "w.safetensors", pair, {})
    load_weights(tmp_path / "w.safetensors", pair)
    assert_equal(get_arrays(pair), {name: array.astype(np.float16).astype(np.float32)
                                    for name, array in arrays.items()})


def test_names_follow_networks_and_layers(pair):
    names = set(pair_variables(pair))
    assert {name.partition(".")[0] for name in names} == {"prior", "msfnet"}
    for network in ("prior", "msfnet"):
        assert {f"{network}.trunk.conv1.weight", f"{network}.trunk.bn1.weight",
                f"{network}.trunk.bn1.bias", f"{network}.trunk.bn1.running_mean",
                f"{network}.trunk.bn1.running_var"} <= names
    assert {"prior.decoder.embed.bias", "msfnet.msf.inception1.se.reduce.bias",
            "msfnet.head.mask.weight", "msfnet.click_stem.conv.weight"} <= names
    assert len(names) == sum(len(model.weights) for model in pair.models())


def test_two_variables_of_one_name_are_our_mistake(pair):
    class Twice:
        def models(self):
            return iter([pair.msfnet, pair.msfnet])

    with pytest.raises(ValueError, match="two variables are named"):
        pair_variables(Twice())  # type: ignore[arg-type]


def test_a_wrong_set_of_tensors_is_refused(pair, path):
    halves = load_file(path)
    rewrite(path, {name: half for name, half in halves.items() if name != NAME})
    assert_refused(path, pair, NAME, "missing")
    rewrite(path, {**halves, "prior.trunk.conv9.weight": halves[NAME]})
    assert_refused(path, pair, "prior.trunk.conv9.weight", "unknown")
    rewrite(path, {name.replace("trunk", "body"): half for name, half in halves.items()})
    assert_refused(path, pair, "and ", " more missing")
    rewrite(path, {**halves, NAME: halves[NAME][:, :, :2]})
    assert_refused(path, pair, NAME, "(3, 3, 2, 8)", "(3, 3, 3, 8)")
    # as many numbers, laid out as PyTorch has them
    rewrite(path, {**halves, NAME: halves[NAME].transpose(3, 2, 0, 1)})
    assert_refused(path, pair, NAME, "(8, 3, 3, 3)")


@pytest.mark.parametrize("value", (np.nan, np.inf, -np.inf))
def test_values_that_are_not_finite_are_refused(pair, path, value):
    halves = load_file(path)
    halves[NAME][1, 2, 0, 3] = value
    rewrite(path, halves)
    assert_refused(path, pair, NAME, "not finite")


def test_damage_is_refused(pair, path):
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    rng = np.random.default_rng(3)
    places = [*range(64), *rng.integers(64, 8 * header, 60),
              *rng.integers(8 * header, 8 * len(whole), 60)]
    for place in places:
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << int(place) % 8
        path.write_bytes(flipped)
        with pytest.raises(UsageError, match="w.safetensors"):
            read_arrays(path)
    assert_refused(path, pair)
    for end in (0, 5, 8, 200, header, header + 1, len(whole) - 1):
        path.write_bytes(whole[:end])
        assert_refused(path, pair, "fresh copy")
    path.write_bytes(b"a picture, perhaps" * 1000)
    assert_refused(path, pair, "not a whole safetensors file")
    path.unlink()
    assert_refused(path, pair, "no such weights file", "oace_tf.train")
    path.mkdir()
    assert_refused(path, pair, "no such weights file")


def test_other_formats_and_broken_metadata_are_refused(pair, path):
    halves = load_file(path)
    rewrite(path, halves, format="somebody-2")
    assert_refused(path, pair, "'somebody-2'", FORMAT)
    for change in ({"network": "{"}, {"record": "nothing"}):
        rewrite(path, halves, **change)
        assert_refused(path, pair, "metadata cannot be read")
    for change in ({"network": "[]"}, {"record": "3"}):
        rewrite(path, halves, **change)
        assert_refused(path, pair, "not JSON objects")
    rewrite(path, halves, network='{"trunk": "tiny", "depth": 3}')
    assert_refused(path, pair, "unknown key 'depth'")
    rewrite(path, halves, network='{"trunk": "huge"}')
    assert_refused(path, pair, "trunk is 'huge'")


def test_weights_of_another_configuration_are_refused(tiny_pair, path):
    assert_refused(path, tiny_pair(msf=False), "msf True", "expected False")
    # also in a field that files leave out at its default
    assert_refused(path, tiny_pair(tap_film=True), "tap_film False", "expected True")


@pytest.mark.parametrize("value", (np.float32(65504), 1e6, -1e6, np.nan, np.inf))
def test_what_does_not_fit_float16_is_not_written(pair, path, value):
    before = path.read_bytes()
    arrays = get_arrays(pair)
    arrays[NAME][0, 0, 0, 0] = value
    pair_variables(pair)[NAME].assign(arrays[NAME])
    assert FLOAT16_MAX == 65504
    with pytest.raises(UsageError, match=f"{NAME} does not fit float16; nothing was written"):
        save_weights(path, pair, RECORD)
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]


def test_an_unwritable_place_is_named(pair, path):
    with pytest.raises(UsageError, match="cannot write"):
        save_weights(path / "below.safetensors", pair, RECORD)


def test_a_pair_without_prior(tiny_pair, tmp_path):
    pair = tiny_pair(click_input="disk")
    assert {name.partition(".")[0] for name in pair_variables(pair)} == {"msfnet"}
    save_weights(tmp_path / "w.safetensors", pair, {})
    other, _ = build_from_weights(tmp_path / "w.safetensors", 64)
    assert other.prior is None
    assert_equal(get_arrays(other), get_arrays(pair))


def test_a_network_of_any_size_holds_the_same_tensors(pair):
    free = build_pair(pair.config, size=None)
    assert {name: tuple(v.shape) for name, v in pair_variables(free).items()} == {
        name: tuple(v.shape) for name, v in pair_variables(pair).items()}


@pytest.mark.slow
def test_hrnet_trunks_bear_the_published_names():
    keras.utils.set_random_seed(0)
    pair = build_pair(NetworkConfig.preset("hrnet"), size=None)
    assert pair.prior is not None
    for model, variant in ((pair.prior, "w18_small_v2"), (pair.msfnet, "w18")):
        published = {}
        for line in (GOLDEN / f"hrnet_names_{variant}.txt").read_text().splitlines():
            name, sides = line.split()
            published[f"{model.name}.trunk.{name}"] = tuple(map(int, sides.split("x")))
        found = {name: tuple(variable.shape) for name, variable in named_variables(model)
                 if name.startswith(f"{model.name}.trunk.")}
        assert found.keys() == published.keys()
        # published (O, I, H, W); the prior's first convolution also takes the disks
        first = f"{model.name}.trunk.conv1.weight"
        for name, shape in found.items():
            wanted = published[name]
            if len(wanted) == 4:
                wanted = (*wanted[2:], wanted[1], wanted[0])
            if name == first and model.name == "prior":
                wanted = (3, 3, 3 + pair.config.click_channels, 64)
            assert shape == wanted, name
