"""One switch for every thread: `set_num_threads`; `run` and `run_compiled` spread work over them.

A kernel cuts its work into blocks that a few Python threads share, each with its own products on
one BLAS thread: so unfolding and adding run in parallel too, not the product alone. NumPy
releases the interpreter's lock inside each of its calls. BLAS threads of its own would only be in
the way: after each product they spin on the processor for a while, waiting for the next (a step
of the vgg net at batch 32: 57 ms, with BLAS at two threads beside ours 97 ms). So the first kernel
sets BLAS to one thread for good; `matmul` here cuts a large product itself.

On a processor that others are using a helper may have to wait for its turn, and its caller waits
with it: then the caller computes alone for a while (LATE, ALONE).

Which thread computes a block never changes what is computed, so results are the same to the bit
from run to run; only the cutting into blocks depends on the number of threads.
"""

from __future__ import annotations

import contextlib
import contextvars
import ctypes
import functools
import glob
import itertools
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from tinynet.kernels.workers import Worker, forget_after_fork

T = TypeVar("T")
R = TypeVar("R")


def _cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_count = _cores()

MATMUL_PARALLEL_FROM = 4_000_000  # likewise, for a single product
PARALLEL_FROM = 10_000_000  # multiplications below which handing over costs more than it saves
LATE = 0.002  # seconds that a helper that was awake may need beyond twice its caller's time
ALONE = (0.05, 1.0)  # seconds that callers compute alone after that: doubled while it goes on so

NOBODY = np.empty((0, 4), np.int64)
"""The team of a compiled kernel that has no helpers."""


def get_num_threads() -> int:
    """How many threads the kernels use; by default as many as there are processors."""
    return _count


def set_num_threads(count: int) -> None:
    """Use `count` threads in the kernels. ValueError if it is below 1."""
    global _count
    if count < 1:
        raise ValueError(f"set_num_threads: needs at least 1 thread, got {count}")
    _count = count
    single_blas_thread()


@functools.cache
def single_blas_thread() -> None:
    """Hold every OpenBLAS that NumPy and SciPy bring with them to one thread.

    Another BLAS (Accelerate, MKL) has no such switch here; it obeys its environment variables.
    """
    site = os.path.dirname(os.path.dirname(np.__file__))
    for package in ("numpy", "scipy"):
        for path in (
            *glob.glob(os.path.join(site, f"{package}.libs", "*openblas*")),
            *glob.glob(os.path.join(site, package, ".dylibs", "*openblas*")),
        ):
            with contextlib.suppress(OSError):
                library = ctypes.CDLL(path)
                for suffix in ("64_", ""):
                    setter = getattr(library, f"scipy_openblas_set_num_threads{suffix}", None)
                    if setter is not None:
                        setter(1)


_workers: list[Worker] = []
_busy = threading.Lock()  # one caller at a time has the workers; another computes alone
_alone_until, _alone = 0.0, ALONE[0]


def _forget_workers() -> None:
    """A forked child has none of its parent's threads."""
    global _busy
    _workers.clear()
    _busy = threading.Lock()
    forget_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_workers)


def run(work: Callable[[T], R], blocks: Sequence[T], multiplications: int | None = None) -> list[R]:
    """[work(block) for block in blocks], with the blocks shared among the threads, in order.

    multiplications: how many there are in all; if too few to pay, the caller computes alone.
    """
    single_blas_thread()
    few = multiplications is not None and multiplications < PARALLEL_FROM
    count = 1 if few else min(_count, len(blocks))
    if count == 1 or not _workers_free():
        return [work(block) for block in blocks]
    results: list[Any] = [None] * len(blocks)
    ends = [len(blocks) * (i + 1) // count for i in range(count)]

    def share(first: int, end: int) -> None:
        for i in range(first, end):
            results[i] = work(blocks[i])

    tasks = [  # a context carries np.errstate over to the thread
        functools.partial(contextvars.copy_context().run, share, first, end)
        for first, end in itertools.pairwise(ends)
    ]
    try:
        helpers = _helpers(len(tasks))
        awake = [helper.begin(task) for helper, task in zip(helpers, tasks)]
        _first_share(lambda: share(0, ends[0]), helpers, all(awake))
    finally:
        _busy.release()
    return results


def run_compiled(work: Callable[[int, np.ndarray], None], parts: int) -> None:
    """work(part, team) for each part, by a thread each, for work that is one compiled call.

    team: for the helpers that are awake, what the caller's call needs to start them and to wait
    for them, see `numba_kernels.team`; for the helpers' own calls there is nobody to start.
    """
    if parts == 1 or not _workers_free():
        for part in range(parts):
            work(part, NOBODY)
        return
    try:
        helpers = _helpers(parts - 1)
        awake = [
            helper.begin(functools.partial(work, part, NOBODY), later=True)
            for part, helper in enumerate(helpers, 1)
        ]
        ready = [helper for helper, is_awake in zip(helpers, awake) if is_awake]
        team = np.array(
            [(h.start.address, h.done.address, h.start.free, 0) for h in ready], np.int64
        )
        team = team if ready else NOBODY

        def first_share() -> None:
            try:
                work(0, team)
            finally:
                for helper, started in zip(ready, team[:, -1]):
                    if not started:  # an error on the way into the kernel
                        helper.start.set()

        _first_share(first_share, helpers, all(awake))
    finally:
        _busy.release()


def _workers_free() -> bool:
    """Whether the caller gets the workers; it then has to release `_busy`."""
    return time.perf_counter() >= _alone_until and _busy.acquire(blocking=False)


def _helpers(count: int) -> list[Worker]:
    while len(_workers) < count:
        _workers.append(Worker())
    return _workers[:count]


def _first_share(share: Callable[[], None], helpers: list[Worker], awake: bool) -> None:
    """The caller's own share; then wait for the helpers, and raise what went wrong in theirs.

    awake: whether all of them were, so that one that is late is so because of others.
    """
    global _alone_until, _alone
    began = time.perf_counter()
    try:
        share()
    finally:
        done = time.perf_counter()
        errors = _wait_for_all(helpers)
        now = time.perf_counter()
        late = awake and now - done > 2 * (done - began) + LATE
        if late:
            _alone_until = now + _alone
        _alone = min(max(_alone * (2 if late else 0.99), ALONE[0]), ALONE[1])
    for error in errors:
        if error is not None:
            raise error


def _wait_for_all(helpers: list[Worker]) -> list[BaseException | None]:
    try:
        return [helper.wait() for helper in helpers]
    except (
        BaseException
    ):  # Ctrl-C while waiting: these are still at work, the next call needs others
        _workers.clear()
        raise


def matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a @ b of two matrices, cut along its longer side if it is large."""
    M, P = a.shape[0], b.shape[1]
    if M * a.shape[1] * P < MATMUL_PARALLEL_FROM or _count == 1:
        single_blas_thread()
        return np.asarray(a @ b)
    product: np.ndarray = np.empty((M, P), np.result_type(a, b))
    size = max(M, P)
    parts = [slice(size * i // _count, size * (i + 1) // _count) for i in range(_count)]

    def work(part: slice) -> None:
        if P >= M:
            np.matmul(a, b[:, part], out=product[:, part])
        else:
            np.matmul(a[part], b, out=product[part])

    run(work, parts)
    return product
