"""The parser on logs written here: outcomes, layouts, contradictions, and text of any kind."""
from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from android_bench.errors import NotUnderstood
from android_bench.log.parse import Record, parse_log
from tests.android_bench import logs

OUT, ERR = logs.stdout(), logs.stderr()
WHOLE = parse_log(OUT, ERR, 0)


def test_a_good_run():
    record = WHOLE
    assert (record.outcome, record.reason, record.format) == ("ok", "", "classic")
    figures = record.figures
    assert (figures.init_us, figures.first_us, figures.warmup_n) == (21000, 260000, 3)
    assert (figures.n, figures.avg_us, figures.p95_us) == (50, 201500, 231000)
    assert (figures.mem_overall_mb, figures.mem_peak_mb) == (78.25, 96.5)
    assert (record.delegation.state, record.delegation.requested) == ("full", ())
    assert dict(record.parameters)["Num threads"] == "4"


@pytest.mark.parametrize("code", [1, 134, 137])
def test_results_of_a_program_that_did_not_end_well_do_not_count(code):
    record = parse_log(OUT, ERR, code)
    assert record.outcome == "failed" and record.figures.avg_us is None


def test_scientific_notation():
    record = parse_log(logs.stdout(avg="1.24e+06", low=1200000, high=1300000), ERR, 0)
    assert record.figures.avg_us == 1240000


def test_one_timed_run():
    record = parse_log(logs.stdout(n=1, avg="201500"), ERR, 0)
    assert (record.figures.n, record.figures.min_us, record.figures.std_us) == (1, 201500, None)


def test_no_timed_run_is_no_result():
    record = parse_log(logs.stdout(n=0), ERR, 0)
    assert record.outcome == "unusable" and "no timed run" in record.reason


def test_two_results_in_one_log_are_no_result():
    record = parse_log(OUT + logs.stdout(avg="202500"), ERR, 0)
    assert record.outcome == "unusable" and record.figures.avg_us is None


def test_a_delegate_that_fails_after_its_announcement():
    head = OUT.split("INFO: The input")[0].replace("INFO: Loaded",
                                                   "INFO: Use gpu: [1]\nINFO: Loaded")
    for code in (0, 1):
        record = parse_log(head, logs.GPU_FAILS, code)
        assert (record.outcome, record.delegation.state) == ("failed", "failed")
        assert "eglBindAPI" in record.reason


def test_a_delegate_that_gives_the_graph_back_and_the_run_goes_on():
    errors = logs.GPU_FAILS.split("ERROR: Failed to apply")[0] + (
        "ERROR: Restored original execution plan after delegate application failure.\n")
    record = parse_log(logs.stdout(asked="INFO: Use gpu: [1]\n"), errors + ERR, 0)
    assert (record.outcome, record.delegation.state) == ("not_delegated", "failed")
    assert "went on without it" in record.reason


def test_a_delegate_that_fails_when_it_is_invoked():
    text = ("VERBOSE: Replacing 136 out of 139 node(s) with delegate (TfLiteHexagonDelegate) node, "
            "yielding 2 partitions.\nERROR: Node number 557 (TfLiteHexagonDelegate) failed to "
            "invoke.\n")
    record = parse_log(text, "", None, "./benchmark_model --use_hexagon=true")
    assert (record.outcome, record.delegation.state) == ("failed", "failed")


def test_help_is_no_benchmark_but_a_wrong_flag_is_a_failure():
    usage = "ERROR: usage: ./benchmark_model <flags>\nERROR: Benchmarking failed.\n"
    assert parse_log("INFO: STARTING!\n", usage, 1).outcome == "unusable"
    wrong = "ERROR: Couldn't interpret value four for flag num_threads.\n" + usage
    assert parse_log("INFO: STARTING!\n", wrong, 1).outcome == "failed"


@pytest.mark.parametrize("text", [
    'error: "./benchmark_model": executable\'s TLS segment is underaligned\n',
    "/system/bin/sh: ./benchmark_model: can't execute: Permission denied\n",
    'CANNOT LINK EXECUTABLE "./benchmark_model": library "libx.so" not found\n'])
def test_programs_that_the_device_does_not_start(text):
    record = parse_log("", text, 1)
    assert (record.outcome, record.trouble) == ("failed", "")


@pytest.mark.parametrize("asked", ["Use gpu: [1]", "Use NNAPI: [1]", "Use Hexagon: [1]"])
def test_another_delegate_in_place_of_the_one_asked_for(asked):
    record = parse_log(logs.stdout(asked=f"INFO: {asked}\n"), ERR, 0)
    assert (record.outcome, record.delegation.state) == ("not_delegated", "none")
    assert "took no node" in record.reason


def test_a_delegate_known_from_the_command_alone():
    record = parse_log(OUT, ERR, 0, "./benchmark_model --graph=m.tflite --use_nnapi=true")
    assert record.outcome == "not_delegated"


def test_xnnpack_announced_without_a_node():
    assert parse_log(OUT, logs.stderr(taken=0), 0).delegation.state == "none"
    asked = logs.stdout(asked="INFO: Use xnnpack: [1]\n")
    assert parse_log(asked, logs.stderr(taken=0), 0).outcome == "not_delegated"


def test_partial_delegation():
    delegation = parse_log(OUT, logs.stderr(12, 14, 3), 0).delegation
    assert delegation.state == "partial"
    assert (delegation.replacements[0].replaced, delegation.replacements[0].total) == (12, 14)


def test_marker_of_the_exit_code_counts_before_that_of_adb():
    head = OUT.split("INFO: Running")[0]
    record = parse_log(head + "bench_rc=1\n", "ERROR: Benchmarking failed.\n", 0)
    assert (record.outcome, record.exit_code) == ("failed", 1)


