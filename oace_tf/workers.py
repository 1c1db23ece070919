"""Workers: a task over many items in processes, each with a state of its own."""
from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from oace_tf.cli import silence_imports
from oace_tf.errors import GateFailed, OaceError, UsageError

State = TypeVar("State")
Item = TypeVar("Item")
Result = TypeVar("Result")
_PLAIN = (UsageError, GateFailed, OaceError, MemoryError)  # of a text alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool(Generic[State]):
    """Worker processes, each with the state that `setup(*setup_args)` returns in it.

    Where `processes` is 0, this process does the work, with a state of its own.
    """

    processes: int
    setup: Callable[..., State]  # a module's function, as is every task
    setup_args: tuple[Any, ...] = ()  # picklable

    def map(self, task: Callable[[State, Item], Result],
            items: Iterable[Item]) -> Generator[Result, None, None]:
        """Yield `task(state, item)` of every item, in order; few items are under way at a time.

        Args:
          task: gets the state of the process that it runs in.
          items: picklable; taken as they are needed.
        Raises:
          Exception: of `setup` or `task`, once, whichever process it was raised in.
        """
        if self.processes < 1:
            state = self.setup(*self.setup_args)
            for item in items:
                yield task(state, item)
            return
        # Not forked: a forked child of a process that has run LiteRT or TensorFlow may hang.
        executor = concurrent.futures.ProcessPoolExecutor(
            self.processes, multiprocessing.get_context("spawn"), _begin,
            (self.setup, self.setup_args))
        under_way: deque[concurrent.futures.Future[_Answer]] = deque()
        complete = False
        try:
            for item in items:
                under_way.append(executor.submit(_answer, task, item))
                if len(under_way) > 2 * self.processes:  # more would only fill the memory
                    yield under_way.popleft().result().value()
            while under_way:
                yield under_way.popleft().result().value()
            complete = True
        finally:  # after an error or an interrupt nothing more is begun, and nothing waited for
            executor.shutdown(wait=complete, cancel_futures=True)


def pool_size(workers: int, items: int) -> int:
    """Return how many processes `workers` over so many items need; 0 where one would do."""
    size = min(workers, items)
    return size if size > 1 else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What the setup of a worker gave: a state, or the error it ended with."""

    state: Any = None
    error: Exception | None = None


_outcome = _Outcome()  # of this worker


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    """An error in a form that can be pickled, whatever its constructor asks for.

    Python makes a pickled exception anew from its `args` alone: one whose constructor takes several
    values would fail there, and take the whole pool with it. Such a one comes in parts.
    """

    whole: Exception | None = None
    kind: type[Exception] = RuntimeError
    args: tuple[Any, ...] = ()
    state: dict[str, Any] = field(default_factory=dict)
    traceback: str

    @classmethod
    def of(cls, error: Exception) -> _Failure:
        told = "".join(traceback.format_exception(error))
        for failure in (cls(whole=error, traceback=told),
                        cls(kind=type(error), args=error.args, state=dict(error.__dict__),
                            traceback=told)):
            try:
                again = pickle.loads(pickle.dumps(failure)).error()
            except Exception:  # whatever the class or its values make of it
                continue
            if type(again) is type(error) and str(again) == str(error):
                return failure
        kind = next((kind for kind in type(error).__mro__ if kind in _PLAIN), RuntimeError)
        text = str(error) if kind is not RuntimeError else f"{type(error).__name__}: {error}"
        return cls(kind=kind, args=(text,), traceback=told)

    def error(self) -> Exception:
        """Return the error: of its own class and with all that it held, or its words at least."""
        error = self.whole
        if error is None:
            error = self.kind.__new__(self.kind, *self.args)
            error.args = self.args
            error.__dict__.update(self.state)
        error.__cause__ = _InWorker(f"\n{self.traceback}")
        return error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What a worker gives back for one item."""

    result: Any = None
    failure: _Failure | None = None

    def value(self) -> Any:
        """Return the result, or raise what was raised in its place."""
        if self.failure is not None:
            raise self.failure.error()
        return self.result


class _InWorker(Exception):
    """Where in a worker an error was raised; its cause, as it is shown."""


def _begin(setup: Callable[..., Any], setup_args: tuple[Any, ...]) -> None:
    """Set a worker up; an interrupt from the keyboard is left to the process that began it."""
    global _outcome
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    silence_imports()
    try:
        _outcome = _Outcome(state=setup(*setup_args))
    except Exception as error:  # raised here it would only break the pool
        _outcome = _Outcome(error=error)


def _begin_apart() -> None:
    end_with_parent()
    silence_imports()


def _answer(task: Callable[[Any, Item], Result], item: Item) -> _Answer:
    """Return `task(state, item)`, or what it, or setting this worker up, raised."""
    if _outcome.error is not None:
        return _Answer(failure=_Failure.of(_outcome.error))
    return _called(task, _outcome.state, item)


def _called(function: Callable[..., Any], *args: Any) -> _Answer:
    try:
        return _Answer(result=function(*args))
    except Exception as error:
        return _Answer(failure=_Failure.of(error))


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
    """Return `function(*args)`, computed in a process of its own, whose memory is then free.

    Raises:
      Exception: what `function` raises, of whatever class.
    """
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context, _begin_apart) as pool:
        result: Result = pool.submit(_called, function, *args).result().value()
        return result
