"""Worker processes: order, few items at a time, a state each, errors, interrupts."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from oace_tf.errors import UsageError
from oace_tf.workers import Pool, apart, pool_size


def _factor(value: int) -> int:
    return value


def _refuse(why: str) -> int:
    raise UsageError(why)


def _break(why: str) -> int:
    raise RuntimeError(why)


def _work(factor: int, item: int) -> tuple[int, int]:
    if item < 0:
        raise UsageError(f"item {item} is bad")
    return item * factor, os.getpid()


def _interrupted(factor: int, item: int) -> int:
    os.kill(os.getpid(), signal.SIGINT)
    return factor * item


def _items(taken: list[int], count: int) -> Iterator[int]:
    for number in range(count):
        taken.append(number)
        yield number


@pytest.mark.parametrize("processes", [0, 1, 2])
def test_in_order_and_lazily(processes: int) -> None:
    taken: list[int] = []
    pool = Pool(processes=processes, setup=_factor, setup_args=(3,))
    results = pool.map(_work, _items(taken, 40))
    assert taken == []
    first = next(results)
    assert first[0] == 0 and len(taken) <= 2 * processes + 1
    rest = list(results)
    assert [value for value, _ in rest] == [3 * n for n in range(1, 40)]
    pids = {pid for _, pid in [first, *rest]}
    assert (pids == {os.getpid()}) is (processes == 0) and len(pids) <= max(processes, 1)


@pytest.mark.parametrize("processes", [0, 2])
def test_each_pool_has_a_state_of_its_own(processes: int) -> None:
    one, other = (Pool(processes=processes, setup=_factor, setup_args=(value,)).map(_work, [1, 2])
                  for value in (3, 5))
    assert [next(one)[0], next(other)[0], next(one)[0], next(other)[0]] == [3, 5, 6, 10]


@pytest.mark.parametrize("processes", [0, 2])
@pytest.mark.parametrize("setup, error", [(_refuse, UsageError), (_break, RuntimeError)])
def test_an_error_of_the_setup_passes(processes: int, setup: Callable[[str], int],
                                      error: type[Exception]) -> None:
    pool = Pool(processes=processes, setup=setup, setup_args=("no such model",))
    with pytest.raises(error, match="no such model"):
        list(pool.map(_work, range(5)))


@pytest.mark.parametrize("processes", [0, 2])
def test_an_error_passes_and_ends_it(processes: int) -> None:
    taken: list[int] = []
    items = (number if number != 13 else -13 for number in _items(taken, 1000))
    with pytest.raises(UsageError, match="item -13 is bad"):
        list(Pool(processes=processes, setup=_factor, setup_args=(1,)).map(_work, items))
    assert len(taken) <= 13 + 2 * processes + 1


class _Wide(UsageError):
    """An error whose constructor takes several values, as `DeviceTrouble` does."""

    exit_code = 3

    def __init__(self, kind: str, message: str, *, place: int) -> None:
        super().__init__(f"{message} at {place}")
        self.kind, self.place = kind, place


class _Unpicklable(UsageError):
    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.held = threading.Lock()


def _raise_wide(factor: int, item: int = 0) -> int:
    raise _Wide("lost", "the file is cut", place=factor + item)


def _raise_unpicklable(factor: int, item: int = 0) -> int:
    raise _Unpicklable("it holds a lock")


def _raise_bug(factor: int, item: int = 0) -> int:
    class Local(ValueError):
        pass

    raise Local("of a class that nobody else knows")


def _bad_bytes(factor: int, item: int = 0) -> int:
    return len(b"\xff".decode("utf-8"))


@pytest.mark.parametrize("processes", [0, 2])
def test_an_error_of_several_values_passes_whole(processes: int) -> None:
    for setup, task in ((_factor, _raise_wide), (_raise_wide, _work)):
        with pytest.raises(_Wide) as caught:
            list(Pool(processes=processes, setup=setup, setup_args=(3,)).map(task, [4, 4]))
        error = caught.value
        assert (error.kind, error.exit_code) == ("lost", 3)
        assert str(error) == f"the file is cut at {error.place}"


@pytest.mark.parametrize(("task", "kind", "words"), [
    (_raise_unpicklable, UsageError, "^it holds a lock$"),
    (_raise_bug, RuntimeError, "Local: of a class that nobody else knows"),
    (_bad_bytes, UnicodeDecodeError, "invalid start byte")])
def test_errors_that_cannot_be_pickled_pass_in_words(
        task: Callable[..., int], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words) as caught:
        list(Pool(processes=1, setup=_factor, setup_args=(1,)).map(task, [1]))
    assert f"in {task.__name__}" in str(caught.value.__cause__)  # where in the worker
    with pytest.raises(kind, match=words):
        apart(task, 1)


def test_apart_passes_errors_of_several_values() -> None:
    with pytest.raises(_Wide, match="the file is cut at 5"):
        apart(_raise_wide, 5)


def test_an_interrupt_is_left_to_the_parent() -> None:
    pool = Pool(processes=1, setup=_factor, setup_args=(2,))
    assert list(pool.map(_interrupted, range(3))) == [0, 2, 4]


def test_no_items() -> None:
    for processes in (0, 1):
        assert list(Pool(processes=processes, setup=_factor, setup_args=(1,)).map(_work, [])) == []


def test_no_process_is_begun_for_one_worker_or_one_item() -> None:
    assert [pool_size(workers, 5) for workers in (0, 1, 2, 9)] == [0, 0, 2, 5]
    assert [pool_size(4, items) for items in (0, 1, 2)] == [0, 0, 2]


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
