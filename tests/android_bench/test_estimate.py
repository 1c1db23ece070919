"""The prediction: fit, range, what it says of itself."""
from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from android_bench import estimate
from android_bench.graph import Graph, Operator
from oace_tf.errors import UsageError

CONVOLUTIONS = Graph(tuple(Operator("CONV_2D", 1, 163_000_000, 1) for _ in range(200)), True)


def points(a: float, b: float) -> list[estimate.Point]:
    sizes = ((1.0, 900), (5.0, 50), (20.0, 300), (60.0, 90), (150.0, 400))
    return [estimate.Point(f"m{k}", gmac, count, a * gmac + b * count)
            for k, (gmac, count) in enumerate(sizes)]


@pytest.mark.parametrize("a, b", [(0.1, 0.01), (3.0, 0.0001), (12.0, 0.5)])
def test_fit_finds_the_rule_that_made_the_figures(a, b):
    fitted = estimate.fit(points(a, b))
    assert fitted.ms_per_gmac == pytest.approx(a, rel=0.05)
    assert 0.95 <= fitted.low <= fitted.high <= 1.05


def test_a_figure_off_the_rule_widens_the_range():
    found = points(0.1, 0.01)
    found[2] = estimate.Point("odd", found[2].gmac, found[2].operators, 5 * found[2].ms)
    fitted = estimate.fit(found)
    assert fitted.high > 3 and fitted.inside < fitted.checked == 5


def test_prediction_says_what_it_is(tmp_path, tiny_int8, capsys, monkeypatch):
    monkeypatch.delenv("OACE_DATA", raising=False)
    assert estimate.main([str(tiny_int8)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("PREDICTION, not a measurement") and "settled by: bench.py" in out
    assert all(f"{unit}: " in out for unit in ("cpu", "gpu"))
    assert "load: not predicted" in out
    assert estimate.main([str(tiny_int8), "--json", str(tmp_path / "e.json")]) == 0
    assert json.loads((tmp_path / "e.json").read_text())["kind"].startswith("prediction")


def test_int8_is_predicted_faster_on_the_cpu_and_ranges_are_ordered():
    int8 = estimate.predict(CONVOLUTIONS, estimate.RECORDED)
    floating = estimate.predict(Graph(CONVOLUTIONS.operators, False), estimate.RECORDED)
    for entry in (*int8.values(), *floating.values()):
        assert 0 < entry["low_ms"] <= entry["middle_ms"] <= entry["high_ms"]
    assert int8["cpu"]["high_ms"] < floating["cpu"]["high_ms"]
    assert int8["gpu"] == floating["gpu"]


def test_cpu_range_holds_that_of_the_notes_on_the_figures():
    """32.6 GMAC: s23_perf.md has 155 ms at best, 333 at worst, at 70 GMAC/s in float32."""
    entry = estimate.predict(CONVOLUTIONS, {"cpu": estimate.RECORDED["cpu"]})["cpu"]
    assert entry["low_ms"] < 160 and 300 < entry["high_ms"] < 420


def test_usage_errors(tmp_path, tiny_int8, capsys):
    (tmp_path / "x.csv").write_text("model,ms\nresnet50,1\n")
    assert estimate.main([str(tiny_int8), "--figures", str(tmp_path / "x.csv")]) == 2
    assert estimate.main([str(tiny_int8), "--figures", str(tmp_path / "none.csv")]) == 2
    assert estimate.main([str(tmp_path / "none.tflite")]) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 3 and "holds no figure of deeplabv3_resnet50" in errors[0]


@pytest.mark.data
def test_recorded_fit_is_that_of_the_figures():
    path = Path(os.environ.get("OACE_DATA", "")) / estimate.FIGURES
    if not os.environ.get("OACE_DATA") or not path.is_file():
        pytest.skip(f"OACE_DATA is not set, or holds no {estimate.FIGURES}")
    for unit, found in estimate.read_points(path).items():
        fitted = estimate.fit(found)
        recorded = estimate.RECORDED[unit]
        for name in ("ms_per_gmac", "ms_per_operator", "low", "high"):
            assert getattr(fitted, name) == pytest.approx(getattr(recorded, name), rel=1e-4)
        assert fitted.checked == len(found) >= 4 and 2 * fitted.inside >= fitted.checked


def test_a_reference_that_is_missing_is_named(tmp_path):
    path = tmp_path / "f.csv"
    with open(path, "w", newline="") as file:
        csv.writer(file).writerow(["model", "unit", "runtime", "precision", "component"])
    with pytest.raises(UsageError, match="holds no figure of deeplabv3_resnet50 on the gpu"):
        estimate.read_points(path)
    path.write_bytes(bytes(200_000))
    with pytest.raises(UsageError, match="f.csv is no table of figures"):
        estimate.read_points(path)


def test_the_file_is_not_written_over(tmp_path, tiny_int8, capsys):
    model = tmp_path / "model.tflite"
    model.write_bytes(tiny_int8.read_bytes())
    assert estimate.main([str(model), "--json", str(model)]) == 2
    assert "is read too" in capsys.readouterr().err
    assert model.read_bytes() == tiny_int8.read_bytes()
