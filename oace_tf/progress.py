"""Progress of long work: a bar on a terminal, a line every 20 seconds elsewhere."""
from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any, TypeVar

Item = TypeVar("Item")
EVERY_S = 20.0  # between two lines


class Progress:
    """How far some work is, shown on standard error.

    On a terminal it is tqdm's bar, where tqdm is installed. In a pipe, a file or a log it is a line
    every `EVERY_S` seconds and one at the end: work that is shorter leaves none.

    Args:
      total: units of work in all; None where that is not known.
      text: what is done.
      unit: what is counted, in the singular.
      initial: units that were done before.
      leave: keep the bar on the terminal after the end.
      clock: seconds.
    """

    def __init__(self, total: int | None, text: str, unit: str, initial: int = 0,
                 leave: bool = True, clock: Callable[[], float] = time.monotonic) -> None:
        self._total, self._text, self._unit = total, text, unit
        self._first = self._count = initial
        self._note, self._clock = "", clock
        self._began = self._shown = clock()
        self._lines = 0
        self._bar = _bar(total, text, unit, initial, leave)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()
        elif self._lines and error[0] is None:
            self._line()

    def update(self, count: int = 1) -> None:
        """Count units that are done."""
        self._count += count
        if self._bar is not None:
            self._bar.update(count)
        elif self._clock() - self._shown >= EVERY_S:
            self._line()

    def describe(self, text: str) -> None:
        """Change what is done."""
        self._text = text
        if self._bar is not None:
            self._bar.set_description(text, refresh=False)

    def note(self, text: str) -> None:
        """Change what stands behind the count, such as the loss."""
        self._note = text
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)

    def _line(self) -> None:
        now = self._clock()
        gone, done = now - self._began, self._count - self._first
        units = self._unit + ("es" if self._unit.endswith("ch") else "s")
        parts = [f"{self._count} {units}"]
        if self._total:
            parts = [f"{self._count} of {self._total} {units} "
                     f"({100 * self._count / self._total:.0f} %)"]
        parts.append(f"{_minutes(gone)} gone")
        if self._total and done and self._count < self._total:
            parts.append(f"about {_minutes(gone / done * (self._total - self._count))} to go")
        if self._note:
            parts.append(self._note)
        print(f"{self._text}: " if self._text else "", ", ".join(parts), sep="", file=sys.stderr,
              flush=True)
        self._shown, self._lines = now, self._lines + 1


def progress(items: Iterable[Item], text: str, unit: str, total: int | None = None,
             leave: bool = False) -> Iterator[Item]:
    """Yield the items and show how far they are; `total` defaults to their number."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with Progress(total, text, unit, leave=leave) as bar:
        for item in items:
            yield item
            bar.update()


def _bar(total: int | None, text: str, unit: str, initial: int, leave: bool) -> Any:
    if not sys.stderr.isatty():
        return None
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(total=total, desc=text or None, unit=unit, initial=initial, leave=leave)


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
