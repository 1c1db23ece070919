"""Files of the interfaces held against their own, and against another network's."""
from __future__ import annotations

import numpy as np
import pytest

from export.interfaces import files as interface_files
from export.tflite import metadata
from export.tflite import model as tflite
from tests.export.conftest import MAX_POINTS, SIZE, Made

NAMES = ("mediapipe", "mediapipe-bundle-int8", "rgba")  # those made of the int8 file

FLOAT = "mediapipe-bundle"


def described(content: bytes, click_channels: int) -> bytes:
    return metadata.add_metadata(content, metadata.Description(
        interface="points", click_channels=click_channels,
        max_points=MAX_POINTS, weights_sha256="ab" * 32, licence="CC0-1.0", version="1.2.3",
        description="tiny", network={"trunk": "tiny"}))


@pytest.fixture(scope="module")
def points_file(made: Made) -> bytes:
    return described(made.int8_bytes, made.pair.config.click_channels)


@pytest.fixture(scope="module")
def float_file(made: Made) -> bytes:
    return described(made.float_bytes, made.pair.config.click_channels)


@pytest.fixture(scope="module")
def files(points_file: bytes) -> dict[str, bytes]:
    return {name: interface_files.make(name, points_file) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_masks_are_those_of_the_interface_points(
    name: str, files: dict[str, bytes], points_file: bytes
) -> None:
    entry, faults = interface_files.examine(name, files[name], points_file, 1)
    assert faults == []
    assert entry["mask_bytes"] == {"compared": 4 * SIZE * SIZE, "differing": 0}
    assert all(len(delegates) == 1 for delegates in entry["delegates"])
    assert entry["operators_outside_delegate"] == (
        ["QUANTIZE", "QUANTIZE"] if name == "rgba" else [])
    masks = [ours for ours, _ in interface_files.masks(name, files[name], points_file, 2)]
    assert len(np.unique(masks[0])) > 3 and (masks[0] != masks[1]).any()  # not a constant


def test_another_network_is_noticed(files: dict[str, bytes], points_file: bytes) -> None:
    model = tflite.parse(files["rgba"])
    graph = tflite.graph(model)
    kernels = [graph.tensors[int(op.inputs[1])] for op in graph.operators
               if tflite.operator_name(model, op) == "CONV_2D"]
    model.buffers[kernels[0].buffer].data = 127 - model.buffers[kernels[0].buffer].data
    entry, faults = interface_files.examine("rgba", tflite.serialise(model), points_file, 1)
    assert entry["mask_bytes"]["differing"] > 0
    assert any("are not those of the interface points" in fault for fault in faults)


def test_a_float_bundle_of_another_network_is_noticed(float_file: bytes, made: Made) -> None:
    model = tflite.parse(made.float_bytes)
    kernel = next(int(op.inputs[1]) for op in tflite.graph(model).operators
                  if tflite.operator_name(model, op) == "CONV_2D")
    tflite.set_constant(model, kernel, -tflite.constant(model, kernel))
    other = described(tflite.serialise(model), made.pair.config.click_channels)
    entry, faults = interface_files.examine(
        FLOAT, interface_files.make(FLOAT, other), float_file, 1)
    assert entry["mask_difference"]["half_precision"] > interface_files.TOLERANCE
    assert len(faults) == 1 and "off that of the half-precision file" in faults[0]
