"""Encoder and decoder of a file of gestures, and the photograph that is encoded once."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from export.interfaces import build as interfaces
from export.interfaces import files as interface_files
from export.tflite import model as tflite
from oace_tf import TapSegmenter
from oace_tf.clicks import Click
from oace_tf.errors import UsageError
from oace_tf.gestures import Gesture, pack_rows
from oace_tf.runtime import split_model
from oace_tf.runtime.oace_reader import OaceReader
from oace_tf.runtime.split_model import open_split
from oace_tf.runtime.tflite_reader import read_facts
from tests.export.conftest import GESTURE_ROWS, GESTURE_SIZE, Gestures
from tests.export.interfaces.test_gesture_files import described

ENCODER, DECODER = interface_files.SPLIT_FILES


@pytest.fixture(scope="module")
def folder(gestures: Gestures, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the one file and the two."""
    place = tmp_path_factory.mktemp("split")
    source = described(gestures.int8_bytes)
    (place / "oace_int8.tflite").write_bytes(source)
    entries, faults = interface_files.make_all(
        [interfaces.SPLIT], place / "oace_int8.tflite", None, place, place, 1)
    assert faults == []
    assert [entry["path"] for entry in entries] == [str(place / ENCODER), str(place / DECODER)]
    for entry in entries:
        assert entry["mask_bytes"] == {"compared": 8 * GESTURE_SIZE**2, "differing": 0}
        assert len(entry["delegates"][0]) == 1
    assert [entry["operators_outside_delegate"] for entry in entries] == [
        ["QUANTIZE"], ["QUANTIZE", "QUANTIZE"]]
    return place


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (150, 210, 3), np.uint8)


def segmenter(folder: Path) -> TapSegmenter:
    return TapSegmenter(folder / ENCODER, decoder=folder / DECODER)


def test_what_the_files_say_of_themselves(folder: Path, gestures: Gestures) -> None:
    encoder, decoder = (read_facts((folder / name).read_bytes(), name)
                        for name in (ENCODER, DECODER))
    assert encoder.sealed and decoder.sealed
    features = {name for name in decoder.inputs if name.startswith(split_model.FEATURES)}
    assert len(features) == 8 and set(encoder.outputs) == features
    assert all(fact.dtype == "int8" for fact in encoder.outputs.values())
    assert set(decoder.inputs) == features | {"points", "previous"}
    for facts in (encoder, decoder):
        assert facts.metadata["interface"] == interfaces.SPLIT
        assert facts.metadata["weights_sha256"] == "ab" * 32
        assert "box" in facts.metadata["gestures"]
    one = len(tflite.graph(tflite.parse(gestures.int8_bytes)).operators)
    two = [len(tflite.graph(tflite.parse((folder / name).read_bytes())).operators)
           for name in (ENCODER, DECODER)]
    assert sum(two) == one  # every operator is in one of the two


GESTURES = {
    "taps": Gesture(taps=(Click(40, 50), Click(120.5, 90, False))),
    "box": Gesture(box=(20, 30, 150, 120)),
    "box_and_tap": Gesture(box=(20, 30, 150, 120), taps=(Click(60, 60),)),
    "extreme": Gesture(extreme=((20, 60), (150, 70), (80, 30), (90, 120))),
    "drag": Gesture(drag=((60, 60), (80, 70)))}


def test_a_photograph_answers_as_the_one_file_does(folder: Path, photograph: np.ndarray) -> None:
    one, two = TapSegmenter(folder / "oace_int8.tflite"), segmenter(folder)
    asked = two.photograph(photograph)
    for name, gesture in GESTURES.items():
        expected = one.answer(photograph, gesture)
        for found in (asked.answer(gesture), two.answer(photograph, gesture),
                      one.photograph(photograph).answer(gesture)):
            for ours, theirs in zip(found, expected):
                np.testing.assert_array_equal(ours, theirs, name)
        again = one.answer(photograph, gesture, expected[1])
        np.testing.assert_array_equal(asked.answer(gesture, expected[1])[1], again[1], name)


def test_it_encodes_once(folder: Path, photograph: np.ndarray,
                         monkeypatch: pytest.MonkeyPatch) -> None:
    two = segmenter(folder)
    assert isinstance(two.model, split_model.SplitModel)
    encode = two.model.encode
    count: list[int] = []

    def counted(image: np.ndarray) -> dict[str, np.ndarray]:
        count.append(1)
        return encode(image)

    monkeypatch.setattr(two.model, "encode", counted)
    asked = two.photograph(photograph)
    assert count == []
    previous = None
    for x in (40, 50, 60):
        _, previous = asked.answer([(x, 50)], previous)
    assert len(count) == 1
    asked.answer(GESTURES["box"])  # the file sees the part around the box
    asked.answer(GESTURES["box"])
    asked.answer([(70, 50)])
    assert len(count) == 2
    asked.answer(Gesture(box=(30, 40, 100, 100)))
    assert len(count) == 3


def test_other_files_are_refused(folder: Path, gestures: Gestures, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="of a network of gestures"):
        interfaces.encoder_and_decoder(_without_previous(gestures.int8_bytes))
    whole = folder / "oace_int8.tflite"
    for encoder, decoder in ((whole, folder / DECODER), (folder / ENCODER, whole),
                             (folder / DECODER, folder / ENCODER)):
        with pytest.raises(UsageError, match="of another interface.*--interface encoder-decoder"):
            open_split(encoder, decoder)
    with pytest.raises(UsageError, match="of another interface"):
        TapSegmenter(folder / ENCODER)
    with pytest.raises(UsageError, match="threads must be"):
        open_split(folder / ENCODER, folder / DECODER, 0)
    other = described(gestures.int8_bytes, weights="cd" * 32)
    (tmp_path / ENCODER).write_bytes(interface_files.make_split(other)[0])
    with pytest.raises(UsageError, match="are not of one file"):
        open_split(tmp_path / ENCODER, folder / DECODER)


def _without_previous(content: bytes) -> bytes:
    model = tflite.parse(content)
    inputs, outputs = tflite.signature(model)
    tflite.add_signature(model, {name: inputs[name] for name in ("image", "points")}, outputs)
    return tflite.serialise(model)


def test_wrong_inputs(folder: Path) -> None:
    model = open_split(folder / ENCODER, folder / DECODER)
    with pytest.raises(ValueError, match="image must be"):
        model.encode(np.zeros((5, 5, 3), np.uint8))
    features = model.encode(np.zeros((GESTURE_SIZE, GESTURE_SIZE, 3), np.uint8))
    points = pack_rows(np.array([(3, 4, 1)]), GESTURE_ROWS)
    for wrong in (points[:2], points.astype(np.float64), points * np.nan):
        with pytest.raises(ValueError, match="points must be"):
            model.decode(features, wrong)
    with pytest.raises(ValueError, match="previous mask must be"):
        model.decode(features, points, np.zeros((3, 3), np.uint8))


def test_the_oace_of_a_gesture(folder: Path) -> None:
    reader = OaceReader(folder / "oace_int8.tflite")
    image = np.random.default_rng(0).integers(0, 256, (GESTURE_SIZE, GESTURE_SIZE, 3), np.uint8)
    one, again, other = (reader.read(image, pack_rows(np.array([row]), GESTURE_ROWS))
                         for row in ((30, 40, 1), (30, 40, 1), (90, 100, 1)))
    assert one.shape == (GESTURE_SIZE // 8, GESTURE_SIZE // 8, 3)
    assert -1 <= one.min() < one.max() <= 1
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
