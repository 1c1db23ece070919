"""The files of the other interfaces made of a file of gestures, on the tiny network."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from export.interfaces import build as interfaces
from export.interfaces import files as interface_files
from export.interfaces import input_graphs
from export.tflite import metadata
from export.tflite import model as tflite
from oace_tf.clicks import Click
from oace_tf.errors import UsageError
from oace_tf.gestures import Label, pack_rows
from oace_tf.runtime.tflite_reader import read_facts
from oace_tf.segmenter import DEFAULT_MODEL
from tests.export.conftest import GESTURE_ROWS, GESTURE_SIZE, Gestures

NAMES = ("mediapipe", "mediapipe-bundle-int8", "rgba")
FLOAT = "mediapipe-bundle"


def described(content: bytes, interface: str = "points", weights: str = "ab" * 32) -> bytes:
    return metadata.add_metadata(content, metadata.Description(
        interface=interface, click_channels=2, max_points=GESTURE_ROWS, weights_sha256=weights,
        licence="CC0-1.0", version="1.2.3", description="tiny", network={"trunk": "tiny"},
        gestures=("background", "box", "drag", "extreme", "tap")))


def runner(content: bytes) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(model_content=content, num_threads=1).get_signature_runner()


@pytest.mark.parametrize("name", NAMES)
def test_masks_are_those_of_the_interface_points(name: str, gestures: Gestures) -> None:
    source = described(gestures.int8_bytes)
    content = interface_files.make(name, source)
    entry, faults = interface_files.examine(name, content, source, 1)
    assert faults == []
    assert entry["mask_bytes"] == {"compared": 4 * GESTURE_SIZE**2, "differing": 0}
    assert all(len(delegates) == 1 for delegates in entry["delegates"])
    masks = [ours for ours, _ in interface_files.masks(name, content, source, 2)]
    assert len(np.unique(masks[0])) > 3 and (masks[0] != masks[1]).any()  # not a constant
    if name != "mediapipe-bundle-int8":
        about = read_facts(content, name).metadata
        assert about["max_points"] == 1 and about["gestures"] == ["tap"]


def test_float_bundle(gestures: Gestures) -> None:
    source = described(gestures.float_bytes)
    content = interface_files.make(FLOAT, source)
    entry, faults = interface_files.examine(FLOAT, content, source, 1)
    assert faults == []
    assert entry["mask_difference"]["half_precision"] == 0
    assert [len(delegates) for delegates in entry["delegates"]] == [1, 1]


def test_the_tap_becomes_the_first_row() -> None:
    run = runner(input_graphs.tap_row(GESTURE_SIZE, GESTURE_ROWS))
    for taps in ([], [(0, 0)], [(GESTURE_SIZE - 1, 17)], [(31, 20)]):
        grey = np.zeros((GESTURE_SIZE, GESTURE_SIZE), np.float32)
        for x, y in taps:
            grey += interface_files.dot(GESTURE_SIZE, Click(x, y), 0)
        points = run(grey=grey[None, :, :, None])["points"][0]
        rows = np.array([(x, y, 1) for x, y in taps]).reshape(-1, 3)
        np.testing.assert_array_equal(points, pack_rows(rows, GESTURE_ROWS))


def drawn(taps: list[tuple[int, int, int]]) -> np.ndarray:
    heat = np.zeros((1, GESTURE_SIZE, GESTURE_SIZE, 3), np.float32)
    for x, y, label in taps:
        for reach, value in ((3, 0.31), (2, 1.0)):  # with MediaPipe's soft edges
            on = interface_files.dot(GESTURE_SIZE, Click(x, y), reach) > 0
            channel = heat[0, :, :, 1 - label]
            channel[on] = np.maximum(channel[on], value)
    heat[..., 2] = 1  # boxes are not read
    return heat


def test_dots_become_rows() -> None:
    run = runner(input_graphs.dot_rows(GESTURE_SIZE, GESTURE_ROWS))
    end = GESTURE_SIZE - 1
    sets = [[], [(20, 20, 1)], [(9, 9, 0)], [(0, 0, 1), (end, 0, 1), (0, end, 0), (end, end, 0)],
            [(70, 3, 1), (5, 40, 1), (20, 41, 1), (100, 100, 1), (64, 64, 0), (15, 90, 0)]]
    for taps in sets:
        points = run(heat_map=drawn(taps))["points"][0]
        assert points.shape == (GESTURE_ROWS, 3)
        for label, first, count in ((1, 0, 8), (0, 8, 4)):
            mine = points[first:first + count]
            used = mine[mine[:, 2] != Label.UNUSED]
            assert set(map(tuple, used.tolist())) == {tap for tap in taps if tap[2] == label}
            np.testing.assert_array_equal(used, mine[:len(used)])  # unused rows come last


def test_a_line_becomes_a_row_a_cell_and_too_many_cells_are_left_out() -> None:
    run = runner(input_graphs.dot_rows(GESTURE_SIZE, GESTURE_ROWS))
    line = [(x, 40, 1) for x in range(20, 61)]
    points = run(heat_map=drawn(line))["points"][0]
    used = points[points[:, 2] == 1]
    assert used.tolist() == [[25.5, 40, 1], [39.5, 40, 1], [54, 40, 1]]
    many = [(x, y, 1) for x in range(8, 128, 16) for y in range(8, 128, 16)]
    points = run(heat_map=drawn(many))["points"][0]
    assert points[:8].tolist() == [[x, 8, 1] for x in range(8, 128, 16)]
    assert (points[8:, 2] == Label.UNUSED).all()


def test_a_pair_that_takes_a_previous_mask_is_refused(gestures: Gestures) -> None:
    model = tflite.parse(gestures.int8_bytes)
    tflite.graph(model).tensors[-1].name = "disks"  # as RITM's file has
    with pytest.raises(UsageError, match="no place for the previous mask"):
        interfaces.rgba(tflite.serialise(model))


def test_the_file_in_the_package_is_taken() -> None:
    about = interface_files.description(DEFAULT_MODEL.read_bytes())
    assert about.interface == "points"
