"""Judging one submission: grid, gradients, speed, training, until something is wrong."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tinynet import kernels
from tinynet.lab import trial
from tinynet.lab.exercises import Exercise, Functions
from tinynet.lab.report import NOT_APPLICABLE, Report, line, percent, speed_table
from tinynet.lab.speed import time_all
from tinynet.lab.submission import Problem, check_case, guarded, load

TRAIN_SECONDS = 15.0


def judge(
    exercise: Exercise,
    path: Path,
    *,
    train_seconds: float = TRAIN_SECONDS,
    tell: Callable[[str], object] = lambda text: None,
    note: Callable[[Report], object] = lambda report: None,
) -> Report:
    """Run a submission through all stages; it stops at the first that goes wrong.

    train_seconds: about how long training may take; 0 leaves it out. tell: gets the outcome of
    each stage as text, when it is there. note: gets the report whenever a stage begins.
    Whatever the submission raises ends up in the report. It runs in this process: what it prints
    is seen, and one that never ends does not end here either (see `judge_folder`).
    """
    report = Report(exercise.name, str(path))
    start = time.perf_counter()

    def begin(stage: str) -> None:
        report.stage = stage
        report.seconds = time.perf_counter() - start
        note(report)

    try:
        with _kernel_set():
            begin("loading")
            functions = load(path, exercise)
            begin("grid")
            _grid(exercise, path, functions, report, tell, note)
            tell(line("grid", f"all {report.cases} cases are right"))
            begin("gradient")
            _gradient(exercise, path, functions, report)
            tell(line("gradient", report.gradient))
            begin("speed")
            timed = guarded(path, "while it was timed", lambda: time_all(exercise, functions))
            report.timings = timed
            tell(line("speed", "").rstrip() + "\n" + speed_table(timed))
            if train_seconds:
                begin("training")
                _training(exercise, path, functions, report, train_seconds, tell)
            begin("done")
    except Problem as problem:
        report.problem = _place(report) + str(problem)
        report.mistake = problem.mistake
        report.detail = problem.detail
        report.seconds = time.perf_counter() - start
        note(report)
    return report


def _place(report: Report) -> str:
    """Where it went wrong, as the start of a line; the grid says it by itself."""
    return {"gradient": "gradient: ", "speed": "speed: ", "training": "training: "}.get(
        report.stage, ""
    )


@contextlib.contextmanager
def _kernel_set() -> Iterator[None]:
    """The NumPy kernels, unless the environment asks for others: nothing to load or compile."""
    before = kernels.use(os.environ.get("TINYNET_KERNELS") or "numpy")
    try:
        yield
    finally:
        kernels.use(before)


def _grid(
    exercise: Exercise,
    path: Path,
    functions: Functions,
    report: Report,
    tell: Callable[[str], object],
    note: Callable[[Report], object],
) -> None:
    cases = list(exercise.cases())
    report.cases = len(cases)
    note(report)
    for number, case in enumerate(cases, start=1):
        try:
            look = functools.partial(check_case, path, functions[case.function], case)
            guarded(path, "when its answer is looked at", look)
        except Problem as problem:
            tell(line("grid", f"{report.passed} of {report.cases} cases are right"))
            which = f"{case.function}, " if len(exercise.functions) > 1 else ""
            where = f"case {number} of {len(cases)} ({which}{case.about})"
            raise Problem(f"{where}: {problem}", problem.detail, str(problem)) from problem
        report.passed = number
        note(report)


def _gradient(exercise: Exercise, path: Path, functions: Functions, report: Report) -> None:
    checks = guarded(path, "in the gradient check", lambda: exercise.check(functions))
    wrong = [check for check in checks if not check]
    if wrong:
        report.gradient = wrong[0].summary()
        raise Problem(wrong[0].summary(), "\n".join(str(check) for check in wrong))
    report.gradient = NOT_APPLICABLE
    if checks:
        compared = sum(sum(check.checked.values()) for check in checks)
        report.gradient = f"agrees with finite differences ({compared} numbers compared)"


def _training(
    exercise: Exercise,
    path: Path,
    functions: Functions,
    report: Report,
    seconds: float,
    tell: Callable[[str], object],
) -> None:
    plan = guarded(path, "in training", lambda: trial.choose_plan(exercise, functions, seconds))
    tell(line("training", f"{plan} ..."))
    result = guarded(path, "in training", lambda: trial.run(exercise, functions, plan))
    report.trial = result
    tell(
        line(
            "",
            f"{percent(result.accuracy)} of the test images are right, in {result.seconds:.1f} s "
            f"(with the built-in: {percent(result.built_in)})",
        )
    )
    if not result.ok:
        raise Problem(
            f"the net learns less than with the built-in function: {percent(result.accuracy)} "
            f"against {percent(result.built_in)}"
        )
