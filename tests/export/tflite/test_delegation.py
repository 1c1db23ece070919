"""Delegation: what the delegate takes, and the cost of what stays outside."""
from __future__ import annotations

from export.tflite.delegation import cost_outside, delegation
from tests.export.conftest import Made


def test_cost_of_what_is_outside(made: Made) -> None:
    found = delegation(made.int8_bytes)
    rows = cost_outside(made.int8_bytes, found)
    assert [row["operator"] for row in rows] == ["QUANTIZE", "QUANTIZE"]
    assert all(0 < row["ms"] < 50 for row in rows) and rows[-1]["tensor"] == "mask"
