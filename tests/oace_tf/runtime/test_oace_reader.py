"""The OACE picture, read out of the shipped file."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from oace_tf.clicks import Click, draw_disks, pack_points
from oace_tf.errors import UsageError
from oace_tf.geometry import Frame, normalise
from oace_tf.images import read_image
from oace_tf.runtime.oace_reader import OaceReader, oace_picture
from oace_tf.segmenter import DEFAULT_MODEL

ROOT = Path(__file__).resolve().parents[3]
COFFEE = ROOT / "docs" / "samples" / "coffee.jpg"
WEIGHTS = ROOT / "oace_tf" / "weights" / "one_trunk.safetensors"


def _inputs(tap: Click, max_points: int) -> tuple[np.ndarray, np.ndarray]:
    image = read_image(COFFEE)
    frame = Frame(image.shape[0], image.shape[1])
    return frame.image(image), pack_points([frame.click(tap)], max_points)


@pytest.fixture(scope="module")
def reader() -> OaceReader:
    return OaceReader(DEFAULT_MODEL)


def test_it_follows_the_tap(reader: OaceReader) -> None:
    one, again, other = (reader.read(*_inputs(Click(x, y), reader.model.max_points))
                         for x, y in ((290, 120), (290, 120), (60, 60)))
    assert one.dtype == np.float32 and one.ndim == 3 and one.shape[2] == 3
    assert -1 <= one.min() < -0.5 and 0.5 < one.max() <= 1
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).mean() > 0.02  # 0.09


def _of_pair(seen: np.ndarray, points: np.ndarray, side: int) -> np.ndarray:
    from oace_tf.networks.weights import build_from_weights

    pair, _ = build_from_weights(WEIGHTS)
    moved = points.copy()
    moved[:, :2] = (points[:, :2] + 0.5) * side / 512 - 0.5
    disks = np.stack([draw_disks(moved, (side, side), label)
                      for label in (1, 0)[:pair.config.click_channels]], axis=-1)
    return pair.embedding(normalise(seen), disks)


def _of_gestures(seen: np.ndarray, points: np.ndarray, side: int) -> np.ndarray:
    import keras

    from oace_tf.networks.gesture_maps import GestureMaps
    from oace_tf.networks.weights import build_gestures_from_weights

    networks, _ = build_gestures_from_weights(WEIGHTS, 512, 1)
    drawn = GestureMaps(side, 512)(points[None])
    before = keras.ops.zeros((1, side // 4, side // 4, 1))
    features = networks.encode(keras.ops.convert_to_tensor(normalise(seen)[None]))
    outputs = networks.decode(features, drawn, before)
    return np.asarray(outputs["oace"])[0]


@pytest.mark.slow
def test_it_is_the_prior_s_answer(reader: OaceReader) -> None:
    """Keras, from the float weights, gives the same but for the noise of int8."""
    from oace_tf.networks.weights import read_record

    image, points = _inputs(Click(290, 120), reader.model.max_points)
    config, _ = read_record(WEIGHTS)
    side = config.network_side(512)  # what the networks see may be smaller than the file's square
    seen = cv2.resize(image, (side, side), interpolation=cv2.INTER_LINEAR)
    found = (_of_gestures if config.one_trunk else _of_pair)(seen, points, side)
    oace = cv2.resize(reader.read(image, points), found.shape[:2], interpolation=cv2.INTER_LINEAR)
    assert np.corrcoef(found.ravel(), oace.ravel())[0, 1] > 0.98  # 0.999 measured


def test_a_file_without_oace(tiny_int8: Path) -> None:
    with pytest.raises(UsageError, match="holds no OACE"):
        OaceReader(tiny_int8)


def test_wrong_inputs(reader: OaceReader) -> None:
    with pytest.raises(ValueError, match="image must be"):
        reader.read(np.zeros((5, 5, 3), np.uint8), np.zeros((20, 3), np.float32))


def test_picture() -> None:
    oace = np.array([[[-1, 0, 1]]], np.float32)
    assert oace_picture(oace, (2, 3)).tolist() == [[[0, 128, 255]] * 3] * 2
