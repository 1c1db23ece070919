"""Charts as SVG text."""
from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from oace_tf.evaluation import charts


def test_charts() -> None:
    colours = {"a": "#111", "b": "#222"}
    svg = ElementTree.fromstring(charts.curves(
        "t", {"a": [(1, 0.0), (2, 100.0)]}, {"a": [(0.0, 10.0), (90.0, 100.0)]}, {"b": 50.0},
        colours, 2))
    (line,) = svg.iter("polyline")
    (x1, y1), (x2, y2) = [map(float, spot.split(",")) for spot in line.attrib["points"].split()]
    assert x1 < x2 and y1 > y2 > 14
    bars = [float(bar.attrib["height"]) for bar in ElementTree.fromstring(charts.histogram(
        "t", {"a": np.array([0.0, 1.0, 1.0, np.nan])}, colours)).iter("rect")]
    assert len(bars) == charts.BINS and bars[0] * 2 == pytest.approx(bars[-1], abs=0.2)
    assert sum(bar > 0 for bar in bars) == 2
    assert charts.curves("t", {}, {}, {}, {}, 1)
