"""A click model's ONNX graph: inputs told apart, settings, refusals."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from export import port
from export.convert.onnx_graph import read_click_graph
from oace_tf.errors import UsageError
from tests.export import click_model

SIDE = click_model.SIDE


def write(folder: Path, **options: Any) -> Path:
    path = folder / "click.onnx"
    path.write_bytes(click_model.build(**options).SerializeToString())
    return path


def test_inputs_are_told_apart_by_their_channels(tmp_path: Path) -> None:
    found = read_click_graph(write(tmp_path))
    assert found.roles == {"image": "rgb", "clicks": "coords", "previous": "prev"}
    assert (found.range, found.side, found.click_channels) == ("unit", SIDE, 2)
    assert found.guided and not found.is_probability and found.result == "logits"
    assert read_click_graph(write(tmp_path, probability=True)).is_probability


def test_settings_beside_the_graph_win(tmp_path: Path) -> None:
    path = write(tmp_path)
    settings = tmp_path / "click.onnx.inputs.json"
    settings.write_text(json.dumps({"image": "rgb", "range": "symmetric"}))
    assert read_click_graph(path).range == "symmetric"
    for content, words in (({"image": "photo"}, "no input 'photo'"), ({"rgb": "image"}, "'rgb' is"),
                           ({"range": "0-1"}, "range is '0-1'"), ([1], "expected an object")):
        settings.write_text(json.dumps(content))
        with pytest.raises(UsageError, match=words):
            read_click_graph(path)


def test_other_graphs_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = click_model.build()
    model.graph.input[1].type.tensor_type.shape.dim[1].dim_value = 7
    path = tmp_path / "other.onnx"
    path.write_bytes(model.SerializeToString())
    assert port.main([str(path), "--via", "onnx2tf", "--int8"]) == 2
    assert "its input coords has shape 1x7x64x64" in capsys.readouterr().err
    assert port.main([str(path), "--via", "onnx2tf"]) == 2
    assert "give --int8" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other.onnx"]
