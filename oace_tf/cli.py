"""The command line's parser: what is wrong with a call is said in one line, like all else."""
from __future__ import annotations

import argparse
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
