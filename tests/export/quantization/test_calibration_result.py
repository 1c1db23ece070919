"""Calibration result: its record gives the same file, or is refused where it does not fit."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from export.quantization import calibration_result, int8
from export.quantization.calibration_result import CalibrationResult
from export.quantization.noise import short_name
from export.quantization.recipe import Recipe
from export.tflite import model as tflite
from oace_tf.errors import UsageError
from tests.export.conftest import Made

RECIPE = Recipe()


def an_edit(made: Made) -> CalibrationResult:
    """Return a result with one bias moved."""
    model = tflite.parse(made.float_bytes)
    operator = next(op for op in tflite.graph(model).operators
                    if tflite.operator_name(model, op) == "CONV_2D")
    name = tflite.name_of(tflite.graph(model).tensors[int(operator.outputs[0])])
    size = tflite.graph(model).tensors[int(operator.inputs[2])].shape[0]
    return CalibrationResult(made.ranges, {name: np.linspace(0, 1 / 3, size, dtype=np.float32)})


@pytest.mark.parametrize("edited", [False, True])
def test_the_record_gives_the_same_file(made: Made, tmp_path: Path, edited: bool) -> None:
    path = tmp_path / "statistics.json"
    calibration = {"images": 8, "source": "drawn", "sha256": "0" * 64}
    decided = an_edit(made) if edited else CalibrationResult(made.ranges)
    calibration_result.save(path, decided, "ab" * 32, RECIPE, calibration)
    found, told = calibration_result.load(path, "ab" * 32, RECIPE)
    assert told == calibration
    files = [int8.quantize(p.edit(made.float_bytes), p.ranges, keep_names=True)
             for p in (decided, found)]
    assert files[0] == files[1]
    assert (files[0] == made.int8_bytes) is not edited


def test_statistics_of_other_weights_or_recipes_are_refused(made: Made, tmp_path: Path) -> None:
    path = tmp_path / "statistics.json"
    calibration_result.save(path, CalibrationResult(made.ranges), "ab" * 32, RECIPE, {})
    with pytest.raises(UsageError, match="recorded for weights abababababab"):
        calibration_result.load(path, "cd" * 32, RECIPE)
    with pytest.raises(UsageError, match="recorded for recipe plain, not for other"):
        calibration_result.load(path, "ab" * 32, Recipe(name="other"))


def test_edits_of_another_network_are_refused(made: Made) -> None:
    for name in ("x", "no such tensor"):
        with pytest.raises(UsageError, match="do not fit the network"):
            CalibrationResult({}, {name: np.ones(4)}).edit(made.float_bytes)


def test_a_layer_that_stays_float_keeps_its_bias(made: Made) -> None:
    """Its kernel is not rounded: a correction for rounding would be an error of its own."""
    graph = tflite.graph(tflite.parse(made.float_bytes))
    names = {short_name(name): name for operator in graph.operators
             if (name := tflite.name_of(graph.tensors[int(operator.outputs[0])]))}
    kept, other = names["msfnet.head.block1.relu"], names["msfnet.head.block2.relu"]

    def bias_of(content: bytes, name: str) -> np.ndarray:
        model = tflite.parse(content)
        graph = tflite.graph(model)
        index = tflite.by_name(model, name)
        operator = next(op for op in graph.operators if int(op.outputs[0]) == index)
        return tflite.constant(model, int(operator.inputs[2]))

    shifts = {name: np.full(bias_of(made.float_bytes, name).shape, 0.5, np.float32)
              for name in (kept, other)}
    edited = CalibrationResult(made.ranges, shifts).edit(
        made.float_bytes, (r"msfnet\.head\.block1",))
    np.testing.assert_array_equal(bias_of(edited, kept), bias_of(made.float_bytes, kept))
    np.testing.assert_array_equal(bias_of(edited, other),
                                  bias_of(made.float_bytes, other) + np.float32(0.5))


@pytest.mark.parametrize("change", [
    {"ranges": {"x": [1]}}, {"ranges": []}, {"mode": "OTHER"}, {"extra": 1},
    {"factors": {"x": "1 2"}}, {"shifts": {"x": "?"}}, {"ranges": {"x": [0, 10**400]}},
    {"recipe": 3}, {"weights_sha256": {"a": 1}}, {"calibration": "folder"}, {"calibration": [[]]},
])
def test_malformed_statistics_are_refused(change: dict, tmp_path: Path) -> None:
    path = tmp_path / "statistics.json"
    calibration_result.save(path, CalibrationResult({"x": (0.0, 1.0)}), "ab" * 32, RECIPE, {})
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(UsageError, match="statistics.json"):
        calibration_result.load(path, "ab" * 32, RECIPE)
