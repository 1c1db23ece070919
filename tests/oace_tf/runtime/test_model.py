"""Opening and running files of the contract, and refusing all others."""
from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.tflite import model as tflite
from oace_tf.clicks import DISK_ON, Click, draw_disks, pack_points
from oace_tf.errors import UsageError
from oace_tf.fileio import sha256_file
from oace_tf.runtime.model import open_model
from oace_tf.runtime.tflite_reader import METADATA_NAME, SEAL_KEY

CLICKS = (Click(8.25, 20.5), Click(12, 18, positive=False), Click(31, 0))


def _image() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (32, 32, 3), np.uint8)


def _expected(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the tiny file's answer: the red bytes inside the object disks, not the others."""
    on, off = (draw_disks(points, (32, 32), label) == DISK_ON for label in (1, 0))
    return np.where(on & ~off, image[..., 0], 0)


def _edited(source: Path, target: Path, **metadata: Any) -> Path:
    """Write the file without its seal and with other metadata."""
    model = tflite.parse(source.read_bytes())
    entry = next(e for e in model.metadata if tflite.name_of(e) == METADATA_NAME)
    record = json.loads(bytes(model.buffers[entry.buffer].data))
    record.update({SEAL_KEY: "0" * 64, **metadata})
    model.buffers[entry.buffer].data = np.frombuffer(json.dumps(record).encode(), np.uint8)
    target.write_bytes(tflite.serialise(model))
    return target


def _refuses(path: Path, *words: str, **arguments: Any) -> None:
    with pytest.raises(UsageError) as caught:
        open_model(path, **arguments)
    assert all(word in str(caught.value) for word in (path.name, *words)), caught.value


def test_int8_file(tiny_int8: Path) -> None:
    model = open_model(tiny_int8)
    assert (model.size, model.max_points, model.click_channels) == (32, 4, 2)
    assert model.quantized and model.sealed and model.metadata["licence"] == "Apache-2.0"
    image, points = _image(), pack_points(CLICKS, 4)
    mask = model.run(image, points)
    assert mask.shape == (32, 32) and mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, _expected(image, points))
    assert 0 < np.count_nonzero(mask) < mask.size


def test_float_file(tiny_float32: Path) -> None:
    model = open_model(tiny_float32)
    assert not model.quantized
    image, points = _image(), pack_points(CLICKS, 4)
    mask = model.run(image, points)
    assert mask.shape == (32, 32) and mask.dtype == np.float32
    np.testing.assert_array_equal(mask * 256, _expected(image, points))  # exact in float32


def test_inputs_are_left_alone_and_answers_stay(tiny_int8: Path) -> None:
    model = open_model(tiny_int8)
    image, points = _image(), pack_points(CLICKS, 4)
    before = image.copy(), points.copy()
    first = model.run(image, points)
    kept = first.copy()
    model.run(255 - image, points)
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(points, before[1])
    turned = np.asfortranarray(image)
    np.testing.assert_array_equal(model.run(turned, points), kept)


def test_several_threads_on_one_model(tiny_int8: Path) -> None:
    model = open_model(tiny_int8)
    points = pack_points(CLICKS, 4)
    images = [np.full((32, 32, 3), value, np.uint8) for value in range(100, 108)]
    answers: dict[int, int] = {}

    def work(index: int) -> None:
        for _ in range(20):
            answers[index] = int(model.run(images[index], points).max())

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {index: 100 + index for index in range(8)}


@pytest.mark.parametrize(("image", "points"), [
    (np.zeros((31, 32, 3), np.uint8), np.zeros((4, 3), np.float32)),
    (np.zeros((32, 32, 3), np.float32), np.zeros((4, 3), np.float32)),
    (np.zeros((32, 32, 3), np.uint8), np.zeros((5, 3), np.float32)),
    (np.zeros((32, 32, 3), np.uint8), np.zeros((4, 3))),
    (np.zeros((32, 32, 3), np.uint8), np.full((4, 3), np.nan, np.float32)),
])
def test_wrong_inputs(tiny_int8: Path, image: np.ndarray, points: np.ndarray) -> None:
    with pytest.raises(ValueError, match="must be"):
        open_model(tiny_int8).run(image, points)


def test_expected_sha256(tiny_int8: Path) -> None:
    assert open_model(tiny_int8, sha256=sha256_file(tiny_int8).upper()).sealed
    _refuses(tiny_int8, "SHA-256", sha256="0" * 64)


def test_missing_and_wrong_files(tmp_path: Path) -> None:
    _refuses(tmp_path / "none.tflite", "cannot read")
    _refuses(tmp_path, "cannot read")
    text = tmp_path / "text.tflite"
    text.write_text("not a model")
    _refuses(text, "not a .tflite file")
    with pytest.raises(UsageError, match="threads"):
        open_model(text, threads=0)


