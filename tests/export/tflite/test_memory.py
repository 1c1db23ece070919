"""Memory of a file: its arena, and a process of its own."""
from __future__ import annotations

from pathlib import Path

import pytest

from export.tflite import memory
from export.tflite import model as tflite
from tests.export.conftest import Made


def test_arena_of_a_chain(made: Made) -> None:
    """At least the two largest neighbours, at most all tensors together."""
    model = tflite.parse(made.int8_bytes)
    tensors = tflite.graph(model).tensors
    sizes = [memory._aligned(tensors[int(op.outputs[0])]) / 1e6
             for op in tflite.graph(model).operators]
    assert max(sizes) <= memory.arena_mb(made.int8_bytes) < 0.8 * sum(sizes)


@pytest.mark.slow
def test_memory_in_a_process_of_its_own(made: Made, tmp_path: Path) -> None:
    path = tmp_path / "int8.tflite"
    path.write_bytes(made.int8_bytes)
    found = memory.measure(path)
    figures = {name: value for name, value in found.items() if value is not None}
    assert set(figures) == {"open_ms", "first_ms", "loaded_mb", "peak_mb", "arena_mb"}
    assert figures["open_ms"] > 0 and figures["first_ms"] > 0
    assert 0 < figures["peak_mb"] < 500 and figures["loaded_mb"] <= figures["peak_mb"] + 1
