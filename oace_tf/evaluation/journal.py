"""Journal of finished photographs, so that an interrupted run goes on where it stopped.

One JSON line each, the first one naming the run: models by SHA-256, settings, version. A journal
of another run is begun anew. A photograph whose files have changed since is measured again. A last
line that was cut off is dropped.
"""
from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from oace_tf import fileio
from oace_tf.errors import UsageError
from oace_tf.evaluation.object_trials import GroupResult, ObjectRecord
from oace_tf.samples.sample import SampleFile


class Journal:
    """The journal of one run. `finished` is filled from the file where there is one.

    Args:
      path: the file; None to keep none.
      run: what names the run; plain values.
    Raises:
      UsageError: the file cannot be written, holds something else than a journal, or another
        process writes it.
    """

    def __init__(self, path: Path | None, run: Mapping[str, Any]) -> None:
        self.path = path
        self.finished: dict[str, GroupResult] = {}
        self._file: TextIO | None = None
        self._rows = 0
        if path is None:
            return
        head = json.dumps(run, sort_keys=True)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = open(path, "a+", encoding="utf-8", errors="replace", newline="\n")
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror or error}; "
                             "name another place") from error
        try:
            fileio.hold(file.fileno(), path)
            self._take_up(file, head, run)
        except BaseException:
            with suppress(OSError):  # a full disk, which is being told
                file.close()
            raise
        self._file = file

    def _take_up(self, file: TextIO, head: str, run: Mapping[str, Any]) -> None:
        """Read the rows of this run; leave in the file its head and them."""
        file.seek(0)
        lines = file.read().splitlines(keepends=True)
        is_begun = len(lines) == 1 and head.startswith(lines[0])  # by a run that got no further
        if lines and not is_begun and not _is_head(lines[0], run):
            raise UsageError(f"{self.path} is there, and is no journal of this command; name "
                             "another file, or remove it")
        kept = 0  # bytes
        if lines and lines[0] == f"{head}\n":
            kept = len(lines[0])  # JSON of this journal is ASCII
            for line in lines[1:]:
                if not line.endswith("\n") or not line.isascii():
                    break  # cut off while it was written, or not written here
                try:
                    row = json.loads(line)
                    records = [ObjectRecord.from_json(record) for record in row["records"]]
                    result = GroupResult(records, row["left_out"], *row["seconds"])
                    self.finished[row["key"]] = result
                except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                    break  # damaged
                kept += len(line)
                self._rows += 1
        try:
            file.truncate(kept)
            if not kept:
                file.write(f"{head}\n")
            file.flush()
        except OSError as error:
            raise UsageError(f"cannot write {self.path}: {error.strerror or error}; "
                             "name another place") from error

    def add(self, key: str, result: GroupResult) -> None:
        """Keep the result of one photograph; it is on disk when this returns."""
        if self._file is not None:
            row = {"key": key, "left_out": result.left_out,
                   "seconds": [result.total_s, result.models_s, result.baselines_s],
                   "records": [record.to_json() for record in result.records]}
            try:
                self._file.write(json.dumps(row) + "\n")
                self._file.flush()
            except OSError as error:
                raise UsageError(f"cannot write {self.path}: {error.strerror or error}; free the "
                                 "place; the same command then goes on") from error
            self._rows += 1

    def close(self, done: bool) -> None:
        """Close the file; remove it where the run is done, or where it holds nothing."""
        if self._file is None or self.path is None:
            return
        to_remove = done or not self._rows
        if to_remove:  # while it is held: after that, another run may have begun its own
            with suppress(PermissionError):  # Windows removes no open file
                self.path.unlink(missing_ok=True)
                to_remove = False
        with suppress(OSError):  # a full disk, which was told when the row was written
            self._file.close()
        self._file = None
        if to_remove:
            self.path.unlink(missing_ok=True)


def _is_head(line: str, run: Mapping[str, Any]) -> bool:
    """Return whether a line names a run, this or another one."""
    try:
        head = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(head, dict) and set(head) == set(run)


def key_of(files: Sequence[SampleFile]) -> str:
    """Return what names one photograph and its objects as they are on disk now."""
    stamps = []
    for path in sorted({path for file in files for path in file.files}):
        if path.is_file():
            state = path.stat()
            stamps.append([str(path.resolve()), state.st_size, state.st_mtime_ns])
    name = json.dumps([files[0].dataset, files[0].group, [file.id for file in files], stamps])
    return fileio.sha256_bytes(name.encode())
