"""How long a submission takes beside the plain loops and beside tinynet's own function."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tinynet.lab import reference
from tinynet.lab.exercises import Exercise, Functions
from tinynet.lab.grid import Case

ENOUGH = 0.1  # seconds that a function is called again and again, to find its best
TOO_LONG = 2.0  # seconds above which one call is not waited for, but estimated


@dataclass
class Timing:
    """Seconds a call at one size, the best of several; estimated: from the smaller size."""

    function: str
    about: str
    loops: float
    yours: float
    built_in: float
    estimated: bool = False  # what the loops or the submission take was not waited for

    @property
    def against_loops(self) -> float:
        """How many times as fast as the loops."""
        return self.loops / self.yours

    @property
    def against_built_in(self) -> float:
        """The share of the built-in function's speed."""
        return self.built_in / self.yours


def time_all(exercise: Exercise, functions: Functions) -> list[Timing]:
    """The timings of every size, for each function from small to large."""
    timings: list[Timing] = []
    last: dict[str, tuple[float, float]] = {}  # seconds of loops and submission per unit of work
    for load in sorted(exercise.cases(timed=True), key=lambda load: load.function):
        built_in = exercise.built_in(load.function)
        built_in(*load.arguments.values())  # what is loaded or compiled when first called
        slow, own = last.get(load.function, (None, None))
        loops, guessed = _seconds(getattr(reference, load.function), load, slow)
        yours, too = _seconds(functions[load.function], load, own)
        quick, _ = _seconds(built_in, load, None)
        last[load.function] = loops / load.work, yours / load.work
        timings.append(Timing(load.function, load.about, loops, yours, quick, guessed or too))
    return timings


def _seconds(
    function: Callable[..., Any], load: Case, per_unit: float | None
) -> tuple[float, bool]:
    """Seconds of the best call, and whether they are an estimate from the time per unit of work."""
    if per_unit is not None and per_unit * load.work > TOO_LONG:
        return per_unit * load.work, True
    best, total = float("inf"), 0.0
    while total < ENOUGH or best == float("inf"):
        start = time.perf_counter()
        function(*load.arguments.values())
        seconds = time.perf_counter() - start
        best, total = min(best, seconds), total + seconds
    return best, False
