"""Keep the lines of libraries off standard error: what is wrong is said in one line, by us.

libpng, libjpeg, LiteRT and others write past Python, to the file descriptor. While one of their
calls runs, the descriptor leads to a temporary file; lines of anybody else are written on
afterwards.
"""
from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

_STDERR = 2
_MOST_KEPT = 2**20  # bytes
_THEIRS = re.compile(rb"lib(?:png|tiff|webp|avif)\b|Corrupt JPEG|Premature end of JPEG|"
                     rb"(?:Invalid|Unsupported|Bogus|Inconsistent|Warning:|JPEG) .*JPEG|JPEG |"
                     rb"Warning: unknown JFIF|Invalid SOS|Unknown (?:Adobe|APP)|"
                     rb"\[ *(?:WARN|ERROR|INFO)[:@]|TIFF|OpenCV|imread|imdecode|"
                     rb"INFO: Created TensorFlow Lite")
_lock = threading.Lock()
_inside = 0
_kept: tuple[int, BinaryIO] | None = None  # the true descriptor, and where it leads meanwhile


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Run calls of libraries without their lines; several threads at once may do so."""
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _inside, _kept
    with _lock:
        _inside += 1
        if _inside > 1:
            return
        try:
            meanwhile = tempfile.TemporaryFile()
            true = os.dup(_STDERR)
            os.dup2(meanwhile.fileno(), _STDERR)
        except OSError:  # there is no standard error, or no room: nothing to keep clean
            _kept = None
        else:
            _kept = true, meanwhile


def _leave() -> None:
    global _inside, _kept
    with _lock:
        _inside -= 1
        if _inside or _kept is None:
            return
        (true, meanwhile), _kept = _kept, None
        os.dup2(true, _STDERR)
        os.close(true)
        with meanwhile:
            meanwhile.seek(0)
            text = meanwhile.read(_MOST_KEPT)
        others = _of_others(text)
        if others:
            os.write(_STDERR, others)


def _of_others(text: bytes) -> bytes:
    """Return the lines that no library wrote; OpenCV's go on as "> ..."."""
    others, is_theirs = [], False
    for line in text.splitlines(keepends=True):
        goes_on = is_theirs and (line.startswith(b">") or not line.strip())
        is_theirs = goes_on or _THEIRS.match(line) is not None
        if not is_theirs:
            others.append(line)
    return b"".join(others)
