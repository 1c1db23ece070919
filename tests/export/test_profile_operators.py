"""The profile: its pieces cover the file once, and sleeping operators are found out."""
from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from export import profile_operators
from export.tflite import extract
from export.tflite import model as tflite
from export.tflite.operators import multiply_adds
from tests.export.conftest import Made


def test_pieces_are_runs_of_one_stage() -> None:
    layers = ["disks", "a.trunk.conv1.x", "a.trunk.conv1.y", "b.head.mask", "a.trunk.conv1.x"]
    assert profile_operators.pieces_of(layers, 9) == [
        ("disks", [0]), ("a.trunk.conv1", [1, 2]), ("b.head", [3]), ("a.trunk.conv1", [4])]
    joined = profile_operators.pieces_of(layers, 2)
    assert len(joined) == 2 and sum((places for _, places in joined), []) == [0, 1, 2, 3, 4]
    assert joined[-1][0] == "a.trunk.conv1"


def test_a_profile_covers_the_file_once(made: Made, tmp_path: Path,
                                        capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "oace_int8.tflite").write_bytes(made.int8_bytes)
    (tmp_path / "oace_float32.tflite").write_bytes(made.float_bytes)
    arguments = [str(tmp_path / "oace_int8.tflite"), "--rounds", "1", "--most", "8", "--json",
                 str(tmp_path / "profile.json")]
    assert profile_operators.main(arguments) == 0
    report = json.loads((tmp_path / "profile.json").read_text())
    operators = len(tflite.graph(tflite.parse(made.int8_bytes)).operators)
    assert sum(row["operators"] for row in report["stages"]) == operators
    assert sum(row["count"] for row in report["operators"]) == operators
    assert len(report["stages"]) == 8
    work = multiply_adds(made.int8_bytes) / 1e9
    for rows in (report["stages"], report["operators"]):
        assert sum(row["gmac"] for row in rows) == pytest.approx(work)
        assert all(row["ms"] > 0 for row in rows)
    assert report["operators"] == sorted(report["operators"], key=lambda row: -row["ms"])
    assert report["ms"] > 0 and report["cpu"] and report["clock"] == "processor time"
    printed = capsys.readouterr().out
    assert report["cpu"] in printed and report["operators"][0]["shapes"] in printed


def test_a_coarse_clock_still_times_the_short_pieces(made: Made,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    # a clock that stands still for half a millisecond at a time: a run of some microseconds must
    # not come out as nothing
    exact = time.process_time
    monkeypatch.setattr(time, "process_time", lambda: 5e-4 * (exact() // 5e-4))
    model = tflite.parse(made.int8_bytes)
    alone = {str(place): extract.part(model, [place]) for place in range(4)}
    coarse = profile_operators.least_ms(alone, 1, 1, "operators")
    assert set(coarse) == set(alone) and all(ms > 0 for ms in coarse.values())


def test_the_dearest_operator_comes_out_first(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = "CONV_2D"

    def stand_in(files, threads, rounds, text, least_s=0.0):
        return {name: 50.0 if name.startswith(slow) else 1.0 for name in files}

    monkeypatch.setattr(profile_operators, "least_ms", stand_in)
    report = profile_operators.profile(made.int8_bytes, made.float_bytes)
    assert report["operators"][0]["operator"] == slow
    row = report["operators"][0]
    assert row["ms"] == 50.0 * row["count"]
    assert report["sum_of_stages_ms"] == len(report["stages"])


@pytest.mark.parametrize(("arguments", "named"), (
    (["missing.tflite"], "missing.tflite"), (["FILE"], "--float"),
    (["FILE", "--float", "FILE", "--threads", "0"], "--threads is 0"),
    (["FILE", "--rounds", "0"], "--rounds is 0")))
def test_bad_input_is_one_line_and_exit_2(made: Made, tmp_path: Path, arguments: list[str],
                                          named: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "alone.tflite"
    path.write_bytes(made.int8_bytes)
    assert profile_operators.main([str(path) if a == "FILE" else a for a in arguments]) == 2
    found = capsys.readouterr()
    assert found.out == "" and named in found.err and found.err.count("\n") == 1


def test_the_file_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("model.tflite", "float.tflite"):
        (tmp_path / name).write_bytes(b"mine")
    for name in ("model.tflite", "float.tflite"):
        assert profile_operators.main([
            str(tmp_path / "model.tflite"), "--float", str(tmp_path / "float.tflite"),
            "--json", str(tmp_path / name)]) == 2
        assert "is read too" in capsys.readouterr().err
        assert (tmp_path / name).read_bytes() == b"mine"
