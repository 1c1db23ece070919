"""The fused model: taps drawn as the reference draws them, networks fed by name."""
from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import cv2
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oace_tf.clicks import draw_disks
from oace_tf.config import NetworkConfig
from oace_tf.networks.fused import Disks, build_fused, labels_of
from oace_tf.networks.pair import build_pair

SIZE = 64
PLACE = st.floats(-20, SIZE + 20, width=32)
TAP = st.tuples(PLACE, PLACE, st.sampled_from([1.0, 0.0, -1.0]))


def drawn(points: np.ndarray, channels: int = 2, size: int = SIZE) -> np.ndarray:
    maps = Disks(size, channels)(points[None])
    return keras.ops.convert_to_numpy(maps)[0]


def wanted(points: np.ndarray, channels: int = 2, size: int = SIZE) -> np.ndarray:
    return np.stack([draw_disks(points, (size, size), label) for label in labels_of(channels)], -1)


@settings(max_examples=60, deadline=None)
@given(st.lists(TAP, min_size=1, max_size=4), st.sampled_from([1, 2]))
def test_equal_to_the_reference(taps: list[tuple[float, float, float]], channels: int) -> None:
    points = np.array(taps, np.float32)
    np.testing.assert_array_equal(drawn(points, channels), wanted(points, channels))


@pytest.mark.parametrize("x, y", [
    (0, 0), (511, 511), (511.5, 511.5), (-0.5, -0.5), (100.25, 300.75), (256, 0.5), (3, 508.125)])
def test_equal_at_the_shipped_size(x: float, y: float) -> None:
    points = np.array([[x, y, 1], [y, x, 0], [x, x, -1]], np.float32)
    np.testing.assert_array_equal(drawn(points, 2, 512), wanted(points, 2, 512))


def test_a_disk_by_hand() -> None:
    disk = drawn(np.array([[20, 30, 1]], np.float32), 1)[..., 0]
    assert set(np.unique(disk)) == {0, np.float32(127 / 128)}
    rows, columns = np.nonzero(disk)
    assert len(rows) == 81  # whole-number points within 5 of the origin
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (25, 35, 15, 25)
    assert disk[30 + 4, 20 + 3] > 0 and disk[30 + 4, 20 + 4] == 0  # 25 is inside, 32 is not


def test_maps_keep_the_labels_apart() -> None:
    maps = drawn(np.array([[10, 10, 1], [50, 50, 0]], np.float32))
    assert maps[10, 10].tolist() == [127 / 128, 0] and maps[50, 50].tolist() == [0, 127 / 128]


def test_batches_are_drawn_apart() -> None:
    points = np.array([[[10, 10, 1]], [[40, 20, 1]]], np.float32)
    maps = keras.ops.convert_to_numpy(Disks(SIZE, 1)(points))
    for one, row in zip(maps, points):
        np.testing.assert_array_equal(one, wanted(row, 1))


def test_disks_can_be_saved() -> None:
    layer = Disks(SIZE, 2, name="disks")
    again = Disks.from_config(layer.get_config())
    assert (again.size, again.labels, again.compute_output_shape((None, 3, 3))) == (
        SIZE, (1.0, 0.0), (None, SIZE, SIZE, 2))
    assert Disks.from_config(Disks(SIZE, 2, 512).get_config()).frame == 512


@settings(max_examples=40, deadline=None)
@given(st.lists(TAP, min_size=1, max_size=4))
def test_taps_of_the_files_square_are_moved_to_the_networks(taps: list[Any]) -> None:
    # From 128 to 96 px: x' = 0.75 x - 0.125, exact for coordinates in quarters.
    points = np.array(taps, np.float32)
    points[:, :2] = np.round(4 * points[:, :2]) / 4
    moved = points * np.array([0.75, 0.75, 1], np.float32) - np.array([0.125, 0.125, 0], np.float32)
    found = keras.ops.convert_to_numpy(Disks(96, 2, 128)(points[None]))[0]
    np.testing.assert_array_equal(found, wanted(moved, 2, 96))


def test_a_smaller_square_of_the_networks() -> None:
    config = dataclasses.replace(NetworkConfig.preset("tiny"), frame=256, tap_film=True)
    keras.utils.set_random_seed(0)
    file, side = 128, 64
    pair = build_pair(config, side)
    fused = build_fused(pair, max_points=2, size=file)
    assert fused.input_shape == [(1, file, file, 3), (1, 2, 3)]
    assert fused.output_shape == (1, file, file, 1)
    rng = np.random.default_rng(1)
    image = (rng.integers(0, 256, (file, file, 3)) / 128 - 1).astype(np.float32)
    points = np.array([[40.5, 60.5, 1], [80.5, 16.5, 0]], np.float32)
    small = np.array([[20, 30, 1], [40, 8, 0]], np.float32)
    # Halving reads the middle of two by two pixels; OpenCV agrees on the way back.
    seen = image.reshape(side, 2, side, 2, 3).mean(axis=(1, 3))
    tensors = [keras.ops.convert_to_tensor(a[None]) for a in (seen, wanted(small))]
    logits = keras.ops.convert_to_numpy(pair.forward(*tensors)[1])[0, ..., 0]
    expected = 1 / (1 + np.exp(-cv2.resize(logits, (file, file), interpolation=cv2.INTER_LINEAR)))
    found = keras.ops.convert_to_numpy(fused([image[None], points[None]]))[0, ..., 0]
    np.testing.assert_allclose(found, expected, atol=2e-6)
    assert found.std() > 1e-3


@pytest.mark.parametrize("click_input, channels", (("oace", 1), ("disk", 1), ("oace+disk", 2)))
def test_fused_is_the_networks_one_after_the_other(click_input: str, channels: int) -> None:
    config = dataclasses.replace(NetworkConfig.preset("tiny"), click_input=click_input,
                                 click_channels=channels)
    keras.utils.set_random_seed(0)
    pair = build_pair(config, SIZE)
    fused = build_fused(pair, max_points=3, size=SIZE)
    assert [tensor.name for tensor in fused.inputs] == ["image", "points"]
    assert fused.output_shape == (1, SIZE, SIZE, 1)
    rng = np.random.default_rng(1)
    image = (rng.integers(0, 256, (1, SIZE, SIZE, 3)) / 128 - 1).astype(np.float32)
    points = np.array([[[20, 30, 1], [40, 8, 0], [0, 0, -1]]], np.float32)
    tensors = [keras.ops.convert_to_tensor(a)
               for a in (image, wanted(points[0], channels)[None])]
    _, logits = pair.forward(*tensors)
    mask = keras.ops.convert_to_numpy(keras.ops.sigmoid(logits))
    for inputs in ([image, points], {"image": image, "points": points}):
        found = keras.ops.convert_to_numpy(fused(inputs))
        np.testing.assert_allclose(found, mask, atol=1e-6)
    moved = np.array([[[50, 50, 1], [40, 8, 0], [0, 0, -1]]], np.float32)
    assert np.abs(keras.ops.convert_to_numpy(fused([image, moved])) - mask).max() > 1e-6


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="click_channels is 3"):
        Disks(SIZE, 3)
    pair = build_pair(NetworkConfig.preset("tiny"), SIZE)
    with pytest.raises(ValueError, match="max_points is 0"):
        build_fused(pair, 0, SIZE)
    depth = keras.Input((SIZE, SIZE, 1), name="depth")
    other = SimpleNamespace(config=pair.config, prior=None, shared=None,
                            msfnet=keras.Model([depth], depth, name="other"))
    with pytest.raises(ValueError, match="depth"):
        build_fused(other, 2, SIZE)
