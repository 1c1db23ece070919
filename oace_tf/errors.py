"""Errors that end a command with one line and an exit code of their own.

Everything else is a bug and keeps its traceback.
"""
from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

_LONGEST = 1200  # characters of a message
_PIPE_CLOSED = 141  # as shells count an end by SIGPIPE
# What the file system answers to a name, a right or a place that is wanting -> what to do.
_REMEDIES = {
    **dict.fromkeys((errno.EACCES, errno.EPERM), "change its permissions or name another place"),
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "free some room or name another "
                    "place"),
    errno.EROFS: "name another place", errno.ENAMETOOLONG: "give it a shorter name",
    errno.ENOTDIR: "correct the path", errno.ELOOP: "correct the link",
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "raise the limit of open files: ulimit -n"),
    **dict.fromkeys((errno.EIO, errno.ESTALE), "check the disk or the network drive"),
}
_ASCII_SPACE = re.compile(r"[ \t\n\r\f\v]+")
_OF_READING = {errno.ENOENT: "correct its name, or put it there", errno.EISDIR: "name a file"}


class OaceError(Exception):
    """Base of the errors that a command turns into one line on standard error."""

    exit_code = 1


class UsageError(OaceError):
    """Bad input or a wrong call: says what is wrong with which file and what to do."""

    exit_code = 2


class GateFailed(OaceError):
    """A measured figure is over its budget, or could not be measured."""

    exit_code = 1


class MissedTapWarning(UserWarning):
    """A mask does not follow its gesture: a tap on the object lies outside it, say."""


def guarded(run: Callable[[], int], prog: str) -> int:
    """Return the exit code of `run`, with an `OaceError` turned into one line on standard error.

    So is what the file system refuses: a name that is too long, a missing permission, a full disk.

    Args:
      run: the command; gives back its exit code.
      prog: the command's name, put before the message.
    Returns:
      What `run` gives back, or the `exit_code` of the `OaceError` it raised; 141 where nobody reads
      standard output any more. Any other error passes through with its traceback.
    """
    try:
        code = run()
        if sys.stdout is not None and not sys.stdout.closed:
            sys.stdout.flush()  # here a full disk or a closed pipe can still be told
        return code
    except OaceError as error:
        told = error
    except BrokenPipeError:
        _drop_output()
        return _PIPE_CLOSED
    except OSError as error:
        refused = refused_by_system(error)
        if refused is None:
            raise
        if error.filename is None:  # standard output, it may be, which is flushed again at the end
            _drop_output()
        told = refused
    print(f"{prog}: error: {one_line(str(told))}", file=sys.stderr)
    return told.exit_code


def refused_by_system(error: OSError) -> UsageError | None:
    """Return in words what the file system refuses, and the remedy; None for another error."""
    if error.errno not in _REMEDIES:
        return None
    named = isinstance(error.filename, (str, bytes))  # else nothing, or the number of an open file
    where = os.fsdecode(error.filename) if named else "cannot write"
    return UsageError(f"{where}: {error.strerror}; {_REMEDIES[error.errno]}")


def remedy_for(error: Exception) -> str:
    """Return what to do about a file that cannot be read; empty where nothing is known."""
    number = error.errno if isinstance(error, OSError) else None
    return _REMEDIES.get(number, _OF_READING.get(number, "")) if number is not None else ""


def _drop_output() -> None:
    """Let what is still held for standard output go nowhere: it cannot be written."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError, AttributeError):  # no real file, as in a test
        return


def install_line(extra: str) -> str:
    """Return the line that installs this package with an extra ("": none): here, or in a checkout.

    In a checkout it has the versions of `constraints.txt` and leaves the package where it lies.
    """
    root = Path(__file__).resolve().parents[1]
    with_extra = f"[{extra}]" if extra else ""
    if (root / "constraints.txt").is_file() and (root / "setup.cfg").is_file():
        return f"pip install -c constraints.txt -e '.{with_extra}'"
    return f"pip install 'oace-tf{with_extra}'"


def one_line(text: str) -> str:
    """Return a message as one printable line of bounded length, whatever a file name contains.

    The end is kept where it is cut: the remedy stands there.
    """
    line = printable(_ASCII_SPACE.sub(" ", text).strip())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST // 2]} … " + (
        line[-_LONGEST // 2:])


def quoted(text: str, most: int = 80) -> str:
    """Return what a message quotes: printable, and cut where it is longer than `most`."""
    return printable(text if len(text) <= most else f"{text[:most]}…")


def printable(text: str) -> str:
    """Return the text with an escape (such as \\u200e) for each character that cannot be seen."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode(
        "unicode_escape", "surrogatepass").decode("ascii") for char in text)
