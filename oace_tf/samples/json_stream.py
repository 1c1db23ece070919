"""A large JSON object read piece by piece: the elements of its lists, and where each one lies.

Only one element and a buffer are in memory. The text is cut into elements by Python's own decoder,
as Latin-1: then a character is a byte, and offsets are those of the file. Each element is decoded
from its bytes, as UTF-8.
"""
from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from oace_tf.errors import UsageError
from oace_tf.fileio import read_json, strict_json, without_mark

_CHUNK = 2**20
_MOST = 2**25  # bytes of one element: far more is no record of an object
_SAME_WORDS = 2**26  # bytes; a larger file is read in pieces only
_MARK = "\xef\xbb\xbf"  # the byte-order mark of UTF-8, as Latin-1
_SPACE = " \t\r\n"
_BEHIND = ",:]}" + _SPACE  # what may follow a value


def list_elements(path: Path, keys: Collection[str],
                  required: Collection[str] = ()) -> Iterator[tuple[str, Any, int, int]]:
    """Yield the elements of the lists that lie under `keys` of the file's one object.

    Args:
      path: a JSON file that holds an object.
      keys: the keys that are looked at; whatever lies under others is read over.
      required: those of them that must be there.
    Yields:
      (key, element, offset, length): the decoded element and its bytes in the file.
    Raises:
      UsageError: the file cannot be read, is no JSON, holds no object, a key twice, or something
        else than a list under one of `keys`.
    """
    try:
        with path.open("rb") as file:
            yield from _Reader(file).lists(keys, required)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        if path.stat().st_size <= _SAME_WORDS:
            read_json(path, _SAME_WORDS)  # says it in the words of the whole reader
        if isinstance(error, _OtherForm):
            raise UsageError(f"{path} is not a COCO file: expected {error}") from error
        raise UsageError(f"{path} is not valid JSON: {error}") from error


def element_at(file: BinaryIO, offset: int, length: int) -> Any:
    """Return the element that lies at an offset of an open file.

    Raises:
      ValueError: those bytes are no JSON.
    """
    file.seek(offset)
    return strict_json(file.read(length))


class _OtherForm(ValueError):
    """JSON of another form than expected."""


class _Reader:
    """A buffer that slides over the file; `place` is where reading goes on in it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.text = ""
        self.place = 0
        self.start = 0  # of the buffer in the file
        self.decode = json.JSONDecoder().raw_decode

    def lists(self, keys: Collection[str],
              required: Collection[str]) -> Iterator[tuple[str, Any, int, int]]:
        self.fill(_CHUNK)
        without_mark(self.text[:3].encode("latin-1"))  # raises at UTF-16
        self.place += len(_MARK) if self.text.startswith(_MARK) else 0
        if self.peek() in '[-0123456789"tfn':
            self.value()
            raise _OtherForm("an object with images, annotations")
        self.expect("{")
        names: set[str] = set()
        end = self.peek() == "}"
        while not end:
            key = self.value()[0]
            if not isinstance(key, str) or key in names:
                raise ValueError(f"{key!r:.40} is no key, or stands twice")
            names.add(key)
            self.expect(":")
            if key in keys:
                if self.peek() != "[":
                    self.value()
                    raise _OtherForm(f"a list named {key}")
                for element, offset, length in self.elements():
                    yield key, element, offset, length
            else:
                self.value()
            end = self.more("}")
        if not names:
            self.expect("}")
        if self.peek(end_is_good=True):
            raise ValueError(f"something follows the object at byte {self.start + self.place}")
        for key in required:
            if key not in names:
                raise _OtherForm(f"a list named {key}")

    def elements(self) -> Iterator[tuple[Any, int, int]]:
        self.expect("[")
        if self.peek() == "]":
            self.place += 1
            return
        while True:
            yield self.value()
            if self.more("]"):
                return

    def more(self, closing: str) -> bool:
        """Step over a comma, or over what closes: then there is no more."""
        character = self.peek()
        if character not in (",", closing):
            raise ValueError(f"expected , or {closing} at byte {self.start + self.place}")
        self.place += 1
        return character == closing

    def expect(self, sign: str) -> None:
        if self.peek() != sign:
            raise ValueError(f"expected {sign} at byte {self.start + self.place}")
        self.place += 1

    def peek(self, end_is_good: bool = False) -> str:
        """Return the next character that is no space; stay on it."""
        while True:
            while self.place < len(self.text) and self.text[self.place] in _SPACE:
                self.place += 1
            if self.place < len(self.text):
                return self.text[self.place]
            if not self.fill(_CHUNK):
                if end_is_good:
                    return ""
                raise ValueError("the file is cut short")

    def value(self) -> tuple[Any, int, int]:
        """Return the next value with its offset and length in the file."""
        self.peek()
        length = _CHUNK
        while True:
            try:
                _, end = self.decode(self.text, self.place)
                # A number may go on behind the buffer's end, also as 1.5|e7.
                if end < len(self.text) and self.text[end] in _BEHIND:
                    break
            except json.JSONDecodeError:
                if len(self.text) - self.place > _MOST:
                    raise
            if not self.fill(length):
                _, end = self.decode(self.text, self.place)  # raises where it is cut short
                break
            length *= 2
        offset, data = self.start + self.place, self.text[self.place:end].encode("latin-1")
        self.place = end
        return strict_json(data), offset, len(data)

    def fill(self, size: int) -> bool:
        """Drop what was read and append up to `size` bytes; False at the end of the file."""
        data = self.file.read(size)
        self.start += self.place
        self.text = self.text[self.place:] + data.decode("latin-1")
        self.place = 0
        return bool(data)
