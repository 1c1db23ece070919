"""The matrix of settings and its command lines."""
from __future__ import annotations

import pytest

from android_bench import settings
from oace_tf.errors import UsageError


def test_matrix_and_command_line():
    found = settings.matrix(("int8",), (1, 4), (3, 4, 5, 6, 7))
    names = [setting.name for setting in found]
    assert names[:4] == ["int8-cpu-1", "int8-cpu-4", "int8-cpu-4-big", "int8-cpu-4-cache"]
    line = settings.command(found[2], "tool", "m.tflite", 20, 3, {})
    assert line[:3] == ["taskset", "f8", "./tool"] and "--use_xnnpack=true" in line
    assert "--min_secs=0" in line and line.count("--graph=m.tflite") == 1
    assert not any(part.startswith("--") and "=" not in part for part in line)
    assert len({setting.name for setting in found}) == len(found)


def test_settings_of_litert_tool():
    flags = ("use_cpu", "use_npu", "use_gpu")
    found = {one.name: one for one in settings.matrix(("int8",), (4,), (), flags=flags)}
    assert found["int8-cpu-4"].options == (("use_cpu", "true"),)
    assert found["int8-npu"].options == (("use_npu", "true"),)
    assert settings.why_absent(found["int8-npu"], flags) == ""
    assert "no --xnnpack_weight" in settings.why_absent(found["int8-cpu-4-cache"], flags)


def test_flags_of_a_build():
    text = "Flags:\n\t--graph=\tstring\n\t--num_threads=-1\tint32\n\t--num_runs=50\tint32\n"
    flags = settings.flags_of(text)
    gpu = next(s for s in settings.matrix(("int8",), (4,), ()) if s.unit == "gpu")
    assert settings.why_absent(gpu, flags) == "this build has no --use_gpu"
    with pytest.raises(UsageError, match="not benchmark_model"):
        settings.flags_of("/system/bin/sh: ./tool: not executable")
