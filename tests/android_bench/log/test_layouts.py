"""Other forms of logcat, of adb and of the shell, and numbers that are none."""
from __future__ import annotations

import pytest

from android_bench.errors import NotUnderstood
from android_bench.log.parse import parse_log
from tests.android_bench import logs

OUT, ERR = logs.stdout(), logs.stderr()
WHOLE = parse_log(OUT + ERR, "", 0)
MESSAGES = [line for line in (OUT + ERR).splitlines() if line and "linker" not in line]
LAYOUTS = {
    "time": "01-02 03:04:05.678 I/tflite  ( 1234): {}",
    "threadtime": "01-02 03:04:05.678  1234  5678 I tflite  : {}",
    "year": "2024-01-02 03:04:05.678  1234  5678 I tflite  : {}",
    "zone": "01-02 03:04:05.678 +0100  1234  5678 I tflite  : {}",
    "year, zone, usec": "2024-01-02 03:04:05.678901 +0000  1234  5678 I tflite: {}",
    "uid": "01-02 03:04:05.678 u0_a123  1234  5678 I tflite  : {}",
    "uid number": "01-02 03:04:05.678  2000  1234  5678 I tflite  : {}",
    "epoch": "    1700000000.123  1234  5678 I tflite  : {}",
    "monotonic": "      12345.678  1234  5678 I tflite  : {}",
    "brief": "I/tflite  ( 1234): {}", "tag": "I/tflite: {}",
    "process": "I( 1234) {}  (tflite)", "thread": "I( 1234: 5678) {}",
    "studio": "2024-01-02 03:04:05.678  1234-5678  tflite                  com.example  I  {}",
    "studio, old": "2024-01-02 03:04:05.678 1234-5678/com.example.app I/tflite: {}",
    "long": "[ 01-02 03:04:05.678  1234: 5678 I/tflite   ]\n{}\n",
    "colour": "\x1b[38;5;40m01-02 03:04:05.678  1234  5678 I tflite  : {}\x1b[0m",
}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_format_of_logcat_gives_the_same(name, end):
    text = "--------- beginning of main\n" + "".join(
        LAYOUTS[name].format(message) + "\n" for message in MESSAGES)
    record = parse_log(text.replace("\n", end))
    assert (record.layout, record.outcome, record.format) == ("logcat", "ok", "classic")
    assert record.figures == WHOLE.figures and record.parameters == WHOLE.parameters
    assert record.delegation == WHOLE.delegation


@pytest.mark.parametrize("number", ["²", "٤٤", "9" * 5000, "1e5", "--4", "４"])
@pytest.mark.parametrize("place", ["count=50", "bench_rc=0", "Replacing 14", "avg=201500",
                                   "yielding 1", "in 21", "(avg): 201500"])
def test_odd_numbers_are_refused_or_read_over(number, place):
    text = OUT + ERR + "bench_rc=0\n"
    start, sign, digits = next((place.partition(sign) for sign in ("=", ": ", " ")
                                if sign in place))
    assert place in text
    try:
        record = parse_log(text.replace(place, start + sign + number), "", 0)
    except NotUnderstood as error:
        assert len(str(error)) < 500
    else:  # what is no number at all is no marker either
        assert record.exit_code == 0 and record.figures == WHOLE.figures


@pytest.mark.parametrize("text", [
    "zsh: exec format error: ./benchmark_model\n", "zsh: command not found: adb\n",
    "bash: ./benchmark_model: cannot execute binary file: Exec format error\n",
    "/system/bin/sh: <stdin>[1]: ./benchmark_model: inaccessible or not found\n",
    "<stdin>[1]: ./benchmark_model: not found\n", "sh: 1: ./benchmark_model: not found\n",
    "'adb' is not recognized as an internal or external command,\n",
    "adb : The term 'adb' is not recognized as the name of a cmdlet, function, script file\n",
    "run-as: package not debuggable: com.example\n",
    "chmod: benchmark_model: No such file or directory\n", "su: not found\n",
    "taskset: failed to set pid 0's affinity: Operation not permitted\n"])
def test_refusals_of_shells(text):
    record = parse_log(text, "", 1)
    assert (record.outcome, record.trouble) == ("failed", "")
    assert text.strip() in record.reason


@pytest.mark.parametrize("text", ["adb.exe: no devices/emulators found\n",
                                  "adb.exe: error: device offline\n"])
def test_adb_of_windows(text):
    assert parse_log(text, "", 1).trouble in ("none", "offline")
