"""Errors that end a command with one line and an exit code of their own.

Everything else is a bug and keeps its traceback.
"""
from __future__ import annotations

import sys
from collections.abc import Callable


class OaceError(Exception):
    """Base of the errors that a command turns into one line on standard error."""

    exit_code = 1


class UsageError(OaceError):
    """Bad input or a wrong call: says what is wrong with which file and what to do."""

    exit_code = 2


class GateFailed(OaceError):
    """A measured figure is over its budget, or could not be measured."""

    exit_code = 1


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
        message = " ".join(str(error).split())  # one line, whatever a file name contains
        print(f"{prog}: error: {message}", file=sys.stderr)
        return error.exit_code
