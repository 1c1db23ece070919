"""The command that proposes masks: its file, going on, what it leaves out and refuses."""
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from oace_tf import minisam, propose
from oace_tf.samples.coco import decode_mask
from oace_tf.training.sources import find_sources


class BrightTeacher:
    """Proposes what is bright."""

    def look(self, image: np.ndarray) -> None:
        """Take a photograph."""
        self.bright = image[..., 0] > 128

    def masks(self, x: float, y: float) -> tuple[np.ndarray, np.ndarray]:
        """Return one mask."""
        return np.where(self.bright, 8.0, -8.0)[None].astype(np.float32), np.array([0.95])


class BrightSegmenter:
    """Agrees."""

    def probability(self, image: np.ndarray, clicks: Any) -> np.ndarray:
        """Return probabilities."""
        return (image[..., 0] > 128).astype(np.float32)


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of five photographs, the third unreadable, the fifth without an object."""
    folder = tmp_path / "photographs"
    (folder / "images").mkdir(parents=True)
    listing = []
    for number in range(5):
        image = np.full((40, 60, 3), 40, np.uint8)
        if number != 4:
            image[10:30, 10 + number:40] = 220
        path = folder / "images" / f"{number}.png"
        assert cv2.imwrite(str(path), image)
        if number == 2:
            path.write_bytes(b"no image")
        listing.append({"id": number + 1, "file_name": path.name, "width": 60, "height": 40})
    (folder / "images.json").write_text(json.dumps({"images": listing}))
    (tmp_path / "our.tflite").write_bytes(b"ours")

    def setup(teacher: Path, model: Path, grid: int, seed: int) -> None:
        propose._opened.update(teacher=BrightTeacher(), segmenter=BrightSegmenter(), grid=grid,
                               seed=seed)

    monkeypatch.setattr(propose, "setup", setup)
    monkeypatch.setattr(minisam, "find", lambda folder, cache: cache)
    return folder


@pytest.fixture
def command(source: Path) -> Callable[..., int]:
    """Return a function that calls the command on the folder."""
    def call(*arguments: Any) -> int:
        return propose.main([str(source), "--model", str(source.parent / "our.tflite"),
                             *map(str, arguments)])
    return call


def test_the_file_is_a_source_of_training(source: Path, command: Callable[..., int],
                                          capsys: pytest.CaptureFixture[str],
                                          caplog: pytest.LogCaptureFixture) -> None:
    assert command() == 0
    assert "3 masks on 3 of 5 photographs, 1 left out" in capsys.readouterr().out
    assert "2.png" in caplog.text
    found, = find_sources([source], {"photographs_proposed": 1.0})
    assert [image.id for image in found.dataset.images] == [1, 2, 4]
    for image, left in zip(found.dataset.images, (10, 11, 13)):
        expected = np.zeros((40, 60), np.uint8)
        expected[10:30, left:40] = 1
        annotation, = image.annotations
        assert (decode_mask(annotation, 40, 60) == expected).all()


def test_it_goes_on_where_it_stopped(source: Path, command: Callable[..., int],
                                     monkeypatch: pytest.MonkeyPatch) -> None:
    assert command("--out", source / "whole.json") == 0
    assert command("--limit", 2) == 0
    first = json.loads((source / propose.FOUND).read_text())
    assert first["images_seen"] == [1, 2]
    asked = []
    inner = propose.objects_of

    def noted(task: tuple[int, Path]) -> Any:
        asked.append(task[0])
        return inner(task)

    monkeypatch.setattr(propose, "objects_of", noted)
    assert command() == 0 and asked == [3, 4, 5]
    assert command() == 0 and asked == [3, 4, 5]  # nothing left
    assert ((source / propose.FOUND).read_bytes() == (source / "whole.json").read_bytes())


def test_an_interrupt_loses_ten_photographs_at_most(
        source: Path, command: Callable[..., int], monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(propose, "KEPT_EVERY", 1)
    inner = propose.objects_of

    def stopping(task: tuple[int, Path]) -> Any:
        if task[0] == 4:
            raise KeyboardInterrupt
        return inner(task)

    monkeypatch.setattr(propose, "objects_of", stopping)
    assert command() == 130 and "goes on" in capsys.readouterr().err
    assert json.loads((source / propose.FOUND).read_text())["images_seen"] == [1, 2, 3]


def test_bad_input_is_one_line_and_exit_2(source: Path, command: Callable[..., int],
                                          capsys: pytest.CaptureFixture[str]) -> None:
    def refused(*arguments: Any) -> str:
        assert command(*arguments) == 2
        found = capsys.readouterr()
        assert found.out == "" and found.err.count("\n") == 1
        return found.err

    assert "--grid is 0" in refused("--grid", 0)
    assert "--limit is -1" in refused("--limit", -1)
    assert command() == 0
    capsys.readouterr()
    assert "other networks or settings" in refused("--seed", 7)
    (source.parent / "our.tflite").write_bytes(b"another")
    assert "other networks or settings" in refused()
    (source / "images.json").write_text('{"images": [{"id": "one"}]}')
    assert "each with id and file_name" in refused()
    (source / "images.json").unlink()
    assert "images.json" in refused()


def test_minisams_geometry(tmp_path: Path) -> None:
    """Two graphs of the same inputs and outputs: the frame's geometry is undone."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper, numpy_helper

    def write(name: str, nodes: Any, inputs: Any, outputs: Any, constants: Any) -> None:
        graph = helper.make_graph(
            nodes, name, [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape)
                          for key, shape in inputs.items()],
            [helper.make_tensor_value_info(key, TensorProto.FLOAT, None) for key in outputs],
            [numpy_helper.from_array(value, key) for key, value in constants.items()])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 8
        onnx.save(model, tmp_path / name)

    # The embedding is the photograph itself; of the four maps the last is its first channel, every
    # fourth pixel; the scores repeat where the tap is.
    write("encoder.onnx", [helper.make_node("Identity", ["image"], ["embedding"])],
          {"image": [1, 3, 1024, 1024]}, ["embedding"], {})
    masks, scores = minisam._INNER
    write("sam.onnx", [
        helper.make_node("Slice", ["image_embeddings", "begin", "end", "axes", "step"], ["small"]),
        helper.make_node("Concat", ["none", "small"], [masks], axis=1),
        helper.make_node("Reshape", ["point_coords", "four"], ["flat"]),
        helper.make_node("Slice", ["flat", "zero", "three"], ["where"]),
        helper.make_node("Concat", ["first", "where"], [scores], axis=0),
        helper.make_node("Identity", ["orig_im_size"], ["size"]),
        helper.make_node("Add", ["mask_input", "has_mask_input"], ["mask"]),
        helper.make_node("Identity", ["point_labels"], ["labels"])],
        {"image_embeddings": [1, 3, 1024, 1024], "point_coords": [1, 2, 2],
         "point_labels": [1, 2], "mask_input": [1, 1, 256, 256], "has_mask_input": [1],
         "orig_im_size": [2]}, ["size", "mask", "labels"],
        {"begin": np.array([0, 0, 0]), "end": np.array([1, 1024, 1024]),
         "axes": np.array([1, 2, 3]), "step": np.array([1, 4, 4]),
         "none": np.zeros((1, 3, 256, 256), np.float32), "four": np.array([4]),
         "zero": np.array([0]), "three": np.array([3]), "first": np.zeros(1, np.float32)})
    teacher = minisam.Teacher(tmp_path)
    image = np.zeros((100, 200, 3), np.uint8)
    image[:50, :120] = 255
    teacher.look(image)
    logits, expected = teacher.masks(49.5, 24.5)
    # A photograph of 200 x 100 px fills 1024 x 512 of the frame: 5.12 px of it for one.
    assert expected[:2] == pytest.approx([50 * 5.12, 25 * 5.12])
    assert logits.shape == (3, 100, 200) and not logits[:2].any()
    inside = logits[2] > 0.5
    assert inside[:48, :118].all() and not inside[53:].any() and not inside[:, 123:].any()
    # Red is brought to mean zero and deviation one as the network was trained.
    assert logits[2, 20, 50] == pytest.approx((255 - 123.675) / 58.395)
    assert logits[2, 80, 50] == pytest.approx(-123.675 / 58.395)
