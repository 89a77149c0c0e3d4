"""Threads that wait for work on the processor for a moment before they sleep.

A training step hands work to another thread a few dozen times, and most of it takes less than a
millisecond. To wake a sleeping thread costs 20 microseconds where its processor is awake, and 100
to 300 where that was halted in the meantime, as virtual machines do at once. So a worker that has
finished spins for the next task, outside the interpreter's lock, and its caller spins for the
end of it: handing over then costs 5 to 20 microseconds (`python -m benchmarks.overhead`).

Spinning ends: a watchman looks every WATCH seconds, and who had nothing to do since its last look
goes to sleep. So nothing spins in a process that computes no kernels, and the watchman sleeps too.

The spinning itself is `pthread_spin_lock` of the C library, which releases the interpreter's lock
for as long as it waits. Where there is none (macOS, Windows) workers sleep on a plain lock.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

WATCH = 0.005


class SleepingSignal:
    """A flag that one thread waits for and another sets; waiting is sleeping."""

    address = free = 0  # as in SpinningSignal; nothing to see here

    def __init__(self) -> None:
        lock = threading.Lock()
        lock.acquire()
        self.wait, self.set = lock.acquire, lock.release


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
    """A thread that does one task after another: `begin(task)`, then `wait()` for its end."""

    def __init__(self) -> None:
        self._task: Callable[[], None] = lambda: None
        self._error: BaseException | None = None
        self._change = threading.Lock()  # around what `begin` and `rest` both look at
        self._awake = self._to_sleep = self._busy = self._idle = False
        self.start, self.done, self._wake = Signal(), Signal(), SleepingSignal()
        threading.Thread(target=self._live, daemon=True, name="tinynet-kernel").start()

    def begin(self, task: Callable[[], None], later: bool = False) -> bool:
        """Hand over a task; whether it was awake. The task before must have been waited for.

        later: if it is awake, it starts when `start` is set, not now.
        """
        with self._change:
            self._task, self._busy, self._idle = task, True, False
            if self._awake:
                if not later:
                    self.start.set()
                return True
            self._awake = CAN_SPIN
            self._wake.set()
        if CAN_SPIN:
            _watchman.watch(self)
        return False

    def wait(self) -> BaseException | None:
        """Wait for the end of the task; the error that ended it, if one did."""
        self.done.wait()
        error, self._error = self._error, None
        return error

    def rest(self) -> bool:
        """Send it to sleep if it had nothing to do since the last call; whether it sleeps."""
        with self._change:
            if not self._awake:
                return True
            if self._busy or not self._idle:
                self._idle = True
                return False
            self._awake, self._to_sleep = False, True
            self.start.set()
            return True

    def _live(self) -> None:
        self._wake.wait()
        while True:
            try:
                self._task()
            except BaseException as error:
                self._error = error
            self._task = lambda: None
            self._busy = False
            self.done.set()
            if CAN_SPIN:
                self.start.wait()
            if self._to_sleep or not CAN_SPIN:
                self._to_sleep = False
                self._wake.wait()


class _Watchman:
    """Sends workers to sleep that spin for nothing, and sleeps when all do."""

    def __init__(self) -> None:
        self._awake: list[Worker] = []
        self._change = threading.Lock()
        self._wake = SleepingSignal()
        self._started = False

    def watch(self, worker: Worker) -> None:
        """From now on send this worker to sleep when it is idle."""
        with self._change:
            self._awake.append(worker)
            if len(self._awake) > 1:
                return
            if self._started:
                self._wake.set()
                return
            self._started = True
        threading.Thread(target=self._live, daemon=True, name="tinynet-watchman").start()

    def _live(self) -> None:
        while True:
            time.sleep(WATCH)
            with self._change:
                self._awake = [worker for worker in self._awake if not worker.rest()]
                empty = not self._awake
            if empty:
                self._wake.wait()


_watchman = _Watchman()


def forget_after_fork() -> None:
    """A forked child has none of its parent's threads."""
    global _watchman
    _watchman = _Watchman()
