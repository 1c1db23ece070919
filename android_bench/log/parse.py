"""Text of a benchmark tool -> a record, or an error that shows the line.

Pure functions; nothing here talks to a device. Knows `benchmark_model` of TensorFlow Lite (today's
form and those before 2020), LiteRT's C++ and Python tools, and the messages of adb. Times are in
microseconds, memory in MB, as printed. A record never mixes two runs, and a figure that stands in a
line which may be cut is not read.
"""
from __future__ import annotations

import re
from dataclasses import dataclass, replace

from android_bench.device import adb_messages
from android_bench.errors import NotUnderstood
from android_bench.log import figures as log_figures
from android_bench.log.delegation import Delegation, read_delegation
from android_bench.log.figures import Figures
from android_bench.log.lines import Line, Text, read_text
from android_bench.log.numbers import whole_number
from android_bench.log.operator_profile import OperatorTime, read_profile
from oace_tf.errors import quoted

OK, NOT_DELEGATED, FAILED = "ok", "not_delegated", "failed"
TRUNCATED, UNUSABLE = "truncated", "unusable"

_PROGRAM = re.compile(r"benchmark[-_]model|litert-benchmark")
_MARKER = re.compile(r"bench_rc=(-?\d+)")
_SHELL = re.compile(r"(?:\S*/)?(?:sh|bash|ash|linker64|linker)\b.*: .*(?:not found|"
                    r"Permission denied|Exec format error|can't cd|can't execute|inaccessible|"
                    r"No such file|[Nn]o space left).*|CANNOT LINK EXECUTABLE.*|"
                    r"nohup: .*(?:failed|not found).*|error: \".*\": .*|"
                    r"zsh: (?:command not found|permission denied|exec format error|"
                    r"no such file or directory|killed|segmentation fault|abort).*|"
                    r"(?:adb|'adb'|\S+) ?:? .*is not recognized as .*|"
                    r"<stdin>\[\d+\]: .*|(?:chmod|cd|su|run-as|taskset|nice|timeout|env|cat): .*"
                    r"(?:not found|No such file|[Pp]ermission denied|not debuggable|unknown|"
                    r"not permitted|failed).*")
_CRASH = re.compile(r"Aborted|Segmentation fault|Bus error|Illegal instruction|"
                    r"Floating point exception|Trace/breakpoint trap|Out of memory|"
                    r"qemu: uncaught target signal \d+.*")
_BROKEN = re.compile(r"Node number \d+ \(.+\) failed to (?:prepare|invoke)\.?|"
                     r"Failed to apply .* delegate\.?|Failed to invoke.*")
_CRASH_CODES = {132: "SIGILL", 133: "SIGTRAP", 134: "SIGABRT", 135: "SIGBUS", 136: "SIGFPE",
                139: "SIGSEGV"}
