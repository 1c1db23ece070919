"""Queue of batches: made ahead, in order, by worker processes that give way to the training."""
from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from typing import Any, Protocol

import numpy as np

from oace_tf.workers import Pool

Batch = dict[str, np.ndarray]


class BatchMaker(Protocol):
    """Makes a batch of what a request says; remembers the names of unreadable images."""

    skipped: set[str]

    @property
    def batch(self) -> Callable[..., Batch]:
        """Return the function that makes the batch of a request."""


def queued_batches(make: Callable[..., BatchMaker], make_args: tuple[Any, ...],
                   requests: Iterable[tuple[int, ...]], workers: int,
                   skipped: set[str]) -> Generator[Batch, None, None]:
    """Yield `maker.batch(*request)` of every request, in order.

    Args:
      make: a module's function or class; called once in every process, with `make_args`.
      make_args: picklable.
      requests: taken as they are needed.
      workers: processes; 0 makes the batches in this one.
      skipped: names of unreadable images are added to it.
    Raises:
      Exception: of `make` or a batch, whichever process it was raised in.
    """
    pool = (Pool(processes=workers, setup=_maker_aside, setup_args=(make, make_args)) if workers
            else Pool(processes=0, setup=_maker_here, setup_args=(make, make_args, skipped)))
    with closing(pool.map(_batch, requests)) as results:
        for batch, names in results:
            skipped |= names
            yield batch


def _maker_here(make: Callable[..., BatchMaker], make_args: tuple[Any, ...],
                skipped: set[str]) -> BatchMaker:
    maker = make(*make_args)
    maker.skipped = skipped
    return maker


def _maker_aside(make: Callable[..., BatchMaker], make_args: tuple[Any, ...]) -> BatchMaker:
    """Return the maker of a worker process, which is to give way to the training."""
    import cv2

    os.nice(5)
    cv2.setNumThreads(0)
    return make(*make_args)


def _batch(maker: BatchMaker, request: tuple[int, ...]) -> tuple[Batch, set[str]]:
    return maker.batch(*request), maker.skipped
