"""Replay of a saved log without a phone: `NAME.stdout.txt` with companions, or one merged log."""
from __future__ import annotations

from pathlib import Path

from android_bench.device.adb_messages import in_words
from android_bench.errors import DeviceTrouble, LinkLost
from android_bench.log.parse import TRUNCATED, Record, parse_log
from android_bench.verdict import Budgets, Row, from_record, judge
from oace_tf.errors import UsageError
from oace_tf.fileio import read_bytes

MAX_BYTES = 64 * 2**20
_STDOUT = ".stdout.txt"


def read_log(path: Path) -> Record:
    """Return the record of a saved log.

    Args:
      path: `NAME.stdout.txt`, which takes `NAME.stderr.txt`, `NAME.rc` and `NAME.cmd` along where
        they are there; any other file is a merged log and takes `.rc` and `.cmd` along.
    Raises:
      UsageError: a file cannot be read, or `NAME.rc` holds no number.
      NotUnderstood: the text is not understood; shows the line.
    """
    if path.name.endswith(_STDOUT):
        stem = path.name[:-len(_STDOUT)]
        stderr = _companion(path, stem + ".stderr.txt")
    else:
        stem, stderr = path.stem, ""
    text = _read(path)
    code = _companion(path, stem + ".rc").strip()
    if code and not code.lstrip("-").isdigit():
        raise UsageError(f"{path.with_name(stem + '.rc')} holds no exit code: {code[:40]!r}")
    return parse_log(text, stderr, int(code) if code else None, _companion(path, stem + ".cmd"))


def replay(path: Path, budgets: Budgets) -> Row:
    """Return the row of a saved log.

    Raises:
      UsageError, NotUnderstood: as `read_log`.
      LinkLost: the log is cut off before its results.
      DeviceTrouble: the text is adb's own message about the device.
    """
    record = read_log(path)
    if record.trouble:
        raise DeviceTrouble(record.trouble, f"{path}: {record.reason}")
    if record.outcome == TRUNCATED:
        raise LinkLost(f"{path}: {in_words('lost', record.reason)}")
    parameters = dict(record.parameters)
    threads = parameters.get("Num threads", "")
    unit = ", ".join(record.delegation.requested) or "cpu"
    return judge(path.name, [from_record(record)], budgets, unit=unit,
                 model=parameters.get("Graph", ""),
                 threads=int(threads) if threads.isdigit() else 0)


def _companion(path: Path, name: str) -> str:
    beside = path.with_name(name)
    return _read(beside) if beside.is_file() and beside != path else ""


def _read(path: Path) -> str:
    """Return a file's text; PowerShell's `>` writes UTF-16."""
    data = read_bytes(path, MAX_BYTES)
    utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    return data.decode("utf-16" if utf16 else "utf-8-sig", "replace")
