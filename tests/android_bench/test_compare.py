"""Two reports: differences against the noise of both."""
from __future__ import annotations

import json

import pytest

from android_bench import bench, compare, reports
from android_bench.verdict import Budgets, Repetition, judge
from oace_tf.errors import UsageError


def repetition(**changes: float) -> Repetition:
    values: dict = {"load_ms": 20.0, "first_ms": 300.0, "n": 20, "mean_ms": 200.0, "std_ms": 2.0}
    return Repetition(outcome="ok", reason="", **{**values, **changes})


def report(mean: float, std: float = 2.0, spread: float = 1.0, **about: object) -> dict:
    row = judge("int8-cpu-4", [repetition(mean_ms=mean, std_ms=std),
                               repetition(mean_ms=mean + spread, std_ms=std)], Budgets())
    return json.loads(reports.as_json(reports.as_dict([row], about, True)))


@pytest.mark.parametrize("old, new, verdict", [
    ({"mean": 200}, {"mean": 201}, "within noise"),
    ({"mean": 200}, {"mean": 210}, "slower"),
    ({"mean": 210}, {"mean": 200}, "faster"),
    ({"mean": 200, "spread": 15.0}, {"mean": 210}, "within noise"),
    ({"mean": 200, "std": 40.0}, {"mean": 210}, "within noise")])
def test_difference_against_noise(old, new, verdict):
    found = compare.compare(report(**old), report(**new))
    assert [entry.verdict for entry in found] == [verdict]


def test_compare_refuses_other_devices_and_damaged_reports():
    here = report(200, device={"model": "A"})
    with pytest.raises(UsageError, match="different device"):
        compare.compare(here, report(200, device={"model": "B"}))
    broken = report(200)
    broken["rows"][0]["repetitions"] = []
    with pytest.raises(UsageError, match="damaged"):
        compare.compare(report(200), broken)
    for key in ("device", "binary"):  # of another form
        with pytest.raises(UsageError, match="damaged"):
            compare.compare(report(200), {**report(200), key: "Pixel"})


def test_compare_command(tmp_path, capsys):
    for name, mean in (("a", 200), ("b", 220)):
        (tmp_path / f"{name}.json").write_text(json.dumps(report(mean)))
    one, other = str(tmp_path / "a.json"), str(tmp_path / "b.json")
    assert bench.main(["--compare", one, other]) == 1
    assert "slower" in capsys.readouterr().out
    assert bench.main(["--compare", other, one]) == 0
    for encoding in ("utf-16", "utf-8-sig"):  # as PowerShell's `>` and an editor write
        (tmp_path / "c.json").write_text(json.dumps(report(200)), encoding=encoding)
        assert bench.main(["--compare", one, str(tmp_path / "c.json")]) == 0
    for text in ("{", "[]", '{"rows": [], "version": 99}'):
        (tmp_path / "c.json").write_text(text)
        assert bench.main(["--compare", one, str(tmp_path / "c.json")]) == 2
