"""Worker processes that take turns, so that contestants are compared on the same machine.

A worker is `python -m benchmarks.turns TASK SETTINGS`: it makes the step that is to be timed,
makes it once, and then waits. Each line on its stdin is a turn, answered by a line on its stdout,
both JSON. Only one worker works at a time; before the next turn it is made sure that every thread
of the last one sleeps, since OpenMP's and BLAS's threads go on spinning for some milliseconds.

TASK is "module:function"; the function takes the settings and returns the step, a function
without arguments.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, note
from benchmarks.machine import Disturbance, peak_memory_mb

PAUSE = 0.02  # seconds after a turn; then every thread must be found asleep
PATIENCE = 3.0  # seconds until a worker that does not fall asleep is reported
WARM_UP = 0.2  # share of a turn that is worked but not timed


# ----- the worker's side --------------------------------------------------------------------------


def serve(task: str, settings: dict[str, Any]) -> None:
    """Make the step, answer that it is ready, then time it whenever a line asks for it."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever is printed goes to stderr and cannot disturb the answers

    def reply(**answer: float) -> None:
        replies.write(json.dumps(answer) + "\n")
        replies.flush()

    start = time.perf_counter()
    module, function = task.split(":")
    step = getattr(importlib.import_module(module), function)(**settings)
    made = time.perf_counter()
    step()
    first = time.perf_counter()
    reply(setup_s=made - start, first_ms=1000 * (first - made), peak_mb=peak_memory_mb())
    for line in sys.stdin:
        disturbance = Disturbance()
        ms = timed(step, **json.loads(line))
        reply(ms=ms, peak_mb=peak_memory_mb(), others=disturbance.share() or 0.0)


def timed(step: Callable[[], Any], seconds: float) -> float:
    """Milliseconds a step: the median over the steps of a turn, after a warm-up.

    With seconds = 0 it is one step without a warm-up.
    """
    gc.collect()
    clock = time.perf_counter
    end = clock() + WARM_UP * seconds
    while clock() < end:
        step()
    times = []
    end = clock() + seconds
    while True:
        start = clock()
        step()
        now = clock()
        times.append(now - start)
        if now >= end:
            return 1000 * statistics.median(times)


# ----- the side that hands out turns --------------------------------------------------------------


@dataclass
class Result:
    """What a worker was measured at.

    ms: a step, one for each round. others: the part of all cores that other processes took
    meanwhile, likewise.
    """

    ms: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)
    setup_s: float = 0.0
    first_ms: float = 0.0
    peak_mb: float = 0.0

    @property
    def median_ms(self) -> float:
        """Milliseconds a step, the median over the rounds."""
        return statistics.median(self.ms)

    def to_dict(self) -> dict[str, Any]:
        """All figures, for JSON."""
        return {**asdict(self), "median_ms": self.median_ms}


class Worker:
    """A process that has made its step and waits for turns. Close it after use."""

    def __init__(self, label: str, task: str, settings: dict[str, Any]) -> None:
        self.label = label
        self.result = Result()
        command = [sys.executable, "-m", "benchmarks.turns", task, json.dumps(settings)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        ready = self._answer()
        self.result.setup_s, self.result.first_ms = ready["setup_s"], ready["first_ms"]
        self.result.peak_mb = ready["peak_mb"]

    def turn(self, seconds: float) -> None:
        """Let it work; the time of a step is added to the result."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"seconds": seconds}) + "\n")
        self.process.stdin.flush()
        answer = self._answer()
        self.result.ms.append(answer["ms"])
        self.result.others.append(answer["others"])
        self.result.peak_mb = answer["peak_mb"]

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()

    def _answer(self) -> dict[str, float]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            self.close()
            raise SystemExit(f"{self.label}: its process ended with exit code {code}, see above")
        self._wait_until_asleep()
        answer: dict[str, float] = json.loads(line)
        return answer

    def _wait_until_asleep(self) -> None:
        end = time.monotonic() + PATIENCE
        time.sleep(PAUSE)
        while not is_asleep(self.process.pid):
            if time.monotonic() > end:
                note(f"{self.label}: a thread was still busy {PATIENCE:.0f} s after its turn")
                return
            time.sleep(PAUSE)


def is_asleep(pid: int) -> bool:
    """Whether no thread of a process runs. Where there is no /proc, the pause has to do."""
    for thread in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):  # the thread has just ended
            state = thread.read_text().rpartition(")")[2].split()[0]
            if state == "R":
                return False
    return True


@contextlib.contextmanager
def workers(task: str, contestants: dict[str, dict[str, Any]]) -> Iterator[list[Worker]]:
    """A worker for each contestant, made one after the other, ended at the end of the block."""
    with contextlib.ExitStack() as stack:
        made = []
        for label, settings in contestants.items():
            made.append(Worker(label, task, settings))
            stack.callback(made[-1].close)
        yield made


def race(
    task: str, contestants: dict[str, dict[str, Any]], rounds: int, seconds: float
) -> dict[str, Result]:
    """Time each contestant's step: in every round each has one turn, the next one beginning."""
    with workers(task, contestants) as all_workers:
        for number in range(rounds):
            first = number % len(all_workers)
            for worker in all_workers[first:] + all_workers[:first]:
                worker.turn(seconds)
        return {worker.label: worker.result for worker in all_workers}


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        serve(sys.argv[1], json.loads(sys.argv[2]))
