"""`tinynet gradcheck --file`: load a file that a user wrote, and check what it defines."""

from __future__ import annotations

import functools
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tinynet import autograd
from tinynet.cli.file_inputs import CONVENTION, Case, cases, given
from tinynet.cli.options import BadArgument
from tinynet.creation import tensor
from tinynet.data.files import check_regular
from tinynet.errors import unknown_name
from tinynet.gradcheck import EmptyCheckError, Report, gradcheck
from tinynet.gradcheck.table import table
from tinynet.lab.adapter import PARAMETERS, in_place
from tinynet.tensor import Tensor

OPERATIONS_OF = {
    "conv2d": "conv.", "max_pool2d": "pool.max_pool2d", "sum_pool2d": "pool.avg_pool2d",
    "relu": "elementwise.relu",
}  # fmt: skip
"""Which rows of the table run on a kernel, by the kernel's name without _dx or _dw."""

Checked = tuple[list[Report], list[str]]
"""Reports, and notes to print after them."""


def check_file(target: str, seed: int) -> Checked:
    """Check FILE:NAME, or everything that can be checked in FILE."""
    path, name = _parts(target)
    module = load(path)
    functions = {
        key: value
        for key, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__
    }
    if name:
        if name not in functions:
            raise BadArgument(f"{path}: {unknown_name('function', name, functions)}")
        chosen = {name: functions[name]}
    else:
        chosen = {key: f for key, f in functions.items() if hasattr(f, "forward") or kernel_of(f)}
        if not chosen:
            raise BadArgument(
                f"{path} has no operation: put @tinynet.differentiable above a function that "
                f"returns (y, dx, ...), or name the function: --file {path}:NAME"
            )
    reports: list[Report] = []
    notes: list[str] = []
    for key, function in chosen.items():
        try:
            found, said = _check(module, key, function, seed)
        except BadArgument as error:
            if len(chosen) == 1:
                raise
            found, said = [], [f"error: not checked: {error}"]
        except SystemExit as error:
            raise BadArgument(f"{path}: {key} calls exit(), which ends the check") from error
        reports += found
        notes += said
    return reports, notes


def load(path: Path) -> ModuleType:
    """Run a Python file as a module; BadArgument says what is wrong in which line."""
    try:
        check_regular(path)
    except FileNotFoundError as error:
        raise BadArgument(f"there is no file {path}") from error
    except (OSError, ValueError) as error:
        raise BadArgument(f"{path}: {getattr(error, 'strerror', '') or error}") from error
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise BadArgument(f"{path} is no Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent.resolve()))  # it may import its neighbours
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise BadArgument(f"{path}, line {error.lineno}: {error.msg}") from error
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if Path(frame.filename) == path]
        where = f", line {lines[-1]}" if lines else ""
        raise BadArgument(f"{path}{where}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    return module


def kernel_of(function: Callable[..., Any]) -> str:
    """The kernel that a function stands in for, by its parameters or its name; "" if none."""
    names = list(inspect.signature(function).parameters)
    for kernel, theirs in sorted(PARAMETERS.items(), key=lambda item: -len(item[0])):
        if names == theirs and len(names) > 2:
            return kernel
        if len(names) == len(theirs) and function.__name__.endswith(kernel):
            return kernel
    return ""


def _parts(target: str) -> tuple[Path, str]:
    path, colon, name = target.rpartition(":")
    if colon and name.isidentifier():
        return Path(path), name
    return Path(target), ""


def _check(module: ModuleType, name: str, function: Callable[..., Any], seed: int) -> Checked:
    if hasattr(function, "forward"):
        return _check_function(module, name, function, function.forward, seed)
    kernel = kernel_of(function)
    if kernel:
        return _check_kernel(function, kernel, seed)
    wrapped = autograd.differentiable(function)
    try:
        reports, notes = _check_function(module, name, wrapped, function, seed)
    except (BadArgument, TypeError, AttributeError):  # a function of tensors, not of arrays
        return _check_function(module, name, function, function, seed)
    return reports, [
        *notes,
        f"note: {name} was checked as an operation; put @tinynet.differentiable above it to use it",
    ]


def _check_function(
    module: ModuleType,
    name: str,
    operation: Callable[..., Any],
    body: Callable[..., Any],
    seed: int,
) -> Checked:
    """Check an operation, or a function of tensors, at the file's inputs or at guessed ones."""
    convention = next((key for key in CONVENTION if hasattr(module, key)), None)
    notes: list[str] = []
    if convention is not None:
        chosen = given(getattr(module, convention), name, body)
    else:
        rng = np.random.default_rng(seed)
        chosen, left_out = cases(body, lambda *a, **s: _try(operation, body, a, s), rng)
        if not chosen:
            raise BadArgument(
                f"{name}{inspect.signature(body)}: no inputs were found that it takes: "
                f"{left_out[0]}. Give them in the file: INPUTS = (x, ...), or by name, "
                'INPUTS = {"x": x, ...}'
            )
        notes += [f"note: {name} was not checked with {reason}" for reason in left_out]
    return [_check_case(name, operation, case, seed) for case in chosen], notes


def _try(operation: Callable[..., Any], body: Callable[..., Any], args: Any, settings: Any) -> None:
    """Run once; raises if the arguments do not fit, or the result is not finite."""
    if hasattr(operation, "forward"):
        result = body(*args, **settings)
        if not isinstance(result, tuple) or not callable(result[-1]):
            raise TypeError("it does not return (y, dx, ...)")
        y = np.asarray(result[0])
    else:
        y = operation(*map(_as_tensor, args), **settings).array
    if not np.isfinite(y).all():
        raise ArithmeticError("the result is not finite")


def _check_case(name: str, operation: Callable[..., Any], case: Case, seed: int) -> Report:
    fn: Any = functools.partial(operation, **case.settings)
    shapes = ", ".join(
        "x".join(map(str, np.shape(arg))) or "a number" for arg in case.args if _is_float(arg)
    )
    fn.__name__ = f"{name}({', '.join(filter(None, (shapes, case.title)))})"
    return gradcheck(fn, [_as_tensor(arg) for arg in case.args], seed=seed)


def _is_float(value: Any) -> bool:
    return isinstance(value, (np.ndarray, Tensor)) and value.dtype.kind == "f"


def _as_tensor(value: Any) -> Any:
    return tensor(value) if _is_float(value) else value


def _check_kernel(function: Callable[..., Any], kernel: str, seed: int) -> Checked:
    """Check the operations that use a kernel, with the function in its place."""
    start = OPERATIONS_OF[kernel.removesuffix("_dx").removesuffix("_dw")]
    reports: list[Report] = []
    notes = [f"note: {function.__name__} was put in place of the kernel {kernel}"]
    with in_place(**{kernel: function}):
        for row in table(np.random.default_rng(seed)):
            if row.op.startswith(start):
                try:
                    reports.append(gradcheck(row.function(), list(row.inputs), seed=seed))
                except EmptyCheckError:
                    raise
                except Exception as error:
                    notes.append(f"note: not checked: {row}: {type(error).__name__}: {error}")
    return reports, notes
