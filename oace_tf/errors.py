"""Errors that end a command with one line and an exit code of their own.

Everything else is a bug and keeps its traceback.
"""
from __future__ import annotations

import re
import sys
from collections.abc import Callable

_LONGEST = 1200  # characters of a message
_ASCII_SPACE = re.compile(r"[ \t\n\r\f\v]+")


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

    Args:
      run: the command; gives back its exit code.
      prog: the command's name, put before the message.
    Returns:
      What `run` gives back, or the `exit_code` of the `OaceError` it raised. Any other error
      passes through with its traceback.
    """
    try:
        return run()
    except OaceError as error:
        print(f"{prog}: error: {one_line(str(error))}", file=sys.stderr)
        return error.exit_code


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
