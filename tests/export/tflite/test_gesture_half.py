"""The half-precision file of gestures: its drawing in half precision, as a GPU computes it."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from export.tflite import float16
from export.tflite import model as tflite
from oace_tf.gestures import draw_maps, pack_rows
from tests.export.conftest import GESTURE_ROWS, GESTURE_SIZE, Gestures

SETS = {"tap": [(70, 30, 1)], "taps": [(70, 30, 1), (20.5, 90.25, 0)],
        "box": [(10, 20, 2), (90, 100, 3)], "box_and_tap": [(10, 20, 2), (90, 100, 3), (50, 50, 1)],
        "extreme": [(5, 50, 4), (100, 60, 4), (50, 4, 4), (60, 120, 4)],
        "drag": [(60, 60, 1), (80, 70, 5)], "nothing": []}
_BINARY = {"ADD": np.add, "SUB": np.subtract, "MUL": np.multiply, "DIV": np.divide,
           "MINIMUM": np.minimum, "MAXIMUM": np.maximum}


def half_drawing(model: Any, points: np.ndarray) -> dict[str, np.ndarray]:
    """Return the tensors of the drawing by name, each operator computed in float16."""
    graph = tflite.graph(model)
    inputs, _ = tflite.signature(model)
    values: dict[int, np.ndarray] = {inputs["points"]: points[None].astype(np.float16)}

    def value(index: int) -> np.ndarray:
        if index in values:
            return values[index]
        return tflite.constant(model, index).astype(np.float16)

    def whole(index: int) -> list[int]:
        data = model.buffers[graph.tensors[index].buffer].data
        return np.frombuffer(bytes(data), np.int32).tolist()

    with np.errstate(over="ignore", invalid="ignore"):
        for operator in graph.operators:
            name = tflite.operator_name(model, operator)
            made = int(operator.outputs[0])
            shape = [int(n) for n in graph.tensors[made].shape]
            operands = [int(i) for i in operator.inputs]
            if not all(i in values or tflite.is_constant(model, i) for i in operands):
                continue
            if name in _BINARY:
                result = _BINARY[name](value(operands[0]), value(operands[1]))
                fused = getattr(operator.builtinOptions, "fusedActivationFunction", 0)
                result = np.maximum(result, np.float16(0)) if fused == 1 else result
            elif name in ("REDUCE_MIN", "SUM"):
                reduce = np.min if name == "REDUCE_MIN" else np.sum
                result = reduce(value(operands[0]), axis=tuple(whole(operands[1])))
            elif name == "STRIDED_SLICE":
                begin, end = whole(operands[1]), list[int | None](whole(operands[2]))
                for axis, (bit_begin, bit_end) in enumerate(zip(begin, end)):
                    mask = 1 << axis
                    begin[axis] = 0 if operator.builtinOptions.beginMask & mask else bit_begin
                    end[axis] = None if operator.builtinOptions.endMask & mask else bit_end
                result = value(operands[0])[tuple(map(slice, begin, end))]
            elif name == "CONCATENATION":
                result = np.concatenate([value(i) for i in operands], axis=-1)
            elif name in ("RESHAPE", "RELU", "NEG"):
                result = value(operands[0])
                result = np.maximum(result, np.float16(0)) if name == "RELU" else result
                result = -result if name == "NEG" else result
            else:
                continue
            values[made] = np.asarray(result, np.float16).reshape(shape)
    return {tflite.name_of(graph.tensors[i]): v for i, v in values.items() if v.ndim == 4}


@pytest.mark.parametrize("gesture", list(SETS))
def test_the_drawing_is_finite_and_near_the_reference(gestures: Gestures, gesture: str) -> None:
    model = tflite.parse(float16.half_precision(gestures.float_bytes))
    points = pack_rows(np.array(SETS[gesture], np.float32).reshape(-1, 3), GESTURE_ROWS)
    tensors = half_drawing(model, points)
    assert not any(np.isnan(value).any() for value in tensors.values())
    wanted = draw_maps(points, GESTURE_SIZE, GESTURE_SIZE)
    expected = [*wanted.maps.values(), *wanted.object_weights.values(),
                *wanted.background_weights.values()]
    for reference in expected:
        alike = [v[0] for v in tensors.values() if v.shape[1:] == reference.shape]
        assert alike
        assert min(np.abs(v.astype(np.float32) - reference).max() for v in alike) < 0.05


def test_without_the_taming_it_would_not_be_a_number(gestures: Gestures) -> None:
    points = pack_rows(np.array(SETS["tap"], np.float32), GESTURE_ROWS)
    tensors = half_drawing(tflite.parse(gestures.float_bytes), points)
    assert any(np.isnan(value).any() for value in tensors.values())


def test_masks_follow_the_float_file(gestures: Gestures) -> None:
    half = Interpreter(model_content=float16.half_precision(gestures.float_bytes)
                       ).get_signature_runner()
    plain = Interpreter(model_content=gestures.float_bytes).get_signature_runner()
    size = GESTURE_SIZE
    feed = {"image": np.random.default_rng(0).uniform(-1, 1, (1, size, size, 3)),
            "previous": np.zeros((1, size, size, 1))}
    feed = {name: value.astype(np.float32) for name, value in feed.items()}
    for rows in SETS.values():
        points = pack_rows(np.array(rows, np.float32).reshape(-1, 3), GESTURE_ROWS)[None]
        ours, theirs = (run(**feed, points=points)["mask"] for run in (half, plain))
        assert np.isfinite(ours).all()
        assert np.abs(ours - theirs).max() < 0.05  # the weights' rounding: 0.023
