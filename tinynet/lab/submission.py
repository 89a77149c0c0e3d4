"""A submission: a Python file, the functions it defines, and calls that trust nothing.

`Problem` is raised for whatever a submission does wrong, and tells it in two forms: one line for
a teacher's table, and the details for whoever wrote the function.
"""

import contextlib
import copy
import functools
import gc
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import numpy as np

from tinynet.lab import reference
from tinynet.lab.compare import describe, number, side_by_side, unlike, wrong_kind
from tinynet.lab.exercises import Exercise, Functions
from tinynet.lab.grid import Arguments, Case
from tinynet.lab.hints import hint

OUTPUTS = {
    "conv2d": ("y",), "conv2d_dx": ("dx",), "conv2d_dw": ("dw",), "max_pool2d": ("y",),
    "max_pool2d_dx": ("dx",), "relu": ("y",), "relu_dx": ("dx",), "cross_entropy": ("loss",),
    "cross_entropy_dx": ("dx",), "sgd": ("new p", "new b"),
}  # fmt: skip
"""What each function returns."""


class Problem(Exception):  # noqa: N818 (it is no error of tinynet)
    """What is wrong with a submission: `str` is one line, `detail` what helps to find it.

    mistake: the line without the place, to compare it with those of others.
    """

    def __init__(self, line: str, detail: str = "", mistake: str = "") -> None:
        super().__init__(line)
        self.detail = detail
        self.mistake = mistake or line