_EXCEPTION = re.compile(r"(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:Error|Exception|Interrupt): ?.*")
_ARGUMENTS = re.compile(r"litert-benchmark: error: .*")
_HELP = re.compile(r"usage: .*benchmark.*|The Model contains \d+ signature key\(s\)\.")
_NO_REASON = re.compile(r"ERROR: (?:usage: .*|Benchmarking failed\.?)")  # of a call for help
_IN_GOOD_RUNS = ("Benchmarking failed",)  # every other ERROR may stand in a run that ends well
_OTHER_TOOL = re.compile(r"tensorflow/tools/benchmark/")
_PARAMETER = re.compile(r"(?P<name>[#A-Z][\w #()]+?) ?: \[(?P<value>.*)\]$")
# Parameters that say what was measured, and on what.
_DECIDES = re.compile(r"Num threads|Graph|Use (?:gpu|nnapi|NNAPI|legacy nnapi|[Hh]exagon|xnnpack)|"
                      r"External delegate path")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What one captured run says.

    Attributes:
      format: classic, old (before 2020), litert (C++), litert-py, litert_app, other, none.
      layout: separate, merged, pty-crlf, logcat.
      outcome: ok; not_delegated (results, but the delegate asked for took no node); failed;
        truncated (cut off before the results); unusable (no benchmark, no timed run, two runs).
      reason: in words, why the outcome is not ok; empty if it is.
      exit_code: of the program; None if not known. A line `bench_rc=N` counts before adb's code.
      delegation: which delegates were asked for, and what they took.
      figures: the numbers; all None unless a run came to its end.
      errors, warnings: lines of the program, in order.
      profile: operator times of the timed runs; empty if none were asked for.
      parameters: what the program says it was called with.
      trouble: kind of a `DeviceTrouble`, if the text is a message of adb; else empty.
    """

    format: str
    layout: str
    outcome: str
    reason: str
    exit_code: int | None
    delegation: Delegation
    figures: Figures
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    profile: tuple[OperatorTime, ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()
    trouble: str = ""


def parse_log(stdout: str, stderr: str = "", exit_code: int | None = None,
              command: str = "") -> Record:
    """Return the record of one run.

    Args:
      stdout: standard output, or the whole of a merged log or of a logcat.
      stderr: standard error, where it was kept apart.
      exit_code: what the shell, or adb, gave back; None if not known. It is no proof of a good
        run: adb gives 0 after a lost link.
      command: the command line, where known; names the delegate asked for in logs that do not.
    Raises:
      NotUnderstood: a line that looks like a result cannot be read, contradicts another, or no
        line of the text is known; the message shows the line.
    """
    text = read_text(stdout, stderr)
    lines = text.lines
    for line in lines:
        match = _MARKER.fullmatch(line.message)
        if match and line.ended:
            exit_code = whole_number(match[1], line.raw)
    blank = not any(line.message for line in lines)
    if blank or not _known(lines):
        return _without_benchmark(text, blank, exit_code, command)
    _refuse_mixed(lines)
    name = log_figures.format_of(lines)
    if name == "other":
        return Record(format="other", layout=text.layout, outcome=UNUSABLE,
                      reason="another tool of the same name (TensorFlow's benchmark_model, "
                             "not TensorFlow Lite's)",
                      exit_code=exit_code, delegation=Delegation(), figures=Figures())
    figures, complete = log_figures.read_figures(lines, name)
    errors = tuple(_errors(lines))
    failed = _failed(lines, figures, complete, exit_code)
    delegation = read_delegation(lines, name, command, complete and not failed, failed)
    record = Record(format=name, layout=text.layout, outcome=OK, reason="", exit_code=exit_code,
                    delegation=delegation, figures=figures, errors=errors,
                    warnings=tuple(_warnings(lines)), profile=read_profile(lines),
                    parameters=tuple(_parameters(lines, figures.runs)))
    outcome, reason = _judge(record, lines, complete, failed)
    if outcome in (FAILED, TRUNCATED):
        record = replace(record, figures=figures.only_warmup())
    elif outcome == UNUSABLE and figures.runs > 1:
        record = replace(record, figures=Figures(), delegation=Delegation())
    return replace(record, outcome=outcome, reason=reason)


def _judge(record: Record, lines: tuple[Line, ...], complete: bool, failed: bool
           ) -> tuple[str, str]:
    """Return outcome and reason."""
    figures = record.figures
    if figures.runs > 1:
        return UNUSABLE, "two results in one log: the runs disturbed each other"
    told_off = [error for error in record.errors if not _NO_REASON.fullmatch(error)]
    if not complete and not told_off and any(_HELP.fullmatch(line.message) for line in lines):
        return UNUSABLE, "not a benchmark run"
    if failed:
        reason = "; ".join(record.errors)
        if not reason:
            reason = "no text on the error (standard error was not kept)"
        if record.exit_code:
            reason += f"; exit code {record.exit_code}"
        return FAILED, reason
    if not complete:
        return TRUNCATED, _cut_reason(record)
    if figures.n == 0 or (figures.avg_us == 0 and figures.resolution_us <= 1):
        return UNUSABLE, "no timed run (count=0): an average of 0 us is no measurement"
    if record.delegation.requested and record.delegation.state in ("none", "failed"):
        asked = ", ".join(record.delegation.requested)
        words = {"none": "took no node of the graph",
                 "failed": "failed after its announcement; the run went on without it"}
        return NOT_DELEGATED, f"{asked} was asked for and {words[record.delegation.state]}"
    return OK, ""


def _cut_reason(record: Record) -> str:
    reason = "cut off: no results line"
    if record.exit_code in (124, 130, 137, 143):
        reason += f"; the program was ended from outside (exit code {record.exit_code})"
    elif record.exit_code in (0, 255):
        reason += "; the link was lost or the program was ended, whatever the exit code says"
    if record.errors:
        reason += "; " + "; ".join(record.errors)
    return reason


def _failed(lines: tuple[Line, ...], figures: Figures, complete: bool,
            exit_code: int | None) -> bool:
    """Return whether the run failed by itself, as opposed to being cut off."""
    for line in lines:
        message = line.message
        if message.startswith(_IN_GOOD_RUNS) and line.level == "ERROR":
            return True
        if line.message.startswith("Fatal signal 13 "):
            continue  # nobody read what it printed: it was cut off
        if not complete and line.level == "ERROR" and _BROKEN.fullmatch(message):
            return True
        if line.level == "FATAL" or _CRASH.fullmatch(message) or _SHELL.fullmatch(message):
            return True
        if not complete and (_EXCEPTION.match(message) or _ARGUMENTS.match(message)):
            if not message.startswith("KeyboardInterrupt"):
                return True
        if not complete and line.layout == "python" and line.level == "ERROR":
            return True
    if exit_code in _CRASH_CODES:
        return True
    if complete:
        return exit_code not in (0, None)
    if exit_code in (None, 0, 255) or exit_code >= 124:
        app = log_figures.format_of(lines) == "litert_app"
        return app and any("Failed to" in line.message for line in lines)
    return True


def _errors(lines: tuple[Line, ...]) -> list[str]:
    """Return the lines that name an error, without repeats, in order."""
    messages: dict[str, None] = {}
    for line in lines:
        message = line.message
        if line.level in ("ERROR", "FATAL"):
            messages[f"{line.level}: {message}"] = None
        elif message in ("Killed", "Terminated") or _CRASH.fullmatch(message) or (
                _SHELL.fullmatch(message) or _ARGUMENTS.match(message)):
            messages[message] = None
        elif _EXCEPTION.fullmatch(message) and line.layout == "plain":
            messages[message] = None
        elif message.startswith("dlopen failed: "):
            messages[message] = None
    return list(messages)


def _warnings(lines: tuple[Line, ...]) -> list[str]:
    """Return the warnings about the call and the delegates, without the linker's."""
    messages = {line.message: None for line in lines
                if line.level == "WARN" and line.source != "linker"
                and not line.message.startswith("linker:") and line.layout != "glog"}
    return list(messages)


