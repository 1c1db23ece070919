"""Files: atomic writing, SHA-256, strict JSON with a size cap; the standard library alone.

Whatever is wrong with a file becomes one `UsageError` that names it.
"""
from __future__ import annotations

import codecs
import hashlib
import json
import math
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from oace_tf.errors import UsageError, remedy_for
from oace_tf.other_files import other_file

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

PathLike = str | os.PathLike[str]

JSON_MAX_BYTES = 16 * 2**20
_CHUNK = 2**20
_LONGEST_PREFIX = 200  # bytes of a name, of 255 that file systems take
_LEFTOVER = re.compile(r"\..+\.[a-z0-9]+\.[a-z0-9_]{8}")  # .NAME.SUFFIX.RANDOM of tempfile


def atomic_write(path: PathLike, data: bytes | Callable[[BinaryIO], None]) -> None:
    """Write a file beside its place and rename it there; missing folders are made.

    A failure, of whatever kind, leaves an earlier file as it was and nothing half-written.

    Args:
      path: where the file shall be.
      data: its bytes, or a function that writes them to the open file it is given.
    Raises:
      UsageError: the file cannot be written there.
    """
    path = Path(path)
    if os.path.exists(path) and not path.is_file():
        raise UsageError(f"cannot write {path}: it is not a regular file; name another place")
    beside = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{_end_of(path.name)}.",
                                         delete=False) as file:
            beside = file.name
            if callable(data):
                data(file)  # type: ignore[arg-type]  # a wrapper of typeshed, a BinaryIO in truth
            else:
                file.write(data)
            file.flush()
            os.fchmod(file.fileno(), 0o644)  # tempfile makes 0600
            os.fsync(file.fileno())
        os.replace(beside, path)
        beside = None
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}; "
                         "free the place or name another") from error
    finally:
        if beside is not None:
            Path(beside).unlink(missing_ok=True)


def refuse_overwriting(outputs: Iterable[PathLike | None], inputs: Iterable[PathLike | None]
                       ) -> None:
    """Refuse to write a file over one that is read, or two files into one place.

    Args:
      outputs: files to be written; None where one is not asked for.
      inputs: files that are read; None as well.
    Raises:
      UsageError: an output is an input, whatever it is called, or two outputs are one file.
    """
    wanted = [Path(path) for path in outputs if path is not None]
    places = [os.path.realpath(path) for path in wanted]
    for path, place in zip(wanted, places):
        if places.count(place) > 1:
            raise UsageError(f"{path} is to hold two outputs; name a file for each")
    known = {identity(path): path for path in wanted if os.path.isfile(path)}
    for read in (path for path in inputs if path is not None and known):
        if os.path.isfile(read) and (written := known.get(identity(read))) is not None:
            raise UsageError(f"{written} is to be written, but is read too ({read}); name another "
                             "place for the output")


def identity(path: PathLike) -> tuple[int, int]:
    """Return what is one file's alone, whatever names it goes by; the file is there."""
    state = os.stat(path)
    return state.st_dev, state.st_ino


def _end_of(name: str) -> str:
    """Return a name cut such that one made of it is a file name still; the suffix is kept."""
    return os.fsdecode(os.fsencode(name)[-_LONGEST_PREFIX:])


