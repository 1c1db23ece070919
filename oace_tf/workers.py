"""Workers: a function over tasks in processes, each with its own opened files."""
from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from oace_tf.cli import silence_imports
from oace_tf.errors import OaceError

Task = TypeVar("Task")
Result = TypeVar("Result")

_faults: list[OaceError] = []  # of this worker's setup
_WAITING = 3  # tasks a worker that are handed out ahead: more would only fill the memory


def in_processes(
    function: Callable[[Task], Result], tasks: Iterable[Task], workers: int,
    setup: Callable[..., None], setup_args: Sequence[Any],
) -> Iterator[Result]:
    """Yield `function(task)` of every task, in order; few tasks are under way at a time.

    Args:
      function: a module's function; finds what `setup` has opened in that module.
      tasks: picklable; taken as they are needed.
      workers: processes; with 1, everything runs in this one.
      setup: called once in every process, with `setup_args`.
    Raises:
      OaceError: of `function` or `setup`, whichever process it was raised in.
    """
    if workers <= 1:
        setup(*setup_args)
        yield from map(function, tasks)
        return
    # Not forked: a forked child of a process that has run LiteRT or TensorFlow may hang.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(
        workers, mp_context=context, initializer=_begin, initargs=(setup, tuple(setup_args))
    ) as pool:
        under_way: deque[concurrent.futures.Future[Result]] = deque()
        try:
            for task in tasks:
                under_way.append(pool.submit(_set_up, function, task))
                if len(under_way) >= _WAITING * workers:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:  # after an error or an interrupt nothing more is begun
                future.cancel()


def _begin(setup: Callable[..., None], setup_args: Sequence[Any]) -> None:
    """Set a worker up; an interrupt from the keyboard is left to the process that began it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    silence_imports()
    try:
        setup(*setup_args)
    except OaceError as fault:  # raised here it would only break the pool
        _faults.append(fault)


def _begin_apart() -> None:
    end_with_parent()
    silence_imports()


def _set_up(function: Callable[[Task], Result], task: Task) -> Result:
    """Return `function(task)`, or raise what setting this worker up raised."""
    if _faults:
        raise _faults[0]
    return function(task)


def end_with_parent() -> None:
    """End this worker process when the one that began it is gone.

    A process that is killed cannot shut its workers down, and they would run or wait for ever.
    """
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def apart(function: Callable[..., Result], *args: Any) -> Result:
    """Return `function(*args)`, computed in a process of its own, whose memory is then free."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context, _begin_apart) as pool:
        return pool.submit(function, *args).result()