def _parameters(lines: tuple[Line, ...], runs: int) -> list[tuple[str, str]]:
    """Return what the program says it was called with; of several runs, the first.

    Raises:
      NotUnderstood: of one run, two things of what decides whose figures these are.
    """
    parameters: dict[str, str] = {}
    for line in lines:
        match = _PARAMETER.fullmatch(line.message)
        if match and line.level in ("INFO", ""):
            first = parameters.setdefault(match["name"], match["value"])
            if runs < 2 and first != match["value"] and _DECIDES.fullmatch(match["name"]):
                raise NotUnderstood(f"a log that contradicts itself: {match['name']} is "
                                    f"{quoted(first, 40)} before", line.raw)
    return list(parameters.items())


def _refuse_mixed(lines: tuple[Line, ...]) -> None:
    """Refuse a log of which a part could not be read: what it says would be left out.

    Raises:
      NotUnderstood: a line has the zeros of UTF-16 read as UTF-8; PowerShell's `>>` appends so.
    """
    for line in lines:
        if line.ended and "\0" in line.raw:
            raise NotUnderstood("a line of another encoding than the rest (UTF-16, appended?); "
                                "save all of it as UTF-8", line.raw)


def _known(lines: tuple[Line, ...]) -> bool:
    """Return whether any line is one that a benchmark tool, or the delegates, write."""
    return any(log_figures.is_known(line) or _OTHER_TOOL.search(line.source) or (
        _HELP.fullmatch(line.message)) or _ARGUMENTS.match(line.message) for line in lines)


def _without_benchmark(text: Text, blank: bool, exit_code: int | None, command: str) -> Record:
    """Return the record of a text in which no benchmark speaks: adb's own messages, a shell's."""
    nothing = Record(format="none", layout=text.layout, outcome=FAILED, reason="",
                     exit_code=exit_code, delegation=Delegation(), figures=Figures())
    for line in text.lines:
        kind = adb_messages.kind_of(line.message)
        if kind:
            return replace(nothing, reason=adb_messages.in_words(kind, line.message), trouble=kind,
                           errors=(line.message,))
    errors = tuple(_errors(text.lines))
    if errors:  # the shell's: it could not start the program, or not even reach the folder
        at_fault = command.startswith("cd ") and "benchmark" in " ".join(errors)
        return replace(nothing, reason="; ".join(errors), errors=errors,
                       format="classic" if at_fault else "none")
    benchmark = not command or _PROGRAM.search(command)
    if blank and benchmark and (exit_code is None or exit_code == 0 or exit_code >= 124):
        return replace(nothing, outcome=TRUNCATED, reason="cut off: no results line; the log is "
                       "empty")
    if blank and exit_code == 137:
        return replace(nothing, reason=adb_messages.in_words("frozen", "no answer"),
                       trouble="frozen", errors=("no answer",))
    first = next((line.raw for line in text.lines if line.message), "")
    raise NotUnderstood("no line of this text is of a benchmark tool", first or "(empty)")
