"""Files with a previous mask as third input: made, run and continued, with a float attention."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.calibration import observers
from export.calibration.previous_mask import Guide
from export.quantization import int8
from export.quantization.recipe import load as load_recipe
from export.tflite import model as tflite
from export.tflite.delegation import delegation
from export.tflite.metadata import Description, add_metadata
from export.tflite.operators import operator_faults, operators
from oace_tf.clicks import Click, pack_points
from oace_tf.errors import UsageError
from oace_tf.geometry import normalise
from oace_tf.runtime.model import open_model
from oace_tf.runtime.tflite_reader import PREVIOUS
from oace_tf.segmenter import TapSegmenter

SIDE, POINTS = 64, 4


def stand_in() -> Any:
    """What RITM is made of, in small: maps joined, standardised photograph, gathered context."""
    import keras

    from oace_tf.networks.layers import Scope
    from oace_tf.networks.ported import ritm

    keras.utils.set_random_seed(3)
    image = keras.Input((SIDE, SIDE, 3), batch_size=1, name="image")
    previous = keras.Input((SIDE, SIDE, 1), batch_size=1, name=PREVIOUS)
    disks = keras.Input((SIDE, SIDE, 2), batch_size=1, name="disks")
    scope = Scope("t")
    maps = ritm.LeakyConv(8, name="t.maps")(scope.concat([previous, disks], "join"))
    x = scope.conv(ritm.Standardise(name="t.seen")(image), "photo", 8, 3, use_bias=True)
    x = scope.relu(scope.conv(scope.add([x, maps], "sum"), "mix", 8, 3, use_bias=True))
    auxiliary = scope.conv(x, "auxiliary", 1, 1, use_bias=True)
    context = ritm.Gather(name="t.gather")([auxiliary, x])
    context = scope.relu(scope.conv(context, "context", 8, 1, use_bias=True), "context_relu")
    x = scope.concat([ritm.Spread(name="t.spread")([context, x]), x], "both")
    return keras.Model([image, previous, disks], [scope.conv(x, "logits", 1, 3, use_bias=True)])


def feed_of(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    places = rng.uniform(0, SIDE, (2, 2))
    clicks = [Click(float(x), float(y), good) for (x, y), good in zip(places, (True, False))]
    return {"image": normalise(image)[None], "points": pack_points(clicks, POINTS)[None]}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Any]:
    """The float file, the int8 file with inner names, and the Keras model."""
    from export.convert.keras_pair import float_tflite
    from oace_tf.networks.ported.ritm import build_fused_ritm

    fused = build_fused_ritm(stand_in(), POINTS, SIDE)
    content = float_tflite(fused)
    guide, observer = Guide(content), observers.RangeObserver(content)
    ranges = observers.merge_ranges(observer.see(
        guide.feed(feed_of(k), "0f"[k % 2])) for k in range(6))
    recipe = load_recipe("plain")
    about = Description(interface="points", click_channels=2, max_points=POINTS,
                        weights_sha256="0" * 64, licence="none", version="0", description="a test",
                        network={"trunk": "none"})
    folder = tmp_path_factory.mktemp("guided")
    for name, data in (("float", content), ("int8", int8.quantize(content, ranges, recipe))):
        (folder / f"{name}.tflite").write_bytes(add_metadata(data, about))
    return folder / "float.tflite", folder / "int8.tflite", fused


def test_the_attention_stays_float_inside_one_delegate(files: tuple[Path, Path, Any]) -> None:
    content = files[1].read_bytes()
    found = delegation(content)
    assert len(found.partitions) == 1 and found.as_contracted
    assert sorted(found.outside) == ["QUANTIZE"] * 3  # image, previous mask, mask
    assert operator_faults(content) == []
    types = {(entry["operator"], entry["types"]) for entry in operators(content)}
    assert ("SOFTMAX", "float32 -> float32") in types
    model = tflite.parse(content)
    inputs, outputs = tflite.signature(model)
    tensors = tflite.graph(model).tensors
    for index in (inputs[PREVIOUS], outputs["mask"]):
        assert tflite.type_name(tensors[index]) == "uint8"
        assert tflite.scale_and_zero(tensors[index]) == (1 / 256, 0)


def test_files_and_keras_answer_alike(files: tuple[Path, Path, Any]) -> None:
    as_float, as_int8 = open_model(files[0]), open_model(files[1])
    assert as_float.takes_previous and as_int8.takes_previous
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    points = pack_points([Click(20, 30), Click(50, 9, False)], POINTS)
    previous = rng.random((SIDE, SIDE)).astype(np.float32)
    as_bytes = np.minimum(np.round(previous * 256), 255).astype(np.uint8)
    found = as_float.run(image, points, previous)
    keras_found = np.asarray(files[2]([normalise(image)[None], points[None],
                                       previous[None, ..., None]]))[0, ..., 0]
    np.testing.assert_allclose(found, keras_found, atol=1e-5)
    # a random network; measured: 0.058 at most
    apart = np.abs(as_int8.run(image, points, as_bytes) / 256 - found)
    assert apart.max() < 0.1 and apart.mean() < 0.02
    zeros = np.zeros((SIDE, SIDE), np.float32)
    np.testing.assert_array_equal(as_float.run(image, points), as_float.run(image, points, zeros))
    assert np.abs(as_float.run(image, points) - found).max() > 0.02  # the mask matters


def test_a_segmenter_goes_click_by_click(files: tuple[Path, Path, Any]) -> None:
    segmenter = TapSegmenter(files[1])
    image = np.random.default_rng(2).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    clicks = [Click(10, 10), Click(40, 50), Click(60, 5, False)]
    _, first = segmenter.answer(image, clicks[:1])
    _, second = segmenter.answer(image, clicks[:2], first)
    expected, third = segmenter.answer(image, clicks, second)
    np.testing.assert_array_equal(segmenter.probability(image, clicks), expected)
    assert not np.array_equal(segmenter.model.run(image, pack_points(clicks, POINTS)), third)


def test_previous_masks_are_checked(files: tuple[Path, Path, Any], tiny_int8_file: Path) -> None:
    model = open_model(files[1])
    image, points = np.zeros((SIDE, SIDE, 3), np.uint8), pack_points([Click(1, 1)], POINTS)
    for bad in (np.zeros((SIDE, SIDE), np.float32), np.zeros((8, 8), np.uint8)):
        with pytest.raises(ValueError, match="the previous mask must be"):
            model.run(image, points, bad)
    other = open_model(tiny_int8_file)
    with pytest.raises(ValueError, match="takes no previous mask"):
        other.run(np.zeros((32, 32, 3), np.uint8), points, np.zeros((32, 32), np.uint8))


def test_another_third_input_is_refused(files: tuple[Path, Path, Any], tmp_path: Path) -> None:
    model = tflite.parse(files[0].read_bytes())
    model.metadata = []
    for entry in model.signatureDefs[0].inputs:
        if entry.name in (PREVIOUS.encode(), PREVIOUS):
            entry.name = "last_mask"
    (tmp_path / "other.tflite").write_bytes(tflite.serialise(model))
    with pytest.raises(UsageError, match="last_mask"):
        open_model(tmp_path / "other.tflite")


@pytest.fixture
def tiny_int8_file() -> Path:
    return Path(__file__).resolve().parents[2] / "golden" / "tiny_int8.tflite"
