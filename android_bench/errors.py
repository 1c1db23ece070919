"""Errors of `android_bench`, each with the exit code that the command ends with.

Behind `oace_tf.errors` is the standard library alone, so the modules that talk to the phone need
nothing but adbutils beside it.
"""
from __future__ import annotations

from oace_tf.errors import OaceError

_MOST_SHOWN = 300  # characters of a line


class NotUnderstood(OaceError):
    """A text that is not what the parser knows: says which line.

    Attributes:
      line: the line, as it stands in the text; empty if it is the text as a whole.
    """

    exit_code = 2

    def __init__(self, what: str, line: str = "") -> None:
        super().__init__(f"{what}: {_shown(line)}" if line else what)
        self.line = line


def _shown(line: str) -> str:
    """Return a line as it is quoted; of what is no text, only that: it could reach a terminal."""
    part = line.strip()[:_MOST_SHOWN]
    odd = sum(not char.isprintable() or char == "\ufffd" for char in part)
    return "(no text, but binary data)" if 5 * odd > len(part) else repr(part)


class DeviceTrouble(OaceError):
    """No device, several, unauthorised, offline, full, lost: says which and the remedy.

    Attributes:
      kind: one word: none, several, unauthorized, offline, permission, full, lost, frozen, refused,
        health, server, abi or damaged.
    """

    exit_code = 3

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class LinkLost(DeviceTrouble):
    """The link to the device broke or did not answer in time; what was asked may be repeated."""

    def __init__(self, message: str, kind: str = "lost") -> None:
        super().__init__(kind, message)
