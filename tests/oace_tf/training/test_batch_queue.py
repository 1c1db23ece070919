"""Queue of batches: order, names of unreadable images, workers that give way, errors."""
from __future__ import annotations

import itertools
import os

import cv2
import numpy as np
import pytest

from oace_tf.errors import UsageError
from oace_tf.training.batch_queue import Batch, queued_batches


class Counter:
    """Makes batches of the numbers asked for, and of the process they were made in."""

    def __init__(self, first: int) -> None:
        if first < 0:
            raise UsageError(f"cannot count from {first}")
        self._first = first
        self.skipped: set[str] = set()

    def batch(self, number: int, count: int) -> Batch:
        """Return `count` numbers; every third one is unreadable, the seventh an error."""
        if number == 7:
            raise UsageError("no batch 7")
        if number % 3 == 0:
            self.skipped.add(f"image {number}")
        return {"number": np.arange(count) + self._first + number,
                "process": np.array([os.getpid(), os.nice(0), cv2.getNumThreads()])}


@pytest.mark.parametrize("workers", (0, 1, 2))
def test_batches_come_in_order_with_the_names_of_what_is_skipped(workers: int) -> None:
    skipped = {"image -1"}
    queue = queued_batches(Counter, (10,), ((number, 2) for number in range(7)), workers, skipped)
    batches = list(queue)
    assert [batch["number"].tolist() for batch in batches] == [
        [10 + number, 11 + number] for number in range(7)]
    assert skipped == {"image -1", "image 0", "image 3", "image 6"}


def test_workers_give_way_and_this_process_does_not() -> None:
    here, threads = os.nice(0), cv2.getNumThreads()
    process, nice, its_threads = next(queued_batches(Counter, (0,), [(1, 1)], 0, set()))["process"]
    assert (process, nice, its_threads) == (os.getpid(), here, threads)
    process, nice, its_threads = next(queued_batches(Counter, (0,), [(1, 1)], 1, set()))["process"]
    assert process != os.getpid() and nice == min(here + 5, 19) and its_threads <= 1
    assert (os.nice(0), cv2.getNumThreads()) == (here, threads)


@pytest.mark.parametrize("workers", (0, 1))
def test_errors_arrive_as_they_are(workers: int) -> None:
    with pytest.raises(UsageError, match="cannot count from -1"):
        next(queued_batches(Counter, (-1,), [(1, 1)], workers, set()))
    queue = queued_batches(Counter, (0,), ((number, 1) for number in itertools.count(5)), workers,
                           set())
    assert [int(batch["number"][0]) for batch in itertools.islice(queue, 2)] == [5, 6]
    with pytest.raises(UsageError, match="no batch 7"):
        next(queue)
