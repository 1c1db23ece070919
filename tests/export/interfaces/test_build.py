"""The files of the other interfaces against the file they are made of, on the tiny network."""
from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from export.interfaces import build as interfaces
from export.interfaces import files as interface_files
from export.interfaces import mediapipe_task
from export.tflite import metadata
from export.tflite import model as tflite
from oace_tf.clicks import Click, draw_disks
from oace_tf.errors import UsageError
from oace_tf.runtime.model import open_model
from oace_tf.runtime.tflite_reader import read_facts
from tests.export.conftest import MAX_POINTS, SIZE, Made, liven, metadata_entry, quantized
from tests.export.tflite.test_metadata import ABOUT, Reader

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
def float_bundle(float_file: bytes) -> bytes:
    return interface_files.make(FLOAT, float_file)


@pytest.fixture(scope="module")
def files(points_file: bytes) -> dict[str, bytes]:
    return {name: interface_files.make(name, points_file) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_same_bytes_again(name: str, files: dict[str, bytes], points_file: bytes) -> None:
    assert interface_files.make(name, points_file) == files[name]


def test_float_bundle_gives_the_masks_of_the_float_file(
    float_bundle: bytes, float_file: bytes
) -> None:
    entry, faults = interface_files.examine(FLOAT, float_bundle, float_file, 1)
    assert faults == []
    assert entry["operators_outside_delegate"] == []
    assert [len(delegates) for delegates in entry["delegates"]] == [1, 1]
    found = entry["mask_difference"]
    assert found["half_precision"] == 0  # the same operators in the same kernels
    assert 0 < found["float32"] < 0.01  # measured: 0.0032, 0.0012
    assert found["float32_worst_iou"] > 0.99  # measured: 0.9995
    masks = [ours for ours, _ in interface_files.masks(FLOAT, float_bundle, float_file, 2)]
    assert len(np.unique(masks[0])) > 300 and (masks[0] != masks[1]).any()  # not a constant
    assert interface_files.make(FLOAT, float_file) == float_bundle


def test_float_bundle_has_half_weights_and_exact_disks(float_bundle: bytes) -> None:
    decoder = mediapipe_task.unpack(float_bundle)[mediapipe_task.DECODER]
    model = tflite.parse(decoder)
    kinds = {kind: [index for index, tensor in enumerate(tflite.graph(model).tensors)
                    if tflite.type_name(tensor) == kind and tflite.is_constant(model, index)]
             for kind in ("float16", "float32")}
    assert len(kinds["float16"]) == 50
    large = [value for value in (tflite.constant(model, index) for index in kinds["float32"])
             if value.size >= 64]
    assert len(large) == 2 and {*np.unique(large[0]), *np.unique(large[1])} == {0, 1}  # the dots
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=decoder, num_threads=1,
                              experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    heat_map = tflite.signature(model)[0]["heat_map"]
    for x, y in ((0, 0), (SIZE - 1, SIZE - 1), (0, 17), (31, 20), (SIZE - 2, 3)):
        heat = np.zeros((1, SIZE, SIZE, 3), np.float32)
        heat[0, :, :, 0] = interface_files.dot(SIZE, Click(x, y), 2) / 255
        interpreter.set_tensor(heat_map, heat)
        interpreter.invoke()
        drawn = interpreter.get_tensor(tflite.by_name(model, "disks"))[0, :, :, 0]
        np.testing.assert_array_equal(
            drawn, draw_disks(np.array([[x, y, 1]], np.float32), (SIZE, SIZE), 1.0))


@pytest.mark.parametrize("bundled", ("mediapipe-bundle-int8", FLOAT))
def test_what_the_files_say_of_themselves(
    bundled: str, files: dict[str, bytes], float_bundle: bytes
) -> None:
    parts = mediapipe_task.unpack({**files, FLOAT: float_bundle}[bundled])
    models = {"mediapipe": files["mediapipe"], "rgba": files["rgba"], **parts}
    models.pop(mediapipe_task.RECORD)
    wanted = {
        "mediapipe": (["image_and_tap"], ["masks"], 0.0, 255.0),
        "rgba": (["rgba"], ["mask"], 128.0, 128.0),
        mediapipe_task.ENCODER: (["photograph"], ["picture"], 0.0, 255.0),
        mediapipe_task.DECODER: (["heat_map", "picture"], ["mask"], None, None)}
    assert set(models) == set(wanted)
    for name, content in models.items():
        inputs, outputs, mean, std = wanted[name]
        facts = read_facts(content, name)
        assert facts.sealed and list(facts.inputs) == inputs and list(facts.outputs) == outputs
        assert facts.metadata["weights_sha256"] == "ab" * 32
        assert facts.metadata["licence"] == "CC0-1.0"
        assert facts.metadata["interface"] == (bundled if name in parts else name)
        root = Reader(metadata_entry(content, "TFLITE_METADATA"))
        assert "ab" * 32 in root.text(1) and root.text(5) == "CC0-1.0"
        graph, = root.children(3)
        told = [[tensor.text(0) for tensor in graph.children(slot)] for slot in (2, 3)]
        assert told == [inputs, outputs]
        assert all(tensor.offset(5) for tensor in graph.children(2) + graph.children(3))  # ranges
        if mean is not None:
            unit, = graph.children(2)[0].children(4)
            assert [unit.child(1).floats(slot) for slot in (0, 1)] == [[mean], [std]]
        # Only the legacy task asks for its own record: identifier V001, activation NONE.
        assert bool(graph.offset(9)) == (name == "mediapipe")
    graph, = Reader(metadata_entry(models["mediapipe"], "TFLITE_METADATA")).children(3)
    custom, = graph.children(9)
    assert custom.text(0) == "SEGMENTER_METADATA"
    start = custom.table.Vector(custom.offset(1))
    data = bytes(custom.table.Bytes[start : start + custom.table.VectorLen(custom.offset(1))])
    assert data[4:8] == b"V001" and Reader(data).byte(0) == 0


def test_the_bundle_is_a_stored_zip(files: dict[str, bytes]) -> None:
    content = files["mediapipe-bundle-int8"]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
        for entry in archive.infolist():  # read in place, so aligned
            assert content.count(archive.read(entry)) == 1
            assert content.find(archive.read(entry)) % 16 == 0
        # four fields of 64: key byte (number << 3), then the number
        assert archive.read("metadata.pb") == bytes([8, 64, 16, 64, 24, 64, 32, 64])
    assert mediapipe_task.tensor_record(512) == bytes(
        [8, 128, 4, 16, 128, 4, 24, 128, 4, 32, 128, 4])


def test_other_files_are_refused(files: dict[str, bytes], made: Made, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="metadata lacks"):
        interface_files.make("rgba", made.int8_bytes)
    for content in (files["rgba"], made.float_bytes):
        with pytest.raises(UsageError, match="int8 file of the interface points"):
            interfaces.rgba(content)
    for content in (files["rgba"], made.int8_bytes):
        with pytest.raises(UsageError, match="float file of the interface points"):
            interfaces.float_bundle_models(content)
    (tmp_path / "int8.tflite").write_bytes(files["rgba"])
    with pytest.raises(UsageError, match="is made of the float file, which is not here"):
        interface_files.make_all([FLOAT], tmp_path / "int8.tflite", None, tmp_path, tmp_path, 1)
    (tmp_path / "rgba.tflite").write_bytes(files["rgba"])
    with pytest.raises(UsageError, match="of another interface"):
        open_model(tmp_path / "rgba.tflite")


@pytest.mark.slow
def test_a_network_that_sees_a_smaller_square() -> None:
    import dataclasses

    import keras

    from export.convert.keras_pair import float_tflite
    from oace_tf.config import NetworkConfig
    from oace_tf.networks.fused import build_fused
    from oace_tf.networks.pair import build_pair

    size = 128
    config = dataclasses.replace(NetworkConfig.preset("tiny"), frame=256, tap_film=True)
    keras.utils.set_random_seed(5)
    pair = build_pair(config, config.network_side(size))
    liven(pair, 5)
    float_bytes = float_tflite(build_fused(pair, MAX_POINTS, size))
    about = dataclasses.replace(ABOUT, click_channels=config.click_channels)
    content = metadata.add_metadata(quantized(float_bytes, size)[1], about)
    for name in NAMES:
        made = interface_files.make(name, content)
        assert interface_files.examine(name, made, content, 1)[1] == []
    content = metadata.add_metadata(float_bytes, about)
    made = interface_files.make(FLOAT, content)
    assert interface_files.examine(FLOAT, made, content, 1)[1] == []
