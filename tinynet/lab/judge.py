"""Judging one submission: grid, gradients, speed, training, until something is wrong."""

import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tinynet import kernels
from tinynet.lab import trial
from tinynet.lab.exercises import Exercise, Functions
from tinynet.lab.report import NOT_APPLICABLE, STAGES, Report, line, percent, speed_table
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
    judging = _Judging(exercise, path, train_seconds, tell, note)
    report = judging.report
    start = time.perf_counter()
    try:
        with _kernel_set():
            for stage in STAGES:
                report.stage, report.seconds = stage, time.perf_counter() - start
                note(report)
                getattr(judging, stage)()
    except Problem as problem:
        in_grid = report.stage in ("loading", "grid")  # which says by itself where it was
        report.problem = str(problem) if in_grid else f"{report.stage}: {problem}"
        report.mistake, report.detail = problem.mistake, problem.detail
        report.seconds = time.perf_counter() - start
        note(report)
    return report


@contextlib.contextmanager
def _kernel_set() -> Iterator[None]:
    """The NumPy kernels, unless the environment asks for others: nothing to load or compile."""
    before = kernels.use(os.environ.get("TINYNET_KERNELS") or "numpy")
    try:
        yield
    finally:
        kernels.use(before)


@dataclass
class _Judging:
    """A submission on its way: each method is a stage, and raises Problem where it ends."""

    exercise: Exercise
    path: Path
    seconds: float
    tell: Callable[[str], object]
    note: Callable[[Report], object]

    def __post_init__(self) -> None:
        self.report = Report(self.exercise.name, str(self.path))
        self.functions: Functions = {}

    def loading(self) -> None:
        self.functions = load(self.path, self.exercise)

    def grid(self) -> None:
        report, cases = self.report, list(self.exercise.cases())
        report.cases = len(cases)
        for case in cases:
            self.note(report)
            look = functools.partial(check_case, self.path, self.functions[case.function], case)
            try:
                guarded(self.path, "when its answer is looked at", look)
            except Problem as problem:
                self.tell(line("grid", f"{report.passed} of {report.cases} cases are right"))
                which = f"{case.function}, " if len(self.exercise.functions) > 1 else ""
                where = f"case {report.passed + 1} of {len(cases)} ({which}{case.about})"
                raise Problem(f"{where}: {problem}", problem.detail, problem.mistake) from problem
            report.passed += 1
        self.tell(line("grid", f"all {report.cases} cases are right"))

    def gradient(self) -> None:
        check = functools.partial(self.exercise.check, self.functions)
        checks = guarded(self.path, "in the gradient check", check)
        wrong = [check for check in checks if not check]
        if wrong:
            self.report.gradient = wrong[0].summary()
            raise Problem(wrong[0].summary(), "\n".join(str(check) for check in wrong))
        compared = sum(sum(check.checked.values()) for check in checks)
        agrees = f"agrees with finite differences ({compared} numbers compared)"
        self.report.gradient = agrees if checks else NOT_APPLICABLE
        self.tell(line("gradient", self.report.gradient))

    def speed(self) -> None:
        timing = functools.partial(time_all, self.exercise, self.functions)
        timed = self.report.timings = guarded(self.path, "while it was timed", timing)
        self.tell(line("speed", "").rstrip() + "\n" + speed_table(timed))

    def training(self) -> None:
        if not self.seconds:
            return
        given = self.exercise, self.functions
        choose = functools.partial(trial.choose_plan, *given, self.seconds)
        plan = guarded(self.path, "in training", choose)
        self.tell(line("training", f"{plan} ..."))
        train = functools.partial(trial.run, *given, plan)
        result = self.report.trial = guarded(self.path, "in training", train)
        ours, built_in = percent(result.accuracy), percent(result.built_in)
        seconds = f"in {result.seconds:.1f} s (with the built-in: {built_in})"
        self.tell(line("", f"{ours} of the test images are right, {seconds}"))
        if not result.ok:
            raise Problem(
                f"the net learns less than with the built-in function: {ours} against {built_in}"
            )

    def done(self) -> None:
        """Nothing is left to do."""
