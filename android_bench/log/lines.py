"""Captured text -> lines with level and message, whatever was written around the message.

Knows plain output, CR LF of a pty, logcat (all its formats but raw, which is plain; with years,
zones, user ids, seconds since 1970, colours; Android Studio's two), glog, and the Python logging of
LiteRT's tool. Pure functions over text.
"""
from __future__ import annotations

import re
from dataclasses import dataclass

_LEVELS = {"V": "VERBOSE", "D": "DEBUG", "I": "INFO", "W": "WARN", "E": "ERROR", "F": "FATAL",
           "WARNING": "WARN"}
_TIME = r"(?:(?:[0-9]{4}-)?[0-9]{2}-[0-9]{2} [0-9:]{8}| *[0-9]+)\.[0-9]{3,9}(?: [+-][0-9]{4})?"
_LETTER = r"([VDIWEF])"
_THREADTIME = re.compile(rf"{_TIME}(?: +[\w-]+)? +\d+ +\d+ {_LETTER} (\S[^:]*?) *: ?(.*)")
_TIMED = re.compile(rf"{_TIME} +{_LETTER}/([^(]*?) *\( *\d+\): ?(.*)")
_STUDIO_OLD = re.compile(rf"{_TIME} +\d+-\d+/\S+ {_LETTER}/(.*?): ?(.*)")
_STUDIO = re.compile(rf"{_TIME} +\d+-\d+ +(\S+) +\S+ +{_LETTER} +(.*)")
_THREAD = re.compile(rf"{_LETTER}\( *\d+: *\d+\) (.*)")
_LONG = re.compile(rf"\[ {_TIME} +(?:[\w-]+: *)?\d+: *\d+ {_LETTER}/(.*?) *\]")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_BRIEF = re.compile(r"([VDIWEF])/([\w.-]+) *(?:\( *\d+\))?: ?(.*)")
_PROCESS = re.compile(r"([VDIWEF])\( *\d+\) (.*?)  \(([\w.-]+)\)")
_BUFFER_START = re.compile(r"--------- beginning of \w+")
_PYTHON_LOG = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (\w+) benchmark_litert_model: (.*)")
_GLOG = re.compile(r"(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: ([IWEF]) |"
                   r"([IWEF])\d{4} [\d:.]+ +\d+ )([\w./\\]+:\d+\]) ?(.*)")
_PREFIX = re.compile(r"(INFO|WARN|WARNING|ERROR|FATAL|VERBOSE): ?(.*)")
_SOURCE = re.compile(r"\[([\w./\\]+\.(?:cc|h|cpp)):\d+\] ?(.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line: its level (empty if it has none), message, source file or tag, and the raw text.

    `layout` is plain, logcat, python or glog; `ended` is False for a last line without line end,
    which may be cut.
    """

    level: str
    message: str
    source: str
    layout: str
    raw: str
    ended: bool = True


@dataclass(frozen=True, slots=True)
class Text:
    """All lines of a log in the order they were given, and how they were laid out."""

    lines: tuple[Line, ...]
    layout: str


def read_text(stdout: str, stderr: str = "") -> Text:
    """Return the lines of a log.

    A message that stands both plainly and in logcat form (the Android log library prints to both)
    is kept once, as the plain line.

    Args:
      stdout: standard output, or the whole of a merged log.
      stderr: standard error, if it was kept apart.
    """
    lines = [*_lines(stdout), *_lines(stderr)]
    plain = {line.message for line in lines if line.layout != "logcat"}
    logcat = [line for line in lines if line.layout == "logcat"]
    if logcat and len(logcat) < len(lines):
        lines = [line for line in lines if line.layout != "logcat" or line.message not in plain]
    if logcat:
        layout = "logcat"
    elif _mostly_cr(stdout):
        layout = "pty-crlf"
    else:
        layout = "separate" if stderr.strip() else "merged"
    return Text(tuple(lines), layout)


def _lines(text: str) -> list[Line]:
    pieces = text.split("\n")
    last = pieces.pop()
    lines: list[Line] = []
    head: re.Match[str] | None = None  # of logcat's long format: the message follows on its own
    for piece, ended in [*((piece, True) for piece in pieces), (last, False)]:
        raw = _COLOUR.sub("", piece.rstrip("\r"))
        if not ended and not raw.strip():
            continue
        start = _LONG.fullmatch(raw)
        if start is not None:
            head = start
            lines.append(Line(level="", message="", source="", layout="logcat", raw=raw,
                              ended=ended))
        elif head is not None and raw:
            lines.append(_inner(raw, _LEVELS[head[1]], head[2], "logcat", raw, ended))
        else:
            head = None
            lines.append(_line(raw, ended))
    return lines


def _line(raw: str, ended: bool) -> Line:
    match = _THREADTIME.match(raw)
    if match:
        return _inner(match[3], _LEVELS[match[1]], match[2], "logcat", raw, ended)
    match = _TIMED.match(raw) or _STUDIO_OLD.match(raw)
    if match:
        return _inner(match[3], _LEVELS[match[1]], match[2], "logcat", raw, ended)
    match = _STUDIO.match(raw)
    if match:
        return _inner(match[3], _LEVELS[match[2]], match[1], "logcat", raw, ended)
    match = _THREAD.match(raw)
    if match:
        return _inner(match[2], _LEVELS[match[1]], "", "logcat", raw, ended)
    match = _BRIEF.match(raw)
    if match:
        return _inner(match[3], _LEVELS[match[1]], match[2], "logcat", raw, ended)
    match = _PROCESS.fullmatch(raw)
    if match:
        return _inner(match[2], _LEVELS[match[1]], match[3], "logcat", raw, ended)
    if _BUFFER_START.fullmatch(raw):
        return Line(level="", message="", source="", layout="logcat", raw=raw, ended=ended)
    match = _PYTHON_LOG.match(raw)
    if match:
        level = _LEVELS.get(match[1], match[1])
        return Line(level=level, message=match[2], source="benchmark_litert_model", layout="python",
                    raw=raw, ended=ended)
    match = _GLOG.match(raw)
    if match:
        return Line(level=_LEVELS[match[1] or match[2]], message=match[4], source=match[3],
                    layout="glog", raw=raw, ended=ended)
    return _inner(raw, "", "", "plain", raw, ended)


def _inner(text: str, level: str, source: str, layout: str, raw: str, ended: bool) -> Line:
    """Return the line with the program's own prefixes taken off the message."""
    match = _PREFIX.match(text)
    if match:
        level, text = _LEVELS.get(match[1], match[1]), match[2]
    match = _SOURCE.match(text)
    if match:
        source, text = match[1], match[2]
    return Line(level=level, message=text.strip(), source=source, layout=layout, raw=raw,
                ended=ended)


def _mostly_cr(text: str) -> bool:
    count = text.count("\n")
    return count > 0 and text.count("\r\n") > count / 2
