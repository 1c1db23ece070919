"""Latency of files, measured in turns."""
from __future__ import annotations

from pathlib import Path

from export.tflite.interpreter import timing
from tests.export.conftest import Made


def test_timing_of_both_files(made: Made, tmp_path: Path) -> None:
    paths = {"int8": tmp_path / "a", "float32": tmp_path / "b"}
    paths["int8"].write_bytes(made.int8_bytes)
    paths["float32"].write_bytes(made.float_bytes)
    found = timing(paths, runs=3)
    assert set(found) == set(paths)
    for entry in found.values():
        assert 0 < entry["latency_min_ms"] <= entry["latency_ms"] <= entry["latency_max_ms"]
        assert entry["load_ms"] > 0
