"""Report: the processor's name as Linux gives it on x86 and on Arm."""
from __future__ import annotations

from pathlib import Path

from export import report


def test_x86(tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text("processor\t: 0\nmodel name\t: Maker Model 7\nflags\t\t: fpu avx2 avx512_vnni\n"
                    "\nprocessor\t: 1\nmodel name\t: Other\n")
    found = report.host(path)
    assert found["cpu"] == "Maker Model 7"
    assert found["cpu_features"] == ["avx2", "avx512_vnni"]


def test_arm_and_none(tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text("processor\t: 0\nFeatures\t: fp asimddp i8mm\nCPU implementer\t: 0x41\n"
                    "CPU part\t: 0xd47\n")
    found = report.host(path)
    assert found["cpu"] == "Arm implementer 0x41, part 0xd47"
    assert found["cpu_features"] == ["asimddp", "i8mm"]
    assert report.host(tmp_path / "missing")["cpu"]
