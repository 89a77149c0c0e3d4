# mypy: allow-untyped-calls, allow-untyped-decorators
# mypy: disable-error-code=call-arg
"""Helpers that begin within microseconds.

A sleeping thread takes 30 to 100 microseconds to wake, and as long to report its end: more than
a small convolution takes. So a helper goes on looking for the next call for a while before it
sleeps (some 250 microseconds: kernels of one training step follow each other faster).

Who looks must not hold Python's lock (the GIL), and nobody may be called while another holds it,
or he falls asleep in front of the lock. So every message is a number in memory, written and read
by compiled code that has let go of the lock: the caller's share of a kernel begins by announcing
itself (`announce`), and a helper is done when it is back to looking out (`look_out`).

A call shared by two threads costs 15 to 20 microseconds, where semaphores cost 80 to 300
(Zen 3 in a virtual machine). A caller whose helper does not end soon sleeps as well: the helper may
be waiting for the very processor that the looking takes up.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

LOOKS = 400_000  # before it sleeps; with 100,000 a step of vgg at batch 1 takes 7.6 ms, not 6.0

Share = Callable[[np.ndarray], Any]
"""A part of a kernel; takes the bell to ring when it begins."""


@intrinsic
def _read(typing: Any, array: Any) -> Any:
    """array[0], as other threads wrote it."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = context.make_array(array)(context, builder, args[0]).data
        return builder.load_atomic(place, "acquire", 8)

    return types.int64(array), emit


@intrinsic
def _write(typing: Any, array: Any, value: Any) -> Any:
    """array[0] = value, after everything that was written before."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = context.make_array(array)(context, builder, args[0]).data
        builder.store_atomic(args[1], place, "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.int64), emit


@njit(cache=True)
def announce(bell: np.ndarray) -> None:
    """Ring: the share of the thread that calls has begun, so the others may."""
    _write(bell, _read(bell) + 1)


@njit(cache=True, nogil=True)
def look_out(report: np.ndarray, done: int, bell: np.ndarray, awaited: int, looks: int) -> bool:
    """Report `done`, then look at the bell until it has rung `awaited` times; whether it has."""
    _write(report, done)
    for _ in range(looks):  # noqa: SIM110 - a generator would not be compiled as well
        if _read(bell) >= awaited:
            return True
    return False


class _Helper:
    """A thread that carries out one share of each call."""

    def __init__(self, bell: np.ndarray) -> None:
        self.share: Share | None = None
        self.error: BaseException | None = None
        self._bell, self._report = bell, np.zeros(1, np.int64)
        self._asleep, self._alarm = False, threading.Lock()
        self._wanted, self._finished = False, threading.Lock()
        self._alarm.acquire()
        self._finished.acquire()
        threading.Thread(target=self._live, daemon=True, name="tinynet-numba").start()

    def _live(self) -> None:
        calls = 0
        while True:
            while not look_out(self._report, calls, self._bell, calls + 1, LOOKS):
                self._asleep = True
                self._answer()
                if self.share is None:
                    self._alarm.acquire()
                self._asleep = False
            calls += 1
            share, self.share = self.share, None
            if share is not None:
                try:
                    share(np.zeros(1, np.int64))
                except BaseException as error:
                    self.error = error
                del share
                if self._wanted:
                    self._report[0] = calls
                    self._answer()

    def _answer(self) -> None:
        """Wake the caller, if he has fallen asleep waiting."""
        if self._wanted:
            self._wanted = False
            with contextlib.suppress(RuntimeError):  # woken already
                self._finished.release()

    def give(self, share: Share) -> None:
        """Its share of the next call."""
        self.share = share
        if self._asleep:
            with contextlib.suppress(RuntimeError):  # woken already
                self._alarm.release()

    def wait(self, call: int) -> None:
        """Wait until it is done with a call."""
        while not look_out(_NOWHERE, 0, self._report, call, LOOKS):
            self._wanted = True  # it may be waiting for the processor that the looking takes up
            if self._report[0] < call:
                self._finished.acquire()


_NOWHERE = np.zeros(1, np.int64)


class _Team:
    """The helpers, and the bell that calls them. One caller at a time has them."""

    def __init__(self) -> None:
        self.bell = np.zeros(1, np.int64)
        self.helpers: list[_Helper] = []
        self.busy = threading.Lock()


_team = _Team()


def _new_team() -> None:
    """A forked child has none of its parent's threads; one that is interrupted leaves its own."""
    global _team
    _team = _Team()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_team)


def run(work: Callable[[np.ndarray, int], Any], parts: int) -> None:
    """work(bell, part) for every part, part 0 on this thread. It calls one kernel, once.

    Where another thread has the helpers, the caller does all parts alone.
    """
    team = _team
    if parts == 1 or not team.busy.acquire(blocking=False):
        for part in range(parts):
            work(np.zeros(1, np.int64), part)
        return
    try:
        _run_together(team, work, parts)
    finally:
        team.busy.release()


def _run_together(team: _Team, work: Callable[[np.ndarray, int], Any], parts: int) -> None:
    while len(team.helpers) < parts - 1:
        team.helpers.append(_Helper(team.bell))
    call = int(team.bell[0]) + 1
    helpers = team.helpers[: parts - 1]
    for part, helper in enumerate(helpers, 1):
        helper.give(functools.partial(work, part=part))
    try:
        try:
            work(team.bell, 0)
        finally:
            if team.bell[0] < call:  # it failed before it began
                announce(team.bell)
            for helper in helpers:
                helper.wait(call)
    except KeyboardInterrupt:  # a helper may be at work still: the next call needs others
        _new_team()
        raise
    for helper in helpers:
        error, helper.error = helper.error, None
        if error is not None:
            raise error
