"""Feeding a target: every input gives a result or the allowed exception, and costs little memory.

The allowance is twice the honest size of an input, plus what a reader needs whatever the file.
Honest is what is really there: the bytes of the file, or of its content where it is packed, or of
the arrays that were made of it, whichever is the largest. What Python and NumPy allocate is counted
by tracemalloc; what libraries allocate behind their backs shows in the process's address space.
"""

from __future__ import annotations

import contextlib
import random
import signal
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.long.fuzz.mutate import mutate

ALLOWANCE = 1 << 18  # bytes that a reader may use: buffers, the windows of zlib, messages
ADDRESS_ALLOWANCE = 1 << 25  # bytes of address space: the C library reserves in large pieces
COUNT_EVERY = 50  # memory is counted for each 50th input; counting slows everything down

LONGEST = 10  # seconds of computing for one input; a reader that needs them is in an endless loop

Mutate = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Target:
    """A reader of files from outside, made ready for fuzzing.

    run: reads an input and returns what it made of it, or raises `allowed`; it may assert what
    must be true of the result. seeds: valid inputs, small ones. inside: makes an input of which
    the packing is right (lengths, checksums) and the content, changed by the function it is given,
    is not; None for formats without packing. honest: bytes that an input really stands for.
    allowance: bytes that the reader needs whatever the file. tokens: bytes that mean something.
    """

    run: Callable[[bytes], Any]
    seeds: Callable[[], Sequence[bytes]]
    allowed: type[Exception]
    inside: Callable[[random.Random, Mutate], bytes] | None = None
    honest: Callable[[bytes], int] = len
    allowance: int = ALLOWANCE
    tokens: Sequence[bytes] = ()


class Endless(BaseException):
    """An input takes too long."""


@dataclass
class Finding:
    """An input that did what no input may do."""

    index: int
    data: bytes
    what: str


@dataclass
class Report:
    """What came of fuzzing a target. places: how often each line refused an input."""

    name: str
    inputs: int = 0
    accepted: int = 0
    counted: int = 0
    worst_allocation: float = 0.0
    seconds: float = 0.0
    places: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    @property
    def refused(self) -> int:
        """How many inputs raised the allowed exception."""
        return sum(self.places.values())


class Inputs:
    """The inputs of a target and a seed: `inputs[i]` is always the same."""

    def __init__(self, target: Target, seed: int) -> None:
        self.target = target
        self.seed = seed
        self.seeds = list(target.seeds())

    def __getitem__(self, index: int) -> bytes:
        rng = random.Random((self.seed << 40) + index)
        if self.target.inside is not None and rng.random() < 0.5:
            return self.target.inside(rng, lambda data: self._mutated(rng, data))
        return self._mutated(rng, rng.choice(self.seeds))

    def _mutated(self, rng: random.Random, data: bytes) -> bytes:
        return mutate(rng, data, self.seeds, self.target.tokens)


def fuzz(
    name: str,
    target: Target,
    inputs: int,
    seed: int = 0,
    first: int = 0,
    most_findings: int = 10,
    progress: Callable[[int], Any] = lambda index: None,
) -> Report:
    """Feed `inputs` inputs, from number `first` on, to a target; stops early at `most_findings`.

    The valid inputs go first: each must be accepted, or there is nothing to start from.
    """
    made = Inputs(target, seed)
    for data in made.seeds:
        target.run(data)
    report = Report(name)
    start = time.perf_counter()
    with _stopwatch() as restart:
        for index in range(first, first + inputs):
            data = made[index]
            restart()
            if index % COUNT_EVERY:
                what, _ = _outcome(target, data, report)
            else:
                what = _counted(target, data, report)
            report.inputs += 1
            if what is not None:
                report.findings.append(Finding(index, data, what))
                if len(report.findings) >= most_findings:
                    break
            progress(index)
    report.seconds = time.perf_counter() - start
    return report


@contextlib.contextmanager
def _stopwatch() -> Iterator[Callable[[], Any]]:
    """A function that starts the time of an input; when it is over, the input raises Endless."""

    def over(*args: object) -> None:
        raise Endless(f"still at it after {LONGEST} seconds")

    before = signal.signal(signal.SIGPROF, over)
    try:
        yield lambda: signal.setitimer(signal.ITIMER_PROF, LONGEST)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _counted(target: Target, data: bytes, report: Report) -> str | None:
    """Run one input with the memory counted; what is wrong with the outcome, or None."""
    addresses = _peak_address_space()
    what, size, peak = _traced(target, data, report)
    honest = max(target.honest(data), size)
    if peak > 2 * honest + target.allowance:  # once more: a cache may have grown, of Python's own
        peak = min(peak, _traced(target, data, Report(report.name))[2])
    report.counted += 1
    report.worst_allocation = max(
        report.worst_allocation, (peak - target.allowance) / max(honest, 1)
    )
    if what is None and peak > 2 * honest + target.allowance:
        what = f"allocated {peak} bytes, but the honest size is {honest}"
    grown = _peak_address_space() - addresses
    if what is None and grown > 2 * honest + ADDRESS_ALLOWANCE:
        what = f"took {grown} bytes of address space, but the honest size is {honest}"
    return what


def _traced(target: Target, data: bytes, report: Report) -> tuple[str | None, int, int]:
    """(what is wrong or None, bytes of the arrays that were made, the most that was allocated)."""
    tracemalloc.start()
    try:
        what, size = _outcome(target, data, report)
        return what, size, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _outcome(target: Target, data: bytes, report: Report) -> tuple[str | None, int]:
    """(what is wrong or None, bytes of the arrays that were made)."""
    try:
        size = _nbytes(target.run(data))
    except (Exception, Endless) as error:
        if type(error) is target.allowed:
            report.places[_place(error)] += 1
            return None, 0
        return f"{type(error).__name__}: {error} at {_place(error)}", 0
    report.accepted += 1
    return None, size


def _place(error: BaseException) -> str:
    """The line that raised first: file:line."""
    while error.__cause__ is not None:
        error = error.__cause__
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    if step is None:
        return "?"
    return f"{Path(step.tb_frame.f_code.co_filename).name}:{step.tb_lineno}"


def _nbytes(result: Any) -> int:
    """Bytes of all arrays in a result, however deep they lie in tuples, lists and dicts."""
    if isinstance(result, (np.ndarray, bytes, bytearray)):
        return result.nbytes if isinstance(result, np.ndarray) else len(result)
    if isinstance(result, dict):
        return sum(map(_nbytes, result.values()))
    return sum(map(_nbytes, result)) if isinstance(result, (tuple, list)) else 0


def _peak_address_space() -> int:
    """The most address space that this process ever had, in bytes; 0 where Linux does not tell."""
    try:
        status = Path("/proc/self/status").read_bytes()
    except OSError:
        return 0
    return int(status.partition(b"VmPeak:")[2].split()[0]) * 1024
