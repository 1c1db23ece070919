"""Replay of a saved log without a phone: `NAME.stdout.txt` with companions, or one merged log."""
from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path

from android_bench.device.adb_messages import in_words
from android_bench.errors import DeviceTrouble, LinkLost, NotUnderstood
from android_bench.log.numbers import whole_number
from android_bench.log.parse import OK, TRUNCATED, UNUSABLE, Record, parse_log
from android_bench.verdict import Budgets, Row, from_record, judge
from oace_tf.errors import UsageError
from oace_tf.fileio import read_bytes
from oace_tf.other_files import other_file

MAX_BYTES = 64 * 2**20
_STDOUT = ".stdout.txt"
_CODE = re.compile(r"-?[0-9]{1,10}")
_ASKED = re.compile(r"--num_threads[= ](\S+)")
_GRAPH = re.compile(r"--(?:graph|model)[= ]([^\s'\"]+)")
MOST_THREADS = 1024
# Parameters that the tool prints when it begins, whatever it was called with.
_BEGINNING = ("Graph", "Log parameter values verbosely", "Min num runs", "Num runs")
_REMEDY = "replay the whole log, or put the command line beside it as NAME.cmd"


def read_log(path: Path) -> Record:
    """Return the record of a saved log.

    Args:
      path: `NAME.stdout.txt`, which takes `NAME.stderr.txt`, `NAME.rc` and `NAME.cmd` along where
        they are there; any other file is a merged log and takes `.rc` and `.cmd` along.
    Raises:
      UsageError: a file cannot be read, or `NAME.rc` holds no number.
      NotUnderstood: the text is not understood; shows the line.
    """
    stem = _stem(path)
    stderr = _companion(path, stem + ".stderr.txt") if path.name.endswith(_STDOUT) else ""
    text = _read(path)
    alone = not any(os.path.isfile(path.with_name(stem + suffix)) for suffix in (".rc", ".cmd"))
    if alone and not (text + stderr).strip():  # else the exit code says what became of the run
        raise UsageError(f"{path} is an empty log: the tool wrote nothing into it; measure again "
                         "and keep what it prints, standard error too")
    if _is_json(text):
        raise UsageError(f"{path} is JSON (a report, or Android Studio's export), not a log; "
                         "replay the lines themselves, as the tool printed them")
    code = _companion(path, stem + ".rc").strip()
    if code and not _CODE.fullmatch(code):
        raise UsageError(f"{path.with_name(stem + '.rc')} holds no exit code: {code[:40]!r}; write "
                         "the program's, or remove the file")
    return parse_log(text, stderr, int(code) if code else None, _companion(path, stem + ".cmd"))


def replay(path: Path, budgets: Budgets) -> Row:
    """Return the row of a saved log.

    Raises:
      UsageError, NotUnderstood: as `read_log`, or a number of threads that cannot be read.
      LinkLost: the log is cut off before its results.
      DeviceTrouble: the text is adb's own message about the device.
    """
    try:
        return _row(path, budgets)
    except NotUnderstood as error:
        named = NotUnderstood(f"{path}: {error}; replay the log as the tool wrote it")
        named.line = error.line
        raise named from error


def _row(path: Path, budgets: Budgets) -> Row:
    record = read_log(path)
    command = _companion(path, _stem(path) + ".cmd")
    if record.trouble:
        raise DeviceTrouble(record.trouble, f"{path}: {record.reason}")
    if record.outcome == TRUNCATED:
        raise LinkLost(f"{path}: {in_words('lost', record.reason)}")
    parameters = dict(record.parameters)
    repetition = from_record(record)
    threads = 0
    if repetition.outcome == OK:
        threads, missing = _threads(parameters, command)
        missing = missing or _missing(record, parameters, command)
        if missing:
            repetition = replace(repetition, outcome=UNUSABLE, reason=f"{missing}; {_REMEDY}")
    model = parameters.get("Graph", "")
    if not model and (named := _GRAPH.search(command)):
        model = named[1]
    notes = []
    if record.delegation.state == "unknown":
        notes.append("the log does not say which delegate took the graph")
    return judge(path.name, [repetition], budgets, unit=", ".join(record.delegation.requested)
                 or ("" if repetition.outcome == UNUSABLE else "cpu"),
                 model=model, threads=threads, notes=notes)


def _threads(parameters: dict[str, str], command: str) -> tuple[int, str]:
    """Return the number of threads, 0 for the tool's own choice, and what is not known of it.

    Raises:
      NotUnderstood: it cannot be read.
    """
    printed, asked = parameters.get("Num threads"), _ASKED.search(command)
    values = [whole_number(text, text) for text in (printed, asked and asked[1]) if text]
    if any(value > MOST_THREADS or value < -1 for value in values):
        raise NotUnderstood(f"a number of threads that no device has: {values[0]}")
    if len(set(values)) > 1:
        return 0, f"the log says {values[0]} threads, the command line {values[1]}"
    if values:
        # As LiteRT takes them: 0 is one thread, -1 its own choice.
        return {0: 1, -1: 0}.get(values[0], values[0]), ""
    return 0, "" if _GRAPH.search(command) else "nothing shows with how many threads it ran"


def _missing(record: Record, parameters: dict[str, str], command: str) -> str:
    """Return in words what results stand alone without: which unit and delegate they are of."""
    if _GRAPH.search(command) or any(name in parameters for name in _BEGINNING) or (
            record.delegation.state != "unknown"):
        return ""
    return "nothing shows on which unit and delegate it ran"


def companions(path: Path) -> list[Path]:
    """Return the files that are read with a log, there or not."""
    return [path.with_name(_stem(path) + suffix) for suffix in (".stderr.txt", ".rc", ".cmd")]


def _stem(path: Path) -> str:
    return path.name[:-len(_STDOUT)] if path.name.endswith(_STDOUT) else path.stem


def _companion(path: Path, name: str) -> str:
    beside = path.with_name(name)
    return _read(beside) if os.path.isfile(beside) and beside != path else ""


def _read(path: Path) -> str:
    """Return a file's text; PowerShell's `>` writes UTF-16, old programs end lines with CR."""
    data = read_bytes(path, MAX_BYTES)
    if words := other_file(data[:512]):
        raise UsageError(f"{path} is no log: {words}")
    utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    text = data.decode("utf-16" if utf16 else "utf-8-sig", "replace")
    return text if "\n" in text else text.replace("\r", "\n")


def _is_json(text: str) -> bool:
    """Return whether the whole text is one JSON value; logcat's long format begins with [ too."""
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
