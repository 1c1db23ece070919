"""Interpreter: the runtime that is installed, a file by content and by path, and timed calls."""
from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import pytest

from oace_tf.errors import UsageError
from oace_tf.runtime.interpreter import interpreter_module, open_interpreter, timed_ms
from oace_tf.runtime.model import open_model

TINY = Path(__file__).resolve().parents[2] / "golden" / "tiny_int8.tflite"


def test_falls_back_to_tflite_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    older = types.ModuleType("tflite_runtime.interpreter")
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    monkeypatch.setitem(sys.modules, "tflite_runtime", types.ModuleType("tflite_runtime"))
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", older)
    assert interpreter_module() is older
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", None)
    with pytest.raises(UsageError, match="pip install ai-edge-litert"):
        open_model(TINY)


def test_content_and_path_give_the_same() -> None:
    answers = []
    for source in (TINY, str(TINY), TINY.read_bytes()):
        interpreter = open_interpreter(source)
        for entry in interpreter.get_input_details():
            interpreter.set_tensor(entry["index"], np.ones(entry["shape"], entry["dtype"]))
        interpreter.invoke()
        answers.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
    assert answers[0].any()
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[0], answers[2])


def test_every_call_is_timed() -> None:
    calls: list[int] = []
    times = timed_ms(lambda: calls.append(len(calls)), 3)
    assert calls == [0, 1, 2] and len(times) == 3 and all(ms >= 0 for ms in times)
