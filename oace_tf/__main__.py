"""Command `oace`: one way in to all commands of the package."""
from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from oace_tf import __version__
from oace_tf.cli import Parser
from oace_tf.errors import guarded

COMMANDS = {  # name: module, what it does
    "predict": ("oace_tf.predict", "cut the tapped object out of a photograph"),
    "demo": ("oace_tf.demo.__main__", "open a local page on which a tap becomes a cutout"),
    "train": ("oace_tf.train", "train a network"),
    "evaluate": ("oace_tf.evaluate", "measure files and weights on labelled sets"),
    "average": ("oace_tf.average_weights", "average the weights of several trainings"),
    "summary": ("oace_tf.summary", "print what the networks cost"),
}
EARLIER = {  # names of before that still work
    "mean": "oace_tf.average_weights",
    "score": "oace_tf.score",
}


def parse_args(argv: Sequence[str] | None, prog: str = "oace") -> argparse.Namespace:
    """Return `command`; UsageError for wrong arguments."""
    width = max(map(len, COMMANDS))
    listing = "\n".join(f"  {name:{width}}  {about}" for name, (_, about) in COMMANDS.items())
    parser = Parser(
        prog=prog, usage="%(prog)s COMMAND ...",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Tap on an object in a photograph and get its cutout.\n\n"
        f"commands:\n{listing}\n\n`%(prog)s COMMAND --help` tells more.",
        epilog="example: %(prog)s predict photo.jpg --tap 240,310 -o cutout.png")
    parser.add_argument("--version", action="version", version=f"oace-tf {__version__}")
    parser.add_argument("command", metavar="COMMAND", choices=(*COMMANDS, *EARLIER),
                        help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    name = Path(sys.argv[0]).stem
    prog = "oace" if name == "oace" else "python -m oace_tf"

    def dispatch() -> int:
        # Only the first word is ours: what follows, --help too, is the command's.
        args = parse_args(words[:1], prog)
        module = COMMANDS[args.command][0] if args.command in COMMANDS else EARLIER[args.command]
        return int(importlib.import_module(module).main(words[1:], f"{prog} {args.command}"))

    return guarded(dispatch, prog)


if __name__ == "__main__":
    raise SystemExit(main())