def load(path: Path, exercise: Exercise) -> Functions:
    """The functions that an exercise asks for, from the file. Raises Problem if it has none."""
    module = ModuleType(f"submission_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)  # at the end: a file named random.py must not hide Python's own
    try:
        if path.stat().st_size > LONGEST:
            raise ValueError(f"the file has {path.stat().st_size:,} bytes, more than {LONGEST:,}")
        code = compile(path.read_bytes(), str(path), "exec")  # bytes may name their encoding
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # no text, too deep
        line = getattr(error, "lineno", None)
        where = f" in line {line}" if line else ""
        text = "".join(traceback.format_exception_only(error)).strip()
        raise Problem(f"{type(error).__name__}{where}: {_message(error)}", text) from error
    guarded(path, "while the file is loaded", lambda: exec(code, module.__dict__))
    missing = [name for name in exercise.functions if not callable(vars(module).get(name))]
    if missing:
        own = [
            name
            for name, value in vars(module).items()
            if getattr(value, "__module__", None) == module.__name__
        ]
        raise Problem(
            f"it defines no function `{missing[0]}`"
            + (f"; it defines {', '.join(own)}" if own else "")
        )
    return {name: vars(module)[name] for name in exercise.functions}


def guarded(path: Path, when: str, call: Callable[[], Any], inputs: str = "") -> Any:
    """The result of `call`; what it raises, SystemExit too, becomes a Problem with the line.

    when: in a few words. inputs: what it was called with, as lines.
    """
    given = f"\n\nthe inputs:\n{inputs}" if inputs else ""
    try:
        return call()
    except SystemExit as error:
        raise Problem(f"calls exit() {when}", _where(path, error) + given) from error
    except (Problem, KeyboardInterrupt):
        raise
    except BaseException as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
        where = f" in line {frames[-1].lineno}" if frames else ""
        line = f"{type(error).__name__}{where}: {_message(error)}"
        raise Problem(line, (_where(path, error) + given).strip("\n")) from error


def _where(path: Path, error: BaseException) -> str:
    """The lines of the submission that led to the error, as Python shows them."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    return "".join(traceback.format_list(frames)).rstrip()


def _message(error: BaseException) -> str:
    """An exception's message, in one line."""
    try:
        text = error.msg if isinstance(error, SyntaxError) else str(error)
    except Exception:  # of an exception class of the submission's own
        text = ""
    return " ".join(text.split())[:200] or "no message"


def check_case(path: Path, function: Callable[..., Any], case: Case) -> None:
    """Raise Problem unless `function` answers the case as the loops do, and leaves no trace."""
    names = OUTPUTS[case.function]
    expected = _answers(getattr(reference, case.function)(**case.arguments), 1)
    before = copy.deepcopy(case.arguments)
    detail = "\n".join(describe(name, value) for name, value in before.items())
    with _watched(path) as foreign:
        actual = guarded(path, "when called", lambda: function(*case.arguments.values()), detail)
    if foreign:
        raise Problem(_not_own(case.function, foreign), detail)
    for name, value in case.arguments.items():
        if isinstance(value, np.ndarray) and not np.array_equal(value, before[name]):
            raise Problem(
                f"{case.function} changes its input {name} in place; work on {name}.copy()", detail
            )
    given = _answers(actual, len(names))
    if len(given) != len(names):
        values = "one value" if len(given) == 1 else f"{len(given)} values"
        raise Problem(f"{case.function} returns {values}, it must return {' and '.join(names)}")
    for place, right in enumerate(expected):
        _check_answer(case, place, given[place], right, detail)
    _check_state(path, function, case, given)


def _check_answer(case: Case, place: int, actual: Any, expected: Any, detail: str) -> None:
    name = OUTPUTS[case.function][place]
    kind = wrong_kind(name, actual, expected)
    if kind:
        is_like = isinstance(actual, np.ndarray) and actual.dtype == expected.dtype
        guess = hint(case, place, actual, expected) if is_like else ""
        raise Problem(f"{kind}: {guess}" if guess else kind, detail)
    array = np.asarray(actual)
    if not unlike(array, expected).any():
        return
    guess = hint(case, place, array, expected)
    if expected.ndim == 0:
        difference = f"{name} is {number(float(array))}, it must be {number(float(expected))}"
    else:
        difference = side_by_side(name, array, expected)
    wrong = f"wrong values of {name}"
    line, mistake = (f"{wrong}: {guess}", "") if guess else (wrong, f"{wrong}, {case.about}")
    raise Problem(line, f"{difference}\n\nthe inputs:\n{detail}", mistake)


def _check_state(
    path: Path, function: Callable[..., Any], case: Case, first: tuple[Any, ...]
) -> None:
    """Raise Problem if another call changes the first result, or is answered differently."""
    kept = copy.deepcopy(first)
    for other in _others(case.arguments):
        call = functools.partial(function, *other.values())
        second = _answers(guarded(path, "when called with other numbers", call), len(first))
        right = getattr(reference, case.function)
        if _alike(second, kept) and not _alike(second, _answers(right(**other), len(first))):
            raise Problem(
                f"{case.function} answers other numbers with what it computed before; a cache must "
                "not go by the shapes, or some of the arrays, alone"
            )
    if not all(np.array_equal(old, copied) for old, copied in zip(first, kept)):
        raise Problem(
            f"a later call of {case.function} changes the array that an earlier one returned; "
            "make a new array in each call"
        )
    again = _answers(
        guarded(path, "when called again", lambda: function(*case.arguments.values())), len(first)
    )
    if not _alike(again, first):
        raise Problem(
            f"{case.function} keeps state: the same inputs give another result the next time"
        )


def _alike(some: tuple[Any, ...], others: tuple[Any, ...]) -> bool:
    return len(some) == len(others) and all(
        np.shape(a) == np.shape(b) and not unlike(np.asarray(a), np.asarray(b)).any()
        for a, b in zip(some, others)
    )


@contextlib.contextmanager
def _watched(path: Path) -> Iterator[dict[str, None]]:
    """Inside, the modules are noted whose functions run and that are no part of a solution.

    Those that are: the file, its neighbours, NumPy, Numba and Python's own.
    """
    found: dict[str, None] = {}
    here = str(path.resolve().parent)

    def note(frame: FrameType, event: str, argument: Any) -> None:
        name = frame.f_globals.get("__name__", "")
        if event == "c_call":
            name = getattr(argument, "__module__", None) or type(argument.__self__).__module__
        root = str(name).partition(".")[0]
        if event.endswith("return") or root in ALLOWED or name in OURS:
            return
        file = getattr(sys.modules.get(root), "__file__", None) or here
        if not os.path.abspath(file).startswith(here):
            found.setdefault(str(name))

    collecting = gc.isenabled()
    gc.disable()  # it runs what others have left to be run
    sys.setprofile(note)
    threading.setprofile(note)
    try:
        yield found
        if sys.getprofile() is not note:
            found.setdefault("sys.setprofile")
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        if collecting:
            gc.enable()


ALLOWED = {*sys.stdlib_module_names, "numpy", "numba", "llvmlite", "_distutils_hack"}
OURS = (__name__, "tinynet.kernels.guard")  # what calls a submission
LONGEST = 1 << 20  # bytes of a file


def _not_own(function: str, foreign: dict[str, None]) -> str:
    """What to say of a submission that lets others do the work."""
    others = [name for name in foreign if name.partition(".")[0] != "tinynet"]
    name = next(iter(others or foreign))  # an import looks into all modules, tinynet's too
    if name == "sys.setprofile":
        return f"{function} calls {name}, by which is seen who does the work: leave it alone"
    if name.partition(".")[0] == "tinynet":
        return (
            f"{function} calls {name}: in its place it would be calling itself; write it yourself, "
            "in Python and NumPy"
        )
    return f"{function} calls {name.partition('.')[0]}: write it yourself, in Python and NumPy"


def _others(arguments: Arguments) -> Iterator[Arguments]:
    """The same shapes with other numbers: each float array alone doubled, the other way round."""
    for name, value in arguments.items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            yield {**arguments, name: 2 * value[::-1].copy()}


def _answers(value: Any, count: int) -> tuple[Any, ...]:
    """What a function returned, as a tuple; a single value is a tuple of one."""
    if isinstance(value, tuple) and (count > 1 or len(value) > 1):
        return value
    return (value,)
