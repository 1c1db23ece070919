"""Input graphs: the tap channel and the dots of strokes against their references."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from export.interfaces import files as interface_files
from export.interfaces import input_graphs
from export.tflite import metadata
from oace_tf.clicks import Click, draw_disks
from tests.export.conftest import MAX_POINTS, SIZE, Made

NAMES = ("mediapipe", "mediapipe-bundle-int8", "rgba")  # those made of the int8 file


def described(content: bytes, click_channels: int) -> bytes:
    return metadata.add_metadata(content, metadata.Description(
        interface="points", click_channels=click_channels,
        max_points=MAX_POINTS, weights_sha256="ab" * 32, licence="CC0-1.0", version="1.2.3",
        description="tiny", network={"trunk": "tiny"}))


@pytest.fixture(scope="module")
def points_file(made: Made) -> bytes:
    return described(made.int8_bytes, made.pair.config.click_channels)


@pytest.fixture(scope="module")
def files(points_file: bytes) -> dict[str, bytes]:
    return {name: interface_files.make(name, points_file) for name in NAMES}


def runner(content: bytes) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(model_content=content, num_threads=1).get_signature_runner()


def test_probabilities_of_background_and_object(files: dict[str, bytes]) -> None:
    feed = np.random.default_rng(0).integers(0, 256, (1, SIZE, SIZE, 4)) / np.float32(255)
    feed[..., 3] = interface_files.dot(SIZE, Click(30, 20), 1) / np.float32(255)
    background, found = np.moveaxis(runner(files["mediapipe"])(
        image_and_tap=feed.astype(np.float32))["masks"][0], -1, 0)
    np.testing.assert_array_equal(background, 511 / 512 - found)
    np.testing.assert_array_equal(np.argmax([background, found], 0) == 1, found >= 0.5)


@pytest.mark.parametrize("channels, side", ((1, SIZE), (2, SIZE), (2, 3 * SIZE // 4)))
def test_the_tap_channel(channels: int, side: int) -> None:
    """Grey blobs: the centroid in float64 and the reference drawing; an empty one draws nothing."""
    run = runner(input_graphs.tap_channel(SIZE, side, channels))
    rng = np.random.default_rng(3)
    greys = [np.zeros((SIZE, SIZE))]
    for x, y in ((0, 0), (SIZE - 1, SIZE - 1), (0, 17), (31, 20), (SIZE - 1, 3)):
        greys.append(interface_files.dot(SIZE, Click(x, y), 0))
    for _ in range(8 if side == SIZE else 0):  # elsewhere the last bits of the product decide
        grey = np.zeros((SIZE, SIZE))
        x, y = rng.integers(3, SIZE - 3, 2)
        grey[y - 2 : y + 3, x - 2 : x + 3] = rng.integers(0, 256, (5, 5))
        greys.append(grey)
    for grey in greys:
        made = run(grey=grey[None, :, :, None].astype(np.float32))["disks"][0]
        assert made.shape == (side, side, channels)
        rows, columns = np.indices(grey.shape)
        total = grey.sum()
        at = [((grey * index).sum() / total + 0.5) * side / SIZE - 0.5
              for index in (columns, rows)] if total else []
        point = np.array([[*at, 1.0]] if total else np.zeros((0, 3)), np.float32)
        for channel, label in zip(range(channels), (1.0, 0.0)):
            np.testing.assert_array_equal(
                made[:, :, channel], draw_disks(point, (side, side), label))


@pytest.mark.parametrize("channels, side", ((1, SIZE), (2, SIZE), (2, 3 * SIZE // 4)))
def test_dots_of_strokes(channels: int, side: int) -> None:
    """Dots with MediaPipe's soft edges, everywhere: also cut by the border, and close together."""
    run = runner(input_graphs.dots(SIZE, side, channels))
    ends = (0, 1, 2, 3, SIZE - 3, SIZE - 2, SIZE - 1)
    sets = [[(x, y, 1)] for x in ends for y in ends] + [
        [(20, 20, 1), (40, 9, 1), (33, 50, 0)], [(20, 20, 1), (27, 20, 1)], [(9, 9, 0)], []]
    for taps in sets:
        heat = np.zeros((SIZE, SIZE, 3), np.float32)
        for x, y, label in taps:
            drawn = heat[:, :, 1 - label]
            for reach, value in ((3, 0.31), (2, 0.93), (1, 1.0)):
                on = interface_files.dot(SIZE, Click(x, y), reach) > 0
                drawn[on] = np.maximum(drawn[on], value)
        heat[:, :, 2] = 1  # boxes are not read
        made = run(heat_map=heat[None])["disks"][0]
        points = np.array(taps, np.float32).reshape(-1, 3)
        points[:, :2] = (points[:, :2] + 0.5) * side / SIZE - 0.5
        for channel, wanted in zip(range(channels), (1.0, 0.0)):
            np.testing.assert_array_equal(
                made[:, :, channel], draw_disks(points, (side, side), wanted))
