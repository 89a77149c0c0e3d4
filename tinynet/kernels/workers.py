"""Threads that wait for work on the processor for a moment before they sleep.

A training step hands work to another thread a few dozen times, and most of it takes less than a
millisecond. To wake a sleeping thread costs 20 microseconds where its processor is awake, and 100
to 300 where that was halted in the meantime, as virtual machines do at once. So a worker that has
finished spins for the next task, outside the interpreter's lock, and its caller spins for the
end of it: handing over then costs 5 to 20 microseconds (`python -m benchmarks.overhead`).

Spinning ends: a watchman looks every WATCH seconds, and sends the workers of a pool to sleep that
had nothing to do since its last look. So nothing spins in a process that computes no kernels.

The spinning itself is `pthread_spin_lock` of the C library, which releases the interpreter's lock
for as long as it waits. Where there is none (macOS, Windows) workers sleep on a plain lock.

An interrupt (Ctrl-C, a signal's handler that raises) may strike between any two lines. So signals
are hints and numbers are the truth: a task has a number, a worker works while the number it was
asked for is not the one it has finished, and a signal too many makes it look once in vain. No lock
is held that an interrupt could leave taken. Whoever is interrupted waits for its workers and then
drops the pool; the next caller makes a new one.
"""

import contextlib
import ctypes
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

WATCH = 0.005


class SleepingSignal:
    """A flag that one thread waits for and another sets; waiting is sleeping."""

    address = free = 0  # as in SpinningSignal; nothing to see here

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self.wait: Callable[[], Any] = self._lock.acquire

    def set(self) -> None:
        """Let the one that waits go on, or the next one that comes."""
        with contextlib.suppress(RuntimeError):  # it is set already
            self._lock.release()


class SpinningSignal:
    """The same flag; waiting is spinning.

    Compiled code sets it by writing `free` to `address`, and sees there that it is set.
    """

    address: int
    free: int

    def __init__(self) -> None:
        self._line = (ctypes.c_int * 64)()  # a spin lock alone on its lines of the cache
        place = ctypes.byref(self._line, 128)
        _held.pthread_spin_init(place, 0)
        self.address, self.free = ctypes.addressof(self._line) + 128, self._line[32]
        _held.pthread_spin_lock(place)
        lock, unlock = _free.pthread_spin_lock, _held.pthread_spin_unlock
        self.wait: Callable[[], Any] = lambda: lock(place)
        self.set: Callable[[], Any] = lambda: unlock(place)


_free: Any = None  # calls without the interpreter's lock
_held: Any = None  # calls with it, which are shorter
if sys.platform.startswith("linux"):
    _free, _held = ctypes.CDLL(None), ctypes.PyDLL(None)
CAN_SPIN = hasattr(_free, "pthread_spin_lock")
Signal = SpinningSignal if CAN_SPIN else SleepingSignal


class Worker:
    """A thread that does one task after another: `begin(task)`, then `wait()` for its end.

    RuntimeError if there may be no more threads.
    """

    def __init__(self) -> None:
        self._task: Callable[[], None] = lambda: None
        self._error: BaseException | None = None
        self._asked = self._finished = 0  # numbers of tasks
        self._tired = CAN_SPIN  # whether it sleeps when it has nothing to do
        self._ended = False
        self.start, self.done, self._wake = Signal(), Signal(), SleepingSignal()
        threading.Thread(target=self._live, daemon=True, name="tinynet-kernel").start()

    def begin(self, task: Callable[[], None], later: bool = False) -> bool:
        """Hand over a task; whether it was awake. The task before must have been waited for.

        later: if it is awake, it starts when `start` is set, not now.
        """
        self._task = task
        self._asked += 1
        if self._tired or not CAN_SPIN:
            self.call()
            return False
        if not later:
            self.start.set()
        return True

    def call(self) -> None:
        """Have it look whether there is something to do, also if it sleeps."""
        self._tired = False
        self.start.set()
        self._wake.set()

    def wait(self) -> BaseException | None:
        """Wait for the end of the task; the error that ended it, if one did."""
        self.done.wait()
        error, self._error = self._error, None
        return error

    def settle(self) -> None:
        """Have the last task done, wherever `begin`, its start or `wait` was interrupted."""
        while self.is_busy():
            self.call()
            self.done.wait()

    def is_busy(self) -> bool:
        """Whether the last task is still to be done."""
        return self._finished != self._asked

    def rest(self) -> None:
        """Go to sleep when there is nothing to do."""
        self._tired = True
        self.start.set()

    def end(self) -> None:
        """End when there is nothing to do."""
        self._ended = True
        self.call()

    def _live(self) -> None:
        while True:
            tired = self._tired  # before the question whether there is a task: `begin` asks after
            if self.is_busy():
                try:
                    self._task()
                except BaseException as error:
                    self._error = error
                self._task = lambda: None
                self._finished += 1
                self.done.set()
            elif self._ended:
                return
            elif tired:
                self._wake.wait()
            else:
                self.start.wait()


class Pool:
    """The workers that one caller has at a time. What it started ends with it."""

    def __init__(self) -> None:
        self.workers: list[Worker] = []
        self.owner = 0  # the thread that has it
        self._watchman = _Watchman(self.workers)
        self._watchman.live()

    def __del__(self) -> None:
        for worker in self.workers:
            worker.end()
        self._watchman.end()

    def grow(self, count: int) -> None:
        """Have `count` workers. RuntimeError where that many threads may not be started."""
        while len(self.workers) < count:
            self.workers.append(Worker())

    def share(
        self,
        first: Callable[[Sequence[Worker]], Any],
        others: Sequence[Callable[[], Any]],
        later: bool = False,
    ) -> tuple[float, float] | None:
        """Each of `others` by a worker, and first(the workers that are awake) by the caller.

        later: they are started by `first`. Returns when all are done, or raises what went wrong.
        -> seconds that `first` took, and that the caller then waited, if all were awake.
        """
        workers = self.workers[: len(others)]
        self._watchman.see()
        try:
            began = time.perf_counter()
            awake = [worker for worker, task in zip(workers, others) if worker.begin(task, later)]
            first(awake)
            done = time.perf_counter()
            errors = [worker.wait() for worker in workers]
        except BaseException:
            for worker in workers:
                worker.settle()
            raise
        for error in errors:
            if error is not None:
                raise error
        return (done - began, time.perf_counter() - done) if len(awake) == len(workers) else None


class _Watchman:
    """Sends the workers of a pool to sleep that spin for nothing, and sleeps while they do."""

    def __init__(self, workers: list[Worker]) -> None:
        self._workers = workers
        self._calls = 0  # of the pool
        self._asleep = self._ended = False
        self._wake = SleepingSignal()

    def live(self) -> None:
        """Start the thread. RuntimeError if there may be no more of them."""
        if CAN_SPIN:
            threading.Thread(target=self._live, daemon=True, name="tinynet-watchman").start()

    def see(self) -> None:
        """The pool is about to work."""
        self._calls += 1
        if self._asleep:
            self._wake.set()

    def end(self) -> None:
        self._ended = True
        self._wake.set()

    def _live(self) -> None:
        while not self._ended:
            before = self._state()
            time.sleep(WATCH)
            if before != self._state() or any(worker.is_busy() for worker in self._workers):
                continue
            for worker in self._workers:
                worker.rest()
            self._asleep = True
            if before == self._state() and not self._ended:
                self._wake.wait()
            self._asleep = False

    def _state(self) -> tuple[int, list[bool]]:
        return self._calls, [worker.is_busy() for worker in self._workers]