@pytest.mark.parametrize(("key", "value"), [
    ("interface", "mediapipe"), ("click_channels", 3), ("click_channels", "2"), ("max_points", 20)])
def test_metadata_that_contradicts(tiny_int8: Path, tmp_path: Path, key: str, value: Any) -> None:
    _refuses(_edited(tiny_int8, tmp_path / "odd.tflite", **{key: value}), key)


def test_without_metadata_one_click_channel_is_assumed(tiny_int8: Path, tmp_path: Path) -> None:
    model = tflite.parse(tiny_int8.read_bytes())
    model.metadata = []
    path = tmp_path / "bare.tflite"
    path.write_bytes(tflite.serialise(model))
    opened = open_model(path)
    assert opened.click_channels == 1 and not opened.sealed and opened.metadata == {}


@pytest.mark.parametrize(("change", "word"), [
    ("name", "interface"), ("scale", "scale"), ("zero point", "zero point"), ("shape", "expected"),
    ("dtype", "int8")])
def test_other_contracts(tiny_int8: Path, tmp_path: Path, change: str, word: str) -> None:
    model = tflite.parse(_edited(tiny_int8, tmp_path / "odd.tflite").read_bytes())
    inputs, outputs = tflite.signature(model)
    mask = tflite.graph(model).tensors[outputs["mask"]]
    if change == "name":
        model.signatureDefs[0].outputs[0].name = "output_0"
    elif change == "scale":
        mask.quantization.scale = [1 / 255]
    elif change == "zero point":
        tflite.graph(model).tensors[inputs["image"]].quantization.zeroPoint = [0]
    elif change == "shape":
        mask.shape = [1, 32, 16, 2]
    else:
        mask.type = 9
    (tmp_path / "odd.tflite").write_bytes(tflite.serialise(model))
    _refuses(tmp_path / "odd.tflite", word)


def test_graph_that_the_runtime_refuses(tiny_int8: Path, tmp_path: Path) -> None:
    """An operator of which no kernel is known: one error, at opening or at the first run."""
    path = _edited(tiny_int8, tmp_path / "odd.tflite")
    model = tflite.parse(path.read_bytes())
    for code in model.operatorCodes:
        code.version = 99
    path.write_bytes(tflite.serialise(model))
    with pytest.raises(UsageError, match="odd.tflite: the runtime"):
        open_model(path).run(_image(), pack_points(CLICKS, 4))


FUZZ = """
import os, resource, signal, sys
import numpy as np
from oace_tf.errors import UsageError
from oace_tf.runtime.model import open_model
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the runtime's own words
points = np.array([[8, 8, 1]] + [[0, 0, -1]] * 3, np.float32)
for number, path in enumerate(sys.argv[1:]):
    pid = os.fork()
    if not pid:
        signal.alarm(10)
        try:
            open_model(path).run(np.zeros((32, 32, 3), np.uint8), points)
        except UsageError:
            os._exit(2)
        except BaseException:
            os._exit(1)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@pytest.mark.parametrize("sealed", [True, False])
def test_damaged_files_never_crash(tiny_int8: Path, tmp_path: Path, sealed: bool) -> None:
    """Cut and bit-flipped files, each in a process of its own: an answer or one UsageError."""
    source = tiny_int8 if sealed else _edited(tiny_int8, tmp_path / "open.tflite")
    data, rng = source.read_bytes(), np.random.default_rng(7)
    paths = []
    for index in range(48):
        damaged = bytearray(data)
        if index % 4 == 0:
            del damaged[int(rng.integers(len(data))):]
        else:
            damaged[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        paths.append(tmp_path / f"{index}.tflite")
        paths[-1].write_bytes(damaged)
    done = subprocess.run([sys.executable, "-c", FUZZ, *map(str, paths)], capture_output=True,
                          text=True, check=True, timeout=120)
    codes = [int(line) for line in done.stdout.split()]
    assert len(codes) == 48 and set(codes) <= {0, 2}, codes
    assert codes[::4] == [2] * 12  # every cut is seen
    if sealed:
        assert set(codes) == {2}


def test_second_block_imports_no_framework() -> None:
    code = ("import sys, oace_tf, oace_tf.runtime.model, oace_tf.segmenter, oace_tf.predict\n"
            "from oace_tf.runtime.interpreter import interpreter_module\ninterpreter_module()\n"
            "print(*sorted({name.split('.')[0] for name in sys.modules}))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "ai_edge_litert" in loaded
    assert not loaded & {"keras", "tensorflow", "torch", "jax", "safetensors", "pycocotools"}
