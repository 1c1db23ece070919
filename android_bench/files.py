"""Reading and writing files with the standard library alone; a failure is one `UsageError`."""
from __future__ import annotations

import os
import tempfile
from pathlib import Path

from android_bench.errors import UsageError


def read_bytes(path: Path, max_bytes: int = 2**30) -> bytes:
    """Return a file's bytes.

    Raises:
      UsageError: it is missing, cannot be read, or is larger than `max_bytes`.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    if len(data) > max_bytes:
        raise UsageError(f"{path} is larger than {max_bytes} bytes; it is not the file meant here")
    return data


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file beside its place and rename it there; missing folders are made.

    Raises:
      UsageError: it cannot be written; an earlier file stays as it was.
    """
    beside = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.",
                                         delete=False) as file:
            beside = Path(file.name)
            file.write(data)
        beside.chmod(0o644)  # tempfile makes 0600
        os.replace(beside, path)
        beside = None
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}; free the place or name "
                         "another") from error
    finally:
        if beside is not None:
            beside.unlink(missing_ok=True)
