"""Several answers in a file, and the file that gives the mask alone."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from export.calibration import observers
from export.convert.keras_pair import float_tflite
from export.interfaces import answers, files
from export.interfaces.answers import one_answer
from export.quantization import bias_correction, int8
from export.quantization.calibration_result import CalibrationResult
from export.tflite import model as tflite
from export.tflite.delegation import delegation
from oace_tf import TapSegmenter
from oace_tf.clicks import Click
from oace_tf.errors import UsageError
from oace_tf.geometry import Frame
from oace_tf.gestures import Gesture, pack_rows
from oace_tf.networks.gesture_networks import build_fused_gestures
from oace_tf.runtime.interpreter import open_interpreter
from tests.export.conftest import GESTURE_ROWS, GESTURE_SIZE, Gestures, gesture_feeds
from tests.export.interfaces.test_gesture_files import described


@pytest.fixture(scope="module")
def several(gestures: Gestures) -> tuple[Any, bytes, bytes]:
    """Return the Keras model with all answers, its float file and its int8 file."""
    fused = build_fused_gestures(gestures.networks, GESTURE_ROWS, GESTURE_SIZE, alternatives=True)
    content = float_tflite(fused)
    observer = observers.RangeObserver(content)
    ranges = observers.merge_ranges(observer.see(feed) for feed in gesture_feeds(8))
    return fused, content, int8.quantize(content, ranges, keep_names=True)


def run(content: bytes, feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return open_interpreter(content).get_signature_runner()(**feed)


@pytest.mark.slow
def test_the_float_file_answers_as_keras_does(several: tuple[Any, bytes, bytes]) -> None:
    fused, content, _ = several
    for feed in gesture_feeds(3):
        wanted = fused.predict_on_batch([feed[name] for name in ("image", "points", "previous")])
        found = run(content, feed)
        assert set(found) == {"mask", "masks", "scores"}
        assert found["scores"].shape == (1, 3)
        assert found["masks"].shape == (1, GESTURE_SIZE, GESTURE_SIZE, 3)
        for name, array in found.items():
            np.testing.assert_allclose(array, wanted[name], atol=2e-5)
        assert np.ptp(found["masks"][0], axis=-1).max() > 1e-3  # three answers, not one


@pytest.mark.slow
def test_one_answer_is_the_mask_of_all(several: tuple[Any, bytes, bytes],
                                       gestures: Gestures) -> None:
    for content in several[1:]:
        alone = one_answer(content)
        _, outputs = tflite.signature(tflite.parse(alone))
        assert set(outputs) == {"mask"} and len(alone) < len(content)
        assert one_answer(alone) == alone
        for whole in gesture_feeds(2):
            feed = whole if content is several[1] else as_bytes(whole)
            np.testing.assert_array_equal(run(alone, feed)["mask"], run(content, feed)["mask"])
    assert one_answer(gestures.float_bytes) == gestures.float_bytes


def as_bytes(feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    previous = np.minimum(np.rint(feed["previous"] * 256), 255).astype(np.uint8)
    return {**feed, "image": (feed["image"] * 128 + 128).astype(np.uint8), "previous": previous}


@pytest.mark.slow
def test_the_library_reads_the_int8_file(several: tuple[Any, bytes, bytes], tmp_path: Any) -> None:
    one, multi = tmp_path / "oace_int8.tflite", tmp_path / answers.MULTI_NAME
    one.write_bytes(described(one_answer(several[2])))
    multi.write_bytes(described(several[2], answers.MULTI))
    entries, faults = files.make_all([answers.MULTI], one, None, tmp_path, tmp_path, 1)
    assert faults == []
    assert entries[0]["mask_bytes"] == {"compared": 8 * GESTURE_SIZE**2, "differing": 0}
    assert len(delegation(multi.read_bytes()).partitions) == 1
    assert sorted(entries[0]["operators_outside_delegate"]) == ["QUANTIZE"] * 4
    segmenter = TapSegmenter(multi)
    assert segmenter.model.has_alternatives
    assert segmenter.model.metadata["interface"] == "points-multi"
    image = np.random.default_rng(3).integers(0, 256, (90, 120, 3), np.uint8)
    gesture = Gesture(taps=(Click(40, 50),))
    masks, scores = segmenter.alternatives(image, gesture)
    assert masks.shape == (3, 90, 120) and scores.shape == (3,)
    assert ((scores > 0) & (scores < 1)).all()
    np.testing.assert_array_equal(segmenter.answer(image, gesture)[1],
                                  TapSegmenter(one).answer(image, gesture)[1])
    frame = Frame(90, 120, GESTURE_SIZE)
    points = pack_rows(frame.rows(gesture.rows()), GESTURE_ROWS)
    feed = {"image": frame.image(image)[None], "points": points[None],
            "previous": np.zeros((1, GESTURE_SIZE, GESTURE_SIZE, 1), np.uint8)}
    np.testing.assert_array_equal(scores, run(multi.read_bytes(), feed)["scores"][0])


@pytest.mark.slow
def test_another_mask_fails_the_build(several: tuple[Any, bytes, bytes], tmp_path: Any) -> None:
    model = tflite.parse(several[2])
    tensors = tflite.graph(model).tensors
    kernel = max((op for op in tflite.graph(model).operators
                  if tflite.operator_name(model, op) == "CONV_2D"),
                 key=lambda op: int(np.prod(tensors[int(op.inputs[1])].shape)))
    data = model.buffers[tensors[int(kernel.inputs[1])].buffer].data
    model.buffers[tensors[int(kernel.inputs[1])].buffer].data = data[::-1].copy()
    (tmp_path / "oace_int8.tflite").write_bytes(described(one_answer(several[2])))
    (tmp_path / answers.MULTI_NAME).write_bytes(described(tflite.serialise(model), answers.MULTI))
    _, faults = files.make_all([answers.MULTI], tmp_path / "oace_int8.tflite", None, tmp_path,
                               tmp_path, 1)
    assert any("mask bytes" in fault for fault in faults)


@pytest.mark.slow
def test_what_was_calibrated_on_all_answers_serves_the_one(several: tuple[Any, bytes, bytes],
                                                          ) -> None:
    content = several[1]
    observer = observers.ChannelObserver(content)
    means = observers.merge_channels(observer.see(feed) for feed in gesture_feeds(2)).means
    shifts = bias_correction.corrections(tflite.parse(content), means, 8)
    observed = observers.RangeObserver(content)
    ranges = observers.merge_ranges(observed.see(feed) for feed in gesture_feeds(2))
    whole, alone = CalibrationResult(ranges, shifts), one_answer(content)
    with pytest.raises(UsageError, match="do not fit"):
        whole.edit(alone)
    part = whole.within(alone)
    assert 0 < len(part.shifts) < len(whole.shifts) and len(part.ranges) < len(whole.ranges)
    edited = part.edit(alone)
    assert edited != alone
    assert int8.quantize(edited, part.ranges) == one_answer_of_both(whole, content)


def one_answer_of_both(calibrated: CalibrationResult, content: bytes) -> bytes:
    """Return the mask's part of the int8 file that all answers share."""
    return int8.quantize(one_answer(calibrated.edit(content)), calibrated.ranges)
