"""A tiny pair of networks, its float and int8 files, and drawn photographs, made once a session."""
from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from export.calibration import observers
from export.quantization import int8
from export.tflite import model as tflite
from oace_tf.geometry import Frame, normalise
from oace_tf.gestures import pack_rows
from tests.drawn_photograph import drawn_photograph
from tests.kept import kept

SIZE = 64
MAX_POINTS = 6


@dataclass(frozen=True)
class Made:
    """A pair and what became of it; `ranges` are those of `feeds`."""

    pair: Any
    fused: Any
    float_bytes: bytes
    ranges: dict[str, tuple[float, float]]
    int8_bytes: bytes  # names kept, no metadata


def pictures(count: int, size: int, seed: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield drawn (S, S, 3) uint8 pictures and packed points (N, 3), seeded."""
    for index in range(count):
        picture, clicks = drawn_photograph(np.random.default_rng((seed, index)))
        frame = Frame(picture.shape[0], picture.shape[1], size)
        yield frame.image(picture), frame.points(clicks, MAX_POINTS)


def feeds(count: int, size: int) -> Iterator[dict[str, np.ndarray]]:
    """Yield what a float file is fed with, for `pictures`."""
    for picture, points in pictures(count, size):
        yield {"image": normalise(picture)[None], "points": points[None]}


def quantized(
    float_bytes: bytes, size: int, name: str = ""
) -> tuple[dict[str, tuple[float, float]], bytes]:
    """Return the ranges over eight drawn pictures, and the int8 file with its names kept.

    With a name both are kept between runs.
    """
    def ranges_json() -> bytes:
        observer = observers.RangeObserver(float_bytes)
        ranges = observers.merge_ranges(observer.see(feed) for feed in feeds(8, size))
        return json.dumps(ranges).encode()

    content = kept(f"{name}-ranges", ranges_json) if name else ranges_json()
    ranges = {tensor: (float(low), float(high))
              for tensor, (low, high) in json.loads(content).items()}

    def int8_bytes() -> bytes:
        return int8.quantize(float_bytes, ranges, keep_names=True)

    return ranges, kept(f"{name}-int8", int8_bytes) if name else int8_bytes()


def liven(pair: Any, seed: int) -> None:
    """Give a fresh pair statistics unlike 0 and 1, and masks that are neither empty nor full."""
    import keras

    rng = np.random.default_rng(seed)
    for model in pair.models():
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.moving_mean.assign(rng.normal(0, 0.1, layer.moving_mean.shape))
                layer.moving_variance.assign(rng.uniform(0.3, 1.0, layer.moving_variance.shape))
    for layer in pair.msfnet.layers:
        if layer.name in ("msfnet.head.mask", "msfnet.mask"):
            layer.bias.assign([0.0])


@pytest.fixture(scope="session", params=(1, 2), ids=("one_map", "two_maps"))
def made(request: pytest.FixtureRequest) -> Made:
    """Return the tiny pair of one and of two click channels, converted and quantized."""
    import dataclasses

    import keras

    from export.convert.keras_pair import float_tflite
    from oace_tf.config import NetworkConfig
    from oace_tf.networks.fused import build_fused
    from oace_tf.networks.pair import build_pair

    keras.utils.set_random_seed(2)
    config = dataclasses.replace(NetworkConfig.preset("tiny"), click_channels=request.param)
    pair = build_pair(config, SIZE)
    liven(pair, 2)
    fused = build_fused(pair, MAX_POINTS, SIZE)
    name = f"tiny{request.param}"
    float_bytes = kept(f"{name}-float", lambda: float_tflite(fused))
    return Made(pair, fused, float_bytes, *quantized(float_bytes, SIZE, name))


GESTURE_SIZE = 128  # large enough for cells of 16 px to hold a tap each
GESTURE_ROWS = 12


@dataclass(frozen=True)
class Gestures:
    """A tiny network of gestures and its files, names kept, without metadata."""

    networks: Any
    float_bytes: bytes
    int8_bytes: bytes


@pytest.fixture(scope="session")
def gestures() -> Gestures:
    """Return the tiny network of gestures, converted and quantized."""
    import keras

    from export.convert.keras_pair import float_tflite
    from oace_tf.config import NetworkConfig
    from oace_tf.networks.gesture_networks import build_fused_gestures, build_gesture_networks
    from oace_tf.networks.weights import get_arrays, set_arrays

    keras.utils.set_random_seed(4)
    networks = build_gesture_networks(NetworkConfig.preset("tiny_one_trunk"), GESTURE_SIZE, 1)
    liven(networks, 4)
    rng = np.random.default_rng(4)
    # Fresh modulations do nothing; here every weight does something.
    arrays = {name: array + rng.normal(0, 0.05, array.shape).astype(np.float32)
              if name.endswith(("weight", "bias")) else array
              for name, array in get_arrays(networks).items()}
    set_arrays(networks, arrays, "test")
    float_bytes = float_tflite(build_fused_gestures(networks, GESTURE_ROWS, GESTURE_SIZE))
    observer = observers.RangeObserver(float_bytes)
    ranges = observers.merge_ranges(observer.see(feed) for feed in gesture_feeds(8))
    return Gestures(networks, float_bytes, int8.quantize(float_bytes, ranges, keep_names=True))


def gesture_feeds(count: int) -> Iterator[dict[str, np.ndarray]]:
    """Yield what the float file of gestures is fed with: all kinds of rows, masks half of the time.
    """
    for index in range(count):
        rng = np.random.default_rng((9, index))
        rows = rng.uniform(0, GESTURE_SIZE - 1, (6, 3))
        rows[:, 2] = (1, 5, 2, 3, 0, 4)
        shape = (1, GESTURE_SIZE, GESTURE_SIZE, 1)
        image = rng.integers(0, 256, (1, GESTURE_SIZE, GESTURE_SIZE, 3), np.uint8)
        previous = rng.random(shape, np.float32) if index % 2 else np.zeros(shape, np.float32)
        yield {"image": normalise(image), "points": pack_rows(rows, GESTURE_ROWS)[None],
               "previous": previous}


def plain_pair(size: int, channels: int, upsampling: str = "bilinear") -> SimpleNamespace:
    """Return the smallest thing that can be fused: photograph ++ disks, two convolutions."""
    import keras

    image = keras.Input((size, size, 3), name="image")
    disks = keras.Input((size, size, channels), name="disks")
    x = keras.layers.Concatenate(name="join")([image, disks])
    x = keras.layers.Conv2D(4, 3, 4, padding="same", activation="relu", name="down")(x)
    x = keras.layers.Conv2D(1, 1, name="logits")(x)
    x = keras.layers.UpSampling2D(4, interpolation=upsampling, name="up")(x)
    config = SimpleNamespace(click_channels=channels, network_side=lambda side: side)
    return SimpleNamespace(config=config, prior=None, shared=None,
                           msfnet=keras.Model({"image": image, "disks": disks}, x, name="plain"))


@pytest.fixture(scope="session")
def plain_files() -> tuple[bytes, bytes]:
    """Return float and int8 file of the plain network at the shipped size, two maps."""
    import keras

    from export.convert.keras_pair import float_tflite
    from oace_tf.networks.fused import build_fused

    keras.utils.set_random_seed(2)
    fused = build_fused(plain_pair(512, 2), MAX_POINTS, 512)
    float_bytes = kept("plain-float", lambda: float_tflite(fused))
    return float_bytes, quantized(float_bytes, 512, "plain")[1]


def tensors_of(
    content: bytes, image_u8: np.ndarray, points: np.ndarray, names: tuple[str, ...]
) -> list[np.ndarray]:
    """Run a file and return inner tensors by name, as they are stored, without the batch axis."""
    from ai_edge_litert.interpreter import Interpreter

    from export.tflite import model as tflite

    model = tflite.parse(content)
    interpreter = Interpreter(model_content=content, num_threads=1,
                              experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    for entry in interpreter.get_input_details():
        is_image = len(entry["shape"]) == 4
        value = points if not is_image else (
            image_u8 if entry["dtype"] == np.uint8 else normalise(image_u8))
        interpreter.set_tensor(entry["index"], value[None])
    interpreter.invoke()
    return [interpreter.get_tensor(tflite.by_name(model, name))[0] for name in names]


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Return a maker of folders of drawn photographs: folder(name, count) -> path."""
    def make(name: str, count: int) -> Path:
        path = tmp_path / name
        path.mkdir(parents=True)
        for index in range(count):
            picture, _ = drawn_photograph(np.random.default_rng((7, index)))
            cv2.imwrite(str(path / f"{index:03d}.png"), picture[..., ::-1])
        return path

    return make


def tap_sets(size: int) -> list[np.ndarray]:
    """Return the places where drawing goes wrong first, as packed points (MAX_POINTS, 3)."""
    end = size - 1.0
    rng = np.random.default_rng(5)

    def pack(*rows: tuple[float, float, float]) -> np.ndarray:
        points = np.tile(np.array([0, 0, -1], np.float32), (MAX_POINTS, 1))
        points[: len(rows)] = np.array(rows, np.float32).reshape(-1, 3)
        return points

    sets = [
        pack(),  # all unused
        pack((0, 0, 1), (end, 0, 1), (0, end, 0), (end, end, 0)),  # corners
        pack((-0.5, -0.5, 1), (size - 0.5, size - 0.5, 0)),  # outermost places of the frame
        pack((size / 2, 0, 1), (0, size / 2, 0), (end, size / 3, 1), (size / 5, end, 0)),  # borders
        pack((30.25, 20.75, 1), (40.5, 11.5, 0)),  # pixels at distance exactly 5 of quarters
        pack((20, 20, 1), (23, 24, 1), (22, 21, 0), (26, 24, 0)),  # overlapping, of both labels
        pack((20, 20, 0)),  # background only
        pack((33.0, 17.0, 1), (12.0, 12.0, -1)),  # an unused row that names a place
    ]
    for _ in range(6):
        rows = rng.uniform(-0.5, size - 0.5, (MAX_POINTS, 2))
        labels = rng.integers(-1, 2, MAX_POINTS)
        sets.append(pack(*((x, y, label) for (x, y), label in zip(rows, labels))))
    return sets


def metadata_entry(content: bytes, name: str) -> bytes:
    """Return the bytes of a file's metadata entry; StopIteration where it has none."""
    model = tflite.parse(content)
    return next(bytes(model.buffers[entry.buffer].data) for entry in model.metadata
                if entry.name in (name, name.encode()))