@pytest.mark.parametrize("code", [0, 255, 137, None])
def test_cut_before_the_results_is_truncated_whatever_the_exit_code(code):
    record = parse_log(OUT.split("INFO: Inference timings")[0], ERR, code)
    assert record.outcome == "truncated" and record.figures.avg_us is None


def test_last_line_without_its_end_is_not_read():
    text = logs.stdout(memory=False)
    assert parse_log(text, ERR, 0).outcome == "ok"
    assert parse_log(text[:-1], ERR, 0).outcome == "truncated"
    assert parse_log(text[:-4], ERR, 0).outcome == "truncated"  # "(avg): 201" would pass a budget


@pytest.mark.parametrize("text, line", [
    (OUT.replace("avg=201500", "avg=2O1500"), "2O1500"),
    (OUT.replace("Inference (avg): 201500", "Inference (avg): nan"), "nan"),
    (OUT.replace("Inference (avg): 201500", "Inference (avg): -1"), "-1"),
    (OUT.replace("Inference (avg): 201500", "Inference (avg): 20150"), "20150"),  # not that above
    (OUT.replace("avg=201500", "avg=1e999"), "1e999"),
    (OUT.replace("min=198000", "min=298000"), "min=298000"),
    (OUT.replace("p95=231000", "p95=1000"), "p95=1000"),
    (OUT.replace("Initialized session in 21", "Initialized session in ?"), "in ?"),
])
def test_what_is_not_understood_raises_with_the_line(text, line):
    with pytest.raises(NotUnderstood) as caught:
        parse_log(text, ERR, 0)
    assert line in caught.value.line and line in str(caught.value)


def test_damaged_announcement_raises():
    with pytest.raises(NotUnderstood, match="announcement"):
        parse_log(OUT, ERR.replace("out of 14", "out of 1"), 0)


@pytest.mark.parametrize("text", ["hello\n", "List of devices attached\n", "{}\n"])
def test_other_texts_raise(text):
    with pytest.raises(NotUnderstood):
        parse_log(text)


@pytest.mark.parametrize("text, kind", [
    ("error: device '10.0.0.1:5555' not found\n", "none"),
    ("adb: no devices/emulators found\n", "none"),
    ("error: more than one device/emulator\n", "several"),
    ("error: device unauthorized.\n", "unauthorized"),
    ("error: device offline\n", "offline"), ("adb: error: what is this\n", "adb"),
    ("failed to resolve host: 'nohost': Name or service not known\n", "refused"),
    ("failed to connect to '127.0.0.1:1': Connection refused\n", "refused")])
def test_messages_of_adb(text, kind):
    record = parse_log("", text, 1, "adb shell true")
    assert (record.outcome, record.trouble) == ("failed", kind)
    assert ";" in record.reason  # the remedy


# --- any text


def check(stdout: str, stderr: str, code: int | None) -> Record | None:
    """Parse; a record or a clear error, nothing else, and never an impossible figure."""
    try:
        record = parse_log(stdout, stderr, code)
    except NotUnderstood as error:
        assert str(error)
        return None
    figures = record.figures
    for name in ("init_us", "avg_us", "min_us", "max_us", "mem_peak_mb"):
        value = getattr(figures, name)
        assert value is None or (math.isfinite(value) and value >= 0)
    if record.outcome in ("ok", "not_delegated"):
        assert figures.avg_us is not None
    assert bool(record.reason) == (record.outcome != "ok")
    return record


CODES = st.sampled_from([None, 0, 1, 124, 134, 137, 255])


@given(st.text(max_size=400), st.text(max_size=200), CODES)
def test_any_text(stdout, stderr, code):
    check(stdout, stderr, code)


@given(st.integers(0, len(OUT)), st.integers(0, len(ERR)), CODES)
def test_cut(end, error_end, code):
    record = check(OUT[:end], ERR[:error_end], code)
    if record and record.outcome == "ok":
        assert record.figures.avg_us == WHOLE.figures.avg_us


@given(st.data())
def test_lines_repeated_dropped_and_reordered(data):
    lines = (OUT + ERR).splitlines(keepends=True)
    chosen = data.draw(st.lists(st.sampled_from(lines), max_size=2 * len(lines)))
    record = check("".join(chosen), "", data.draw(CODES))
    if record and record.outcome == "ok":  # the results line, however it came there
        assert record.figures.avg_us == WHOLE.figures.avg_us


@given(st.permutations((OUT + ERR).splitlines(keepends=True)))
def test_reordered(lines):
    record = check("".join(lines), "", 0)
    if record and record.outcome == "ok":
        assert record.figures.avg_us == WHOLE.figures.avg_us


@settings(max_examples=200)
@given(st.integers(0, len(OUT + ERR) - 1), st.characters(codec="utf-8"))
def test_one_character_garbled(place, character):
    text = OUT + ERR
    check(text[:place] + character + text[place + 1:], "", 0)


@given(st.lists(st.sampled_from(["count=", "5 ", "first=3 ", "curr=1.24e+06", "min=", "\n",
                                 "Inference timings in us: ", "Init: 1, ", "Inference (avg): ",
                                 "1e9", "nan", " BENCHMARK RESULTS\n", "INFO: ",
                                 "Inference (avg):  0.00 ms\n", "=" * 40 + "\n",
                                 "Replacing 1 out of 1 node", "bench_rc=0\n"]),
                max_size=40))
def test_pieces_of_the_grammar(pieces):
    check("".join(pieces), "", 0)
