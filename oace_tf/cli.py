"""Command line: a parser whose errors are one line, the folder of data, the processors."""
from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import NoReturn

from oace_tf.errors import UsageError


class Parser(argparse.ArgumentParser):
    """A parser that raises where argparse prints its usage and exits.

    A command parses within `oace_tf.errors.guarded`, which makes the error one line and exit
    code 2. The usage of a command with twenty options would hide what is wrong.

    Raises:
      UsageError: wrong arguments: what is wrong, and the example that closes the help.
    """

    def error(self, message: str) -> NoReturn:
        example = " ".join((self.epilog or "see --help").replace("\\\n", " ").split())
        raise UsageError(f"{message}; {example}")


def data_root(named: Path | None = None) -> Path | None:
    """Return the folder of data: the one named, else the one in OACE_DATA; None without either.

    Raises:
      UsageError: there is no such folder.
    """
    root = named or (Path(os.environ["OACE_DATA"]) if os.environ.get("OACE_DATA") else None)
    if root is not None and not root.is_dir():
        raise UsageError(f"{root}: no such folder; correct OACE_DATA or --data")
    return root


def required_data_root(named: Path | None = None, what: str = "data") -> Path:
    """Return `data_root`, or refuse where there is none; `what` says what is missing.

    Raises:
      UsageError: neither is named, or there is no such folder.
    """
    root = data_root(named)
    if root is None:
        raise UsageError(f"no {what}: set OACE_DATA or give --data DIR")
    return root


def cpu_count() -> int:
    """Return how many processors this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return usable or 1
