"""The same matrix on this machine."""
from __future__ import annotations

import json

from android_bench import bench


def test_host(tiny_int8, tmp_path, capsys):
    out = tmp_path / "host.json"
    code = bench.main([str(tiny_int8), "--host", "--threads", "1", "--runs", "3", "--repetitions",
                       "1", "--json", str(out), "--budget-ms", "1000"])
    report = json.loads(out.read_text())
    rows = {row["setting"]: row for row in report["rows"]}
    assert code == 0 and rows["int8-cpu-1"]["p90_ms"] is not None
    assert len(rows["int8-cpu-1"]["repetitions"][0]["runs_ms"]) == 3
    assert rows["int8-gpu"]["status"] == "not in this build"
    assert "resize a photograph of 4000x3000" in report["whole_answer"]
