"""The curve of a training in stretches: means, gestures of runs side by side, what is refused."""
from __future__ import annotations

from pathlib import Path

import pytest

from tools.docs import gesture_curve
from tools.docs.gesture_curve import Row, read_curve, stretch_rows


def _log(path: Path, dice: float, steps_a_batch: int, batches: int = 21) -> Path:
    rows, step = ["step,batch,round,size,gestures_per_s,mask,dice"], 0
    for batch in range(batches):
        for number in range(steps_a_batch):
            step += 1
            rows.append(f"{step},{batch},{number},64,9.0,0.5,{dice if number == 0 else 9}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_runs_side_by_side_are_one_stretch(tmp_path):
    logs = [_log(tmp_path / "a.csv", 0.1, 1), _log(tmp_path / "b.csv", 0.2, 2)]
    rows = stretch_rows(logs, "third", 1000, 36, 0.5)
    # ten batches are 10 steps of one run and 20 of the other, less the later rounds of the last
    assert [row.gestures for row in rows] == [1000 + 36 * (10 + 19), 1000 + 36 * (20 + 39)]
    assert [row.dice for row in rows] == pytest.approx([0.3, 0.3])
    assert {row.sizes for row in rows} == {(64,)} and {row.stretch for row in rows} == {"third"}


def test_batches_of_several_sizes_name_them_all(tmp_path):
    log = _log(tmp_path / "a.csv", 0.1, 1, 10)
    lines = [line.replace(",0,64,", ",0,128,") if number % 3 == 0 else line
             for number, line in enumerate(log.read_text(encoding="utf-8").splitlines())]
    log.write_text("\n".join(lines) + "\n", encoding="utf-8")
    curve = tmp_path / "curve.csv"
    assert gesture_curve.main([str(curve), "--stretch", "turns", "--add", str(log)]) == 0
    assert [row.sizes for row in read_curve(curve)] == [(64, 128)]
    assert "turns,360,64 128,0.2000" in curve.read_text(encoding="utf-8")


def test_stretches_follow_each_other_in_file_and_picture(tmp_path, capsys):
    curve = tmp_path / "curve.csv"
    for name, dice in (("first", 0.2), ("second", 0.1)):
        log = _log(tmp_path / "log.csv", dice, 1)
        assert gesture_curve.main([str(curve), "--stretch", name, "--add", str(log)]) == 0
    rows = read_curve(curve)
    assert rows == [Row(stretch="first", gestures=360, sizes=(64,), dice=0.4),
                    Row(stretch="first", gestures=720, sizes=(64,), dice=0.4),
                    Row(stretch="second", gestures=1080, sizes=(64,), dice=0.2),
                    Row(stretch="second", gestures=1440, sizes=(64,), dice=0.2)]
    assert curve.with_suffix(".png").read_bytes()[1:4] == b"PNG"
    assert "4 rows, 1440 gestures" in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "words"), [
    (("--add", "none.csv", "--stretch", "x"), "none.csv: no log of"),
    (("--add", "none.csv"), "--stretch NAME"),
    ((), "no rows")])
def test_what_is_refused(tmp_path, capsys, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert gesture_curve.main(["curve.csv", *arguments]) == 2
    printed = capsys.readouterr().err
    assert words in printed and printed.count("\n") == 1


def test_another_csv_is_no_curve(tmp_path, capsys):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    assert gesture_curve.main([str(tmp_path / "a.csv")]) == 2
    assert "no curve of this command" in capsys.readouterr().err
