"""Errors of `android_bench`, each with the exit code that the command ends with.

Imports nothing, so that the modules that talk to the phone need the standard library and adbutils
alone.
"""
from __future__ import annotations


class BenchError(Exception):
    """Base: becomes one line on standard error and an exit code."""

    exit_code = 1


class UsageError(BenchError):
    """A wrong call or bad input file: says what is wrong and what to do."""

    exit_code = 2


class NotUnderstood(BenchError):
    """A text that is not what the parser knows: says which line.

    Attributes:
      line: the line, as it stands in the text; empty if it is the text as a whole.
    """

    exit_code = 2

    def __init__(self, what: str, line: str = "") -> None:
        super().__init__(f"{what}: {line.strip()[:300]!r}" if line else what)
        self.line = line


class DeviceTrouble(BenchError):
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
