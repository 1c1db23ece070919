"""Blocks of a Markdown file that commands write: between <!-- NAME:begin --> and its end."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from oace_tf import fileio
from oace_tf.errors import GateFailed, UsageError


def with_block(text: str, name: str, body: str, where: str) -> str:
    """Return the text with `body` between the markers of `name`.

    Raises:
      UsageError: the markers are not there exactly once, in order; `where` names the file.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, marker, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not marker or not closed or begin in rest or end in after:
        raise UsageError(f"{where} must hold {begin} and {end}, in this order and once")
    return f"{before}{begin}\n{body}\n{end}{after}"


def with_blocks(path: Path, bodies: Mapping[str, str]) -> str:
    """Return a file's text with each block's body replaced.

    Raises:
      UsageError: the file cannot be read, or lacks a block.
    """
    text = fileio.read_bytes(path).decode("utf-8")
    for name, body in bodies.items():
        text = with_block(text, name, body, str(path))
    return text


def write_blocks(path: Path, bodies: Mapping[str, str]) -> None:
    """Write the blocks into the file.

    Raises:
      UsageError: as `with_blocks`, or it cannot be written.
    """
    fileio.atomic_write(path, with_blocks(path, bodies).encode("utf-8"))


def check_blocks(path: Path, bodies: Mapping[str, str], remedy: str) -> None:
    """Raise GateFailed unless the file holds these blocks.

    Args:
      remedy: the command that writes them.
    """
    text = fileio.read_bytes(path).decode("utf-8")
    for name, body in bodies.items():
        if with_block(text, name, body, str(path)) != text:
            raise GateFailed(f"the part {name!r} of {path} is not current; run {remedy}")