def make_folder(path: PathLike) -> None:
    """Make a folder and those above it, where they are missing.

    Raises:
      UsageError: it cannot be made there.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write into {path}: {error.strerror}; "
                         "name another folder") from error


@contextmanager
def writing_alone(folder: PathLike) -> Iterator[None]:
    """Hold a folder, which is there, while one process writes a run into it.

    Where the file system knows no locks, nothing is held.

    Raises:
      UsageError: another process holds it.
    """
    try:
        place = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise _unreadable(folder, error) from error
    try:
        hold(place, folder, "folder")
        yield
    finally:
        os.close(place)  # and lets go of it


def hold(descriptor: int, path: PathLike, kind: str = "file") -> None:
    """Hold an open file or folder until it is closed; one process can.

    Where the file system knows no locks, nothing is held.

    Args:
      descriptor: of the open file.
      path: its name, for the message.
      kind: "file" or "folder".
    Raises:
      UsageError: another process holds it.
    """
    if fcntl is None:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        there = "there" if kind == "folder" else "it"
        raise UsageError(f"{path}: another run is writing {there}; wait for its end, or name "
                         f"another {kind}") from None
    except OSError:
        pass


def sha256_bytes(data: bytes) -> str:
    """Return the SHA-256 of the bytes, 64 hexadecimal digits in lower case."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: PathLike) -> str:
    """Return the SHA-256 of a file's bytes, 64 hexadecimal digits in lower case.

    Raises:
      UsageError: the file is missing or cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    return digest.hexdigest()


def read_bytes(path: PathLike, max_bytes: int | None = None) -> bytes:
    """Return a file's bytes.

    Args:
      max_bytes: refuse larger files; None for no limit.
    Raises:
      UsageError: the file is missing, cannot be read, or is too large.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(-1 if max_bytes is None else max_bytes + 1)
    except (OSError, ValueError) as error:  # the latter at a name that no file can have
        raise _unreadable(path, error) from error
    if max_bytes is not None and len(data) > max_bytes:
        raise UsageError(f"{path} is larger than {max_bytes} bytes; it is not the file meant here")
    return data


def read_start(path: PathLike, count: int = 512) -> bytes:
    """Return the first bytes of a file.

    Raises:
      UsageError: the file is missing or cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read(count)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def read_json(path: PathLike, max_bytes: int = JSON_MAX_BYTES) -> Any:
    """Return what a JSON file holds: strict, finite numbers only, every key once.

    Raises:
      UsageError: the file is missing, too large, not UTF-8, not JSON, has a key twice in one
        object, or a number that is not finite.
    """
    text = read_bytes(path, max_bytes)
    try:
        return strict_json(without_mark(text))
    except (ValueError, RecursionError) as error:  # a UnicodeDecodeError is a ValueError too
        words = other_file(text)
        raise UsageError(f"{path} is not valid JSON: {words or error}") from error


def without_mark(text: bytes) -> bytes:
    """Return a file's text without the byte-order mark of UTF-8.

    Raises:
      ValueError: it is UTF-16.
    """
    if text.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError("it is UTF-16; save it as UTF-8")
    return text.removeprefix(codecs.BOM_UTF8)


def clear_leftovers(folder: PathLike, older_than_s: float = 0.0) -> None:
    """Remove what writes that were killed have left half-written in a folder.

    Args:
      folder: where `atomic_write` wrote; nobody writes there now.
      older_than_s: leave younger ones.
    """
    now = time.time()
    for path in Path(folder).glob(".*"):
        try:
            if _LEFTOVER.fullmatch(path.name) and now - path.stat().st_mtime >= older_than_s:
                path.unlink()
        except OSError:
            continue


def strict_json(text: bytes) -> Any:
    """Return what UTF-8 text holds: strict JSON, as in `read_json`.

    Raises:
      ValueError: it is not that.
    """
    return json.loads(text.decode("utf-8"), object_pairs_hook=_unique_keys,
                      parse_constant=_refuse_constant, parse_float=_finite_float)


def write_json(path: PathLike, value: Any) -> None:
    """Write a value as JSON, indented, in the order of its keys, atomically.

    Raises:
      UsageError: the file cannot be written, or a text of it is no UTF-8.
      ValueError: a number is not finite.
    """
    atomic_write(path, json_bytes(path, value, indent=2))


def json_bytes(path: PathLike, value: Any, **form: Any) -> bytes:
    """Return a value as JSON in UTF-8, with a line end; `path` is for the message.

    Args:
      form: as `json.dumps` takes it.
    Raises:
      UsageError: a text of it (a file's name, for one) has bytes that are no UTF-8.
      ValueError: a number is not finite.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, **form)
    try:
        return text.encode("utf-8") + b"\n"
    except UnicodeEncodeError as error:
        near = text[max(error.start - 40, 0):error.end].rpartition('"')[2]
        raise UsageError(f"cannot write {path}: the name …{near} has bytes that are no UTF-8, "
                         "which JSON cannot hold; rename it") from error


def _unreadable(path: PathLike, error: OSError | ValueError) -> UsageError:
    remedy = remedy_for(error)
    return UsageError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}"
                      + (f"; {remedy}" if remedy else ""))


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return content


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large a number")
    return value
