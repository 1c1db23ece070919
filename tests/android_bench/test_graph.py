"""Operators of a file, and which versions of them the default program knows."""
from __future__ import annotations

import pytest

from android_bench import bench, graph
from android_bench.device import binary
from oace_tf.errors import UsageError
from tests.android_bench.registered_kernels import registered


def test_operators_of_the_tiny_file(tiny_int8):
    found = graph.read_graph(tiny_int8.read_bytes(), "tiny")
    assert found.counts()["SQUARED_DIFFERENCE"] >= 2 and found.macs == 0
    graph.check_versions(found, "tiny")


def test_versions_that_the_default_program_may_not_know():
    operators = (graph.Operator("CONV_2D", 9, 1, 1), graph.Operator("CUSTOM Mine", 1, 0, 1),
                 graph.Operator("ADD", 2, 0, 1))
    with pytest.raises(UsageError) as caught:
        graph.check_versions(graph.Graph(operators, True), "x.tflite")
    message = str(caught.value)
    assert "CONV_2D (version 9, known up to 8)" in message and "CUSTOM Mine" in message
    assert "ADD" not in message and "--benchmark-binary" in message


def test_versions_are_checked_before_the_phone_is_touched(monkeypatch, tiny_int8, capsys):
    program = binary.Binary(b"", binary.SHA256, "arm64-v8a", "x")
    monkeypatch.setattr(binary, "open_binary", lambda path: program)
    monkeypatch.setitem(graph.KNOWN_VERSIONS, "MUL", 0)
    monkeypatch.setattr(bench, "open_client", lambda: pytest.fail("the phone was touched"))
    assert bench.main([str(tiny_int8)]) == 2
    assert "MUL (not known)" in capsys.readouterr().err


def test_known_versions_are_those_of_the_default_program():
    path = binary.user_cache() / f"benchmark_model-{binary.SHA256[:16]}"
    if not path.is_file():
        pytest.skip("the default program is not in the user's cache; bench.py fetches it")
    from ai_edge_litert.schema_py_generated import BuiltinOperator
    names = {number: name for name, number in vars(BuiltinOperator).items()
             if isinstance(number, int)}
    found = registered(path.read_bytes())
    assert {names[number]: high for number, (_, high) in found.items()} == graph.KNOWN_VERSIONS


@pytest.mark.parametrize("cut", [8, 100, 1000])
def test_damaged_files(tiny_int8, cut):
    with pytest.raises(UsageError, match="damaged"):
        graph.read_graph(tiny_int8.read_bytes()[:cut], "cut.tflite")
    with pytest.raises(UsageError, match="not a .tflite file"):
        graph.read_graph(b"<html></html>", "x")
