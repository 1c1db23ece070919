"""One trunk as a file: signature, float drawing, one delegate, answers like Keras's."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.calibration import observers
from export.calibration.previous_mask import Guide
from export.convert.gestures import KINDS
from export.convert.keras_pair import convert_weights
from export.interfaces.answers import one_answer
from export.quantization import int8
from export.quantization.recipe import load as load_recipe
from export.tflite import model as tflite
from export.tflite.delegation import delegation
from export.tflite.metadata import Description, add_metadata
from export.tflite.operators import operator_faults
from oace_tf.clicks import Click
from oace_tf.errors import UsageError
from oace_tf.geometry import Frame, normalise
from oace_tf.gestures import Gesture, pack_rows
from oace_tf.segmenter import TapSegmenter

SIDE, ROWS = 64, 8
GESTURES = (
    Gesture(taps=(Click(20, 30),)),
    Gesture(taps=(Click(20, 30), Click(50, 9, False))),
    Gesture(box=(8, 8, 50, 44)),
    Gesture(box=(8, 8, 50, 44), taps=(Click(30, 30),)),
    Gesture(extreme=((8, 30), (30, 8), (50, 30), (30, 44))),
    Gesture(drag=((30, 30), (40, 36))),
)


def points_of(gesture: Gesture) -> np.ndarray:
    return pack_rows(Frame(SIDE, SIDE, SIDE).rows(gesture.rows()), ROWS)


def photograph(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Any]:
    """Float file and int8 file of two tiny trunks, and the predictor of their weights."""
    import keras

    from oace_tf.config import NetworkConfig
    from oace_tf.networks.gesture_networks import build_gesture_networks
    from oace_tf.networks.gesture_predictor import GesturePredictor
    from oace_tf.networks.weights import build_gestures_from_weights, save_weights

    folder = tmp_path_factory.mktemp("gestures")
    keras.utils.set_random_seed(5)
    networks = build_gesture_networks(NetworkConfig.preset("tiny_two_trunks"), None)
    rng = np.random.default_rng(4)
    for model in networks.models():
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                if layer.name.startswith("shared.neck.second"):  # of fresh ones nothing enters
                    layer.gamma.assign(rng.uniform(0.3, 0.6, layer.gamma.shape))
                layer.moving_mean.assign(rng.normal(0, 0.1, layer.moving_mean.shape))
                layer.moving_variance.assign(rng.uniform(0.3, 1.0, layer.moving_variance.shape))
    assert networks.refiner is not None
    networks.refiner.get_layer("refiner.mask").bias.assign([0.0])
    weights = folder / "tiny.safetensors"
    save_weights(weights, networks, {"steps": 0})
    converted = convert_weights(weights, None, ROWS, SIDE, folder / "plain.tflite")
    assert converted.gestures == KINDS and converted.params > 0 and converted.gmac > 0
    content = (folder / "plain.tflite").read_bytes()
    guide, observer = Guide(content), observers.RangeObserver(content)
    feeds = ({"image": normalise(photograph(k))[None], "points": points_of(gesture)[None]}
             for k, gesture in enumerate(GESTURES))
    ranges = observers.merge_ranges(observer.see(guide.feed(feed, "0f"[k % 2]))
                                    for k, feed in enumerate(feeds))
    made = int8.quantize(content, ranges, load_recipe("plain"))
    about = Description(interface="points", click_channels=2, max_points=ROWS,
                        weights_sha256="0" * 64, licence="none", version="0", description="a test",
                        network={"trunk": "tiny"}, gestures=KINDS)
    for name, data in (("float", content), ("int8", made)):
        (folder / f"{name}.tflite").write_bytes(add_metadata(one_answer(data), about))
    fixed, _ = build_gestures_from_weights(weights, SIDE, 1)
    return folder / "float.tflite", folder / "int8.tflite", GesturePredictor(fixed, SIDE)


@pytest.mark.slow
def test_one_delegate_and_no_float_but_the_drawing(files: tuple[Path, Path, Any]) -> None:
    content = files[1].read_bytes()
    share = delegation(content)
    assert len(share.partitions) == 1
    assert sorted(share.outside) == ["QUANTIZE"] * 3  # image, previous mask, mask
    assert operator_faults(content) == []
    assert operator_faults(files[0].read_bytes()) != []
    model = tflite.parse(content)
    inputs, outputs = tflite.signature(model)
    assert set(inputs) == {"image", "points", "previous"} and set(outputs) == {"mask"}
    # In int8 the sum that a mean is divided by may round to nothing.
    graph = tflite.graph(model)
    divided = [tflite.type_name(graph.tensors[index]) for operator in graph.operators
               if tflite.operator_name(model, operator) == "DIV" for index in operator.inputs]
    assert divided and set(divided) == {"float32"}


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(GESTURES)))
def test_files_answer_as_keras_does(files: tuple[Path, Path, Any], number: int) -> None:
    as_float, as_int8 = (TapSegmenter(path).model for path in files[:2])
    assert as_float.gestures == as_int8.gestures == frozenset(KINDS)
    image, points = photograph(number), points_of(GESTURES[number])
    previous = np.random.default_rng(number).random((SIDE, SIDE)).astype(np.float32)
    wanted = files[2].answer(image, GESTURES[number], previous)[1]
    mask = as_float.run(image, points, previous)
    # measured: 2e-6 at most
    np.testing.assert_allclose(mask, wanted, atol=2e-5)
    as_bytes = np.minimum(np.round(previous * 256), 255).astype(np.uint8)
    apart = np.abs(as_int8.run(image, points, as_bytes) / 256 - mask)
    assert apart.mean() < 0.05  # a random network
    zeros = np.zeros((SIDE, SIDE), np.float32)
    # Ten times what the file may differ from Keras: a refiner sees it through the first answer.
    assert np.abs(as_float.run(image, points, zeros) - mask).max() > 2e-4


@pytest.mark.slow
def test_the_library_shows_the_file_a_window_around_a_box(files: tuple[Path, Path, Any]) -> None:
    segmenter = TapSegmenter(files[0])
    image = np.random.default_rng(9).integers(0, 256, (90, 120, 3)).astype(np.uint8)
    probability, mask = segmenter.answer(image, Gesture(box=(30, 20, 69, 59)))
    assert probability.shape == (90, 120) and mask.shape == (SIDE, SIDE)
    # Three tenths of 39 px on each side, rounded outwards.
    outside = np.ones((90, 120), bool)
    outside[8:72, 18:82] = False
    assert not probability[outside].any() and probability[~outside].any()


@pytest.mark.slow
def test_what_a_file_was_not_trained_on_is_refused(files: tuple[Path, Path, Any]) -> None:
    segmenter = TapSegmenter(files[0])
    segmenter.model.gestures = frozenset({"tap"})
    with pytest.raises(UsageError, match="was not trained on box"):
        segmenter.answer(photograph(0), Gesture(box=(8, 8, 50, 44)))
    with pytest.raises(UsageError, match="the tap 70,3 is outside"):
        segmenter.answer(photograph(0), Gesture(taps=(Click(70, 3),)))
