"""One switch for every thread: `set_num_threads`; `run` and `run_compiled` spread work over them.

A kernel cuts its work into blocks that a few Python threads share, each with its own products on
one BLAS thread: so unfolding and adding run in parallel too, not the product alone. NumPy
releases the interpreter's lock inside each of its calls. BLAS threads of its own would only be in
the way, so the first kernel sets BLAS to one thread for good (`process.py`); `matmul` here cuts a
large product itself.

On a processor that others are using a helper may have to wait for its turn, and its caller waits
with it: then the caller computes alone for a while (LATE, ALONE).

Which thread computes a block never changes what is computed, so results are the same bit
for bit from run to run; only the cutting into blocks depends on the number of threads.
"""

import contextvars
import functools
import os
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from tinynet.errors import integer
from tinynet.kernels import process
from tinynet.kernels.geometry import Array
from tinynet.kernels.workers import Pool, Worker

T = TypeVar("T")
R = TypeVar("R")

MOST = 1024  # threads


def _usual() -> int:
    """OMP_NUM_THREADS, by which joblib and others share out a machine, else how many processors
    this process may use.
    """
    told = os.environ.get("OMP_NUM_THREADS", "")
    if told.isdecimal() and 1 <= int(told) <= MOST:
        return int(told)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


MATMUL_PARALLEL_FROM = 4_000_000  # likewise, for a single product
PARALLEL_FROM = 10_000_000  # multiplications below which handing over costs more than it saves
LATE = 0.002  # seconds that a helper that was awake may need beyond twice its caller's time
ALONE = (0.05, 1.0)  # seconds that callers compute alone after that: doubled while it goes on so

_count = _usual()

NOBODY = np.empty((0, 4), np.int64)
"""The team of a compiled kernel that has no helpers."""


def get_num_threads() -> int:
    """How many threads the kernels use; by default OMP_NUM_THREADS, else one a processor."""
    return _count


def set_num_threads(count: int) -> None:
    """Use `count` threads in the kernels. ValueError if it is not from 1 to MOST."""
    global _count, _most
    count = integer("set_num_threads", "count", count, 1)
    if count > MOST:
        raise ValueError(f"set_num_threads: needs 1 to {MOST} threads, got {count}")
    _count, _most = count, sys.maxsize
    process.prepare()


_spare: list[Pool] = []  # the pool, while nobody computes with it
_taken: weakref.ref[Pool] | None = None  # the pool, as long as somebody has it
_most = sys.maxsize  # helpers that may be started on this machine
_alone_until, _alone = 0.0, ALONE[0]


def _forget_pools() -> None:
    """A forked child has none of its parent's threads."""
    global _taken
    _spare.clear()
    _taken = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pools)


def _take(count: int) -> Pool | None:
    """The pool, with up to `count` helpers, for this caller alone; None if it computes alone.

    It comes back by `_give_back`, and only after a call that went well: an error or an interrupt
    leaves it to whoever holds it, and the next caller gets a new one.
    """
    global _taken, _most
    count = min(count, _most)
    if count < 1 or time.perf_counter() < _alone_until:
        return None
    pool = None
    try:
        pool = _spare.pop()
    except IndexError:
        holder = _taken() if _taken else None
        if holder is not None and holder.owner != threading.get_ident():
            return None  # another thread is computing with it
    try:
        pool = pool or Pool()
        pool.owner = threading.get_ident()
        _taken = weakref.ref(pool)
        pool.grow(count)
    except RuntimeError as error:
        _most = len(pool.workers) if pool else 0
        warnings.warn(
            f"{error}: this process may have no more threads. tinynet goes on computing with "
            f"{_most + 1} in place of {_count}, a little slower.",
            RuntimeWarning,
            stacklevel=4,
        )
    return pool if pool and pool.workers else None


def _give_back(pool: Pool) -> None:
    if not _spare:
        _spare.append(pool)


def shares(size: int, count: int) -> list[slice]:
    """`count` slices of `size` elements, as equal as can be."""
    return [slice(size * i // count, size * (i + 1) // count) for i in range(count)]


def run(work: Callable[[T], R], blocks: Sequence[T], multiplications: int | None = None) -> list[R]:
    """[work(block) for block in blocks], with the blocks shared among the threads, in order.

    multiplications: how many there are in all; if too few to pay, the caller computes alone.
    """
    process.prepare()
    few = multiplications is not None and multiplications < PARALLEL_FROM
    count = min(_count, len(blocks))
    if few or count < 2:
        return [work(block) for block in blocks]
    results: list[Any] = [None] * len(blocks)

    def share(part: slice) -> None:
        results[part] = [work(block) for block in blocks[part]]

    first, *rest = shares(len(blocks), count)
    tasks = [  # a context carries np.errstate over to the thread
        functools.partial(contextvars.copy_context().run, share, part) for part in rest
    ]
    _spread(lambda awake: share(first), tasks)
    return results


def run_compiled(work: Callable[[int, Array], None], parts: int) -> None:
    """work(part, team) for each part, by a thread each, for work that is one compiled call.

    team: for the helpers that are awake, what the caller's call needs to start them and to wait
    for them, see `numba_kernels.team`; for the helpers' own calls there is nobody to start.
    """

    def first_share(awake: Sequence[Worker]) -> None:
        team = NOBODY
        if awake:
            rows = [(w.start.address, w.done.address, w.start.free, 0) for w in awake]
            team = np.array(rows, np.int64)
        work(0, team)
        for worker, started in zip(awake, team[:, -1]):
            if not started:  # by a call without a kernel
                worker.start.set()

    tasks = [functools.partial(work, part, NOBODY) for part in range(1, parts)]
    _spread(first_share, tasks, later=True)


def _spread(
    first: Callable[[Sequence[Worker]], Any],
    others: Sequence[Callable[[], Any]],
    later: bool = False,
) -> None:
    """`Pool.share`, and here what there is no helper for."""
    pool = _take(len(others))
    helped = min(len(pool.workers), len(others)) if pool else 0
    if pool is None:
        first(())
    else:
        _see_to_late_helpers(pool.share(first, others[:helped], later))
        _give_back(pool)
    for task in others[helped:]:
        task()


def _see_to_late_helpers(times: tuple[float, float] | None) -> None:
    """Let callers compute alone for a while if a helper was late that was awake.

    times: seconds of the caller's own share, and of its waiting.
    """
    global _alone_until, _alone
    late = times is not None and times[1] > 2 * times[0] + LATE
    if late:
        _alone_until = time.perf_counter() + _alone
    _alone = min(max(_alone * (2 if late else 0.99), ALONE[0]), ALONE[1])


def matmul(a: Array, b: Array) -> Array:
    """a @ b of two matrices, cut along its longer side if it is large."""
    M, P = a.shape[0], b.shape[1]
    small = M * a.shape[1] * P < MATMUL_PARALLEL_FROM or _count == 1
    if small or not type(a) is type(b) is np.ndarray:
        process.prepare()
        product: Array = a @ b
        return product
    product = np.empty((M, P), np.result_type(a, b))

    def work(part: slice) -> None:
        if P >= M:
            np.matmul(a, b[:, part], out=product[:, part])
        else:
            np.matmul(a[part], b, out=product[part])

    run(work, shares(max(M, P), _count))
    return product
