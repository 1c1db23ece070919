"""Worker processes: order, few tasks at a time, errors, nothing begun after one."""
from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from oace_tf.errors import UsageError
from oace_tf.workers import apart, in_processes

_opened: dict[str, int] = {}


def _start(value: int) -> None:
    _opened["value"] = value


def _refuse(why: str) -> None:
    raise UsageError(why)


def _work(task: int) -> tuple[int, int]:
    if task < 0:
        raise UsageError(f"task {task} is bad")
    return task * _opened["value"], os.getpid()


def _tasks(taken: list[int], count: int) -> Iterator[int]:
    for number in range(count):
        taken.append(number)
        yield number


@pytest.mark.parametrize("workers", [1, 2])
def test_in_order_and_lazily(workers: int) -> None:
    taken: list[int] = []
    results = in_processes(_work, _tasks(taken, 40), workers, _start, (3,))
    assert taken == []
    first = next(results)
    assert first[0] == 0 and len(taken) <= 3 * workers
    rest = list(results)
    assert [value for value, _ in rest] == [3 * n for n in range(1, 40)]
    pids = {pid for _, pid in [first, *rest]}
    assert (pids == {os.getpid()}) is (workers == 1)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_setup_passes(workers: int) -> None:
    with pytest.raises(UsageError, match="no such model"):
        list(in_processes(_work, range(5), workers, _refuse, ("no such model",)))


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_passes_and_ends_it(workers: int) -> None:
    taken: list[int] = []
    tasks = (number if number != 13 else -13 for number in _tasks(taken, 1000))
    with pytest.raises(UsageError, match="task -13 is bad"):
        list(in_processes(_work, tasks, workers, _start, (1,)))
    assert len(taken) <= 13 + 3 * workers + 1


def test_no_tasks() -> None:
    assert list(in_processes(_work, [], 0, _start, (1,))) == []


def test_apart() -> None:
    assert apart(os.getpid) != os.getpid()


_KILLED = """
import os, sys
from oace_tf.workers import apart
from tests.oace_tf.test_workers import sleep_for
if __name__ == "__main__":
    apart(sleep_for, sys.argv[1])
"""


def sleep_for(path: str) -> None:
    Path(path).write_text(str(os.getpid()))
    time.sleep(120)


def test_a_worker_ends_with_a_killed_parent(tmp_path: Path) -> None:
    note, script = tmp_path / "pid", tmp_path / "killed.py"
    script.write_text(_KILLED)
    root = str(Path(__file__).resolve().parents[2])
    parent = subprocess.Popen([sys.executable, str(script), str(note)], cwd=root,
                              env={**os.environ, "PYTHONPATH": root})
    end = time.monotonic() + 60
    while not (note.is_file() and note.read_text()) and time.monotonic() < end:
        time.sleep(0.05)
    worker = int(note.read_text())
    parent.kill()
    parent.wait()
    while Path(f"/proc/{worker}").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}").exists()
