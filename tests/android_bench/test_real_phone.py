"""With a phone on the cable: OACE_PHONE names its serial. The genuine program, the tiny file."""
from __future__ import annotations

import json
import os

import pytest

from android_bench import bench

pytestmark = pytest.mark.device


def test_the_command_on_a_phone(tiny_int8, tmp_path):
    serial = os.environ.get("OACE_PHONE")
    if not serial:
        pytest.skip("OACE_PHONE does not name the serial of a phone on adb")
    out = tmp_path / "report.json"
    code = bench.main([str(tiny_int8), "--serial", serial, "--settings", "int8-cpu-*", "--clean",
                       "--json", str(out)])
    report = json.loads(out.read_text())
    assert code == 0, report["trouble"]
    assert report["rows"][0]["repetitions"][0]["delegate"] == "TfLiteXNNPackDelegate"
