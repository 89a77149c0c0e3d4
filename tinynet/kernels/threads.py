"""One switch for every thread: `set_num_threads`, and `run`, which spreads work over them.

The matrix products inside a kernel run on one BLAS thread each, and the kernel cuts its own work
into blocks that a few Python threads share: unfolding and adding then run in parallel too, not
the product alone. NumPy releases the interpreter's lock inside each of its calls. While `run`
has several threads at work BLAS is held to one thread, and given back its own number after.

Which thread computes a block never changes what is computed, so results are the same to the bit
from run to run; only the cutting into blocks depends on the number of threads.
"""

from __future__ import annotations

import ctypes
import functools
import glob
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")
R = TypeVar("R")


def _cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_count = _cores()


def get_num_threads() -> int:
    """How many threads the kernels use; by default as many as there are processors."""
    return _count


def set_num_threads(count: int) -> None:
    """Use `count` threads, in the kernels as in BLAS. ValueError if it is below 1."""
    global _count
    if count < 1:
        raise ValueError(f"set_num_threads: needs at least 1 thread, got {count}")
    _count = count
    set_blas_threads(count)


@functools.cache
def _blas() -> list[tuple[Callable[[int], None], Callable[[], int]]]:
    """(set, get) of the thread count of each OpenBLAS that NumPy and SciPy bring with them.

    Another BLAS (Accelerate, MKL) has none here; it obeys its own environment variables.
    """
    found = []
    site = os.path.dirname(os.path.dirname(np.__file__))
    for package in ("numpy", "scipy"):
        for path in (
            *glob.glob(os.path.join(site, f"{package}.libs", "*openblas*")),
            *glob.glob(os.path.join(site, package, ".dylibs", "*openblas*")),
        ):
            try:
                library: Any = ctypes.CDLL(path)
            except OSError:
                continue
            for suffix in ("64_", ""):
                if hasattr(library, f"scipy_openblas_set_num_threads{suffix}"):
                    found.append(
                        (
                            getattr(library, f"scipy_openblas_set_num_threads{suffix}"),
                            getattr(library, f"scipy_openblas_get_num_threads{suffix}"),
                        )
                    )
                    break
    return found


def set_blas_threads(count: int) -> None:
    """Let every BLAS use `count` threads."""
    for setter, _ in _blas():
        setter(count)


class _Worker:
    """A thread that sleeps until it is handed something to do."""

    def __init__(self) -> None:
        self._start, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self._task: Callable[[], None] = lambda: None
        self._error: BaseException | None = None
        threading.Thread(target=self._live, daemon=True, name="tinynet-kernel").start()

    def _live(self) -> None:
        while True:
            self._start.acquire()
            try:
                self._task()
            except BaseException as error:
                self._error = error
            self._done.release()

    def begin(self, task: Callable[[], None]) -> None:
        self._task = task
        self._start.release()

    def wait(self) -> None:
        self._done.acquire()
        error, self._error, self._task = self._error, None, lambda: None
        if error is not None:
            raise error


_workers: list[_Worker] = []
_busy = threading.Lock()  # one caller at a time has the workers; another computes alone


def _forget_workers() -> None:
    """A forked child has none of its parent's threads."""
    global _busy
    _workers.clear()
    _busy = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_workers)


def run(work: Callable[[T], R], blocks: Sequence[T]) -> list[R]:
    """[work(block) for block in blocks], with the blocks shared among the threads, in order."""
    count = min(_count, len(blocks))
    if count == 1 or not _busy.acquire(blocking=False):
        return [work(block) for block in blocks]
    try:
        return _run_together(work, blocks, count)
    finally:
        _busy.release()


def _run_together(work: Callable[[T], R], blocks: Sequence[T], count: int) -> list[R]:
    while len(_workers) < count - 1:
        _workers.append(_Worker())
    results: list[Any] = [None] * len(blocks)
    ends = [len(blocks) * (i + 1) // count for i in range(count)]

    def share(first: int, end: int) -> None:
        for i in range(first, end):
            results[i] = work(blocks[i])

    before = [get() for _, get in _blas()]
    set_blas_threads(1)
    helpers = _workers[: count - 1]
    try:
        for helper, first, end in zip(helpers, ends, ends[1:]):
            helper.begin(functools.partial(share, first, end))
        try:
            share(0, ends[0])
        finally:
            for helper in helpers:
                helper.wait()
    finally:
        for (setter, _), threads in zip(_blas(), before):
            setter(threads)
    return results
