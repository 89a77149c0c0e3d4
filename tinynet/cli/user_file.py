"""`tinynet gradcheck --file`: load a file that a user wrote, and check what it defines."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tinynet import autograd
from tinynet.cli.file_inputs import CONVENTION, Case, cases, given
from tinynet.cli.options import BadArgument, choose
from tinynet.cli.python_file import load
from tinynet.creation import tensor
from tinynet.function import Function
from tinynet.gradcheck import EmptyCheckError, Report, check
from tinynet.gradcheck.subject import joined
from tinynet.gradcheck.table import table
from tinynet.lab.adapter import PARAMETERS, in_place
from tinynet.tensor import Tensor

OPERATIONS_OF = {
    "conv2d": "conv.", "max_pool2d": "pool.max_pool2d", "sum_pool2d": "pool.avg_pool2d",
    "relu": "elementwise.relu",
}  # fmt: skip
"""Which rows of the table run on a kernel, by the kernel's name without _dx or _dw."""

Found = list["Report | str"]
"""Reports, and notes to print after them."""


def check_file(target: str, seed: int) -> Found:
    """Check FILE:NAME, or everything that can be checked in FILE."""
    file, colon, name = target.rpartition(":")
    if not (colon and name.isidentifier()):
        file, name = target, ""
    path = Path(file)
    module = load(path)
    functions = {
        key: value
        for key, value in vars(module).items()
        if (inspect.isfunction(value) or _is_class(value)) and value.__module__ == module.__name__
    }
    if name:
        chosen = {name: functions[choose("function", name, functions, f"{path}: ")]}
    else:
        chosen = {key: f for key, f in functions.items() if hasattr(f, "forward") or kernel_of(f)}
        if not chosen:
            raise BadArgument(
                f"{path} has no operation: put @tinynet.differentiable above a function that "
                f"returns (y, dx, ...), or name the function: --file {path}:NAME"
            )
    found: Found = []
    for key, function in chosen.items():
        try:
            found += _check(module, key, function, seed)
        except BadArgument as error:
            if len(chosen) == 1:
                raise
            found.append(f"error: not checked: {error}")
        except SystemExit as error:
            raise BadArgument(f"{path}: {key} calls exit(), which ends the check") from error
    return sorted(found, key=lambda told: isinstance(told, str))


def _is_class(value: Any) -> bool:
    """Whether a value is an `autograd.Function`."""
    return inspect.isclass(value) and issubclass(value, Function)


def kernel_of(function: Callable[..., Any]) -> str:
    """The kernel that a function stands in for, by its parameters or its name; "" if none."""
    names = list(inspect.signature(function).parameters)
    for kernel, theirs in sorted(PARAMETERS.items(), key=lambda item: -len(item[0])):
        if names == theirs and len(names) > 2:
            return kernel
        if len(names) == len(theirs) and function.__name__.endswith(kernel):
            return kernel
    return ""


def _check(module: ModuleType, name: str, function: Any, seed: int) -> Found:
    if _is_class(function):
        parameters = inspect.signature(function._operation)

        def apply(*args: Any, **settings: Any) -> Any:
            return function.apply(*parameters.bind(*args, **settings).args)

        apply.__signature__ = parameters  # type: ignore[attr-defined]
        return _check_function(module, name, apply, function._operation, seed)
    if hasattr(function, "forward"):
        return _check_function(module, name, function, function.forward, seed)
    if kernel := kernel_of(function):
        return _check_kernel(function, kernel, seed)
    operation = autograd.differentiable(function)
    try:
        found = _check_function(module, name, operation, function, seed)
    except (BadArgument, TypeError, AttributeError):  # a function of tensors, not of arrays
        return _check_function(module, name, function, function, seed)
    cure = "put @tinynet.differentiable above it to use it"
    return [*found, f"note: {name} was checked as an operation; {cure}"]


def _check_function(
    module: ModuleType,
    name: str,
    operation: Callable[..., Any],
    body: Callable[..., Any],
    seed: int,
) -> Found:
    """Check an operation, or a function of tensors, at the file's inputs or at guessed ones."""
    convention = next((key for key in CONVENTION if hasattr(module, key)), None)
    left_out: list[str] = []
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
    notes = [f"note: {name} was not checked with {reason}" for reason in left_out]
    return [*(_check_case(name, operation, case, seed) for case in chosen), *notes]


def _try(operation: Callable[..., Any], body: Callable[..., Any], args: Any, settings: Any) -> None:
    """Run once; raises if the arguments do not fit, or the result is not finite."""
    if hasattr(operation, "forward"):
        result = body(*args, **settings)
        if not isinstance(result, tuple) or not callable(result[-1]):
            raise TypeError("it does not return (y, dx, ...)")
        y = np.asarray(result[0])
    else:
        y = joined(operation(*map(_as_tensor, args), **settings)).array
    if not np.isfinite(y).all():
        raise ArithmeticError("the result is not finite")


def _check_case(name: str, operation: Callable[..., Any], case: Case, seed: int) -> Report:
    fn: Any = functools.partial(operation, **case.settings)
    shapes = ", ".join(
        "x".join(map(str, np.shape(arg))) or "a number" for arg in case.args if _is_float(arg)
    )
    fn.__name__ = f"{name}({', '.join(filter(None, (shapes, case.title)))})"
    return check.checked(fn, [_as_tensor(arg) for arg in case.args], seed=seed)


def _is_float(value: Any) -> bool:
    return isinstance(value, (np.ndarray, Tensor)) and value.dtype.kind == "f"


def _as_tensor(value: Any) -> Any:
    return tensor(value) if _is_float(value) else value


def _check_kernel(function: Callable[..., Any], kernel: str, seed: int) -> Found:
    """Check the operations that use a kernel, with the function in its place."""
    start = OPERATIONS_OF[kernel.removesuffix("_dx").removesuffix("_dw")]
    found: Found = [f"note: {function.__name__} was put in place of the kernel {kernel}"]
    with in_place(**{kernel: function}):
        for row in table(np.random.default_rng(seed)):
            if row.op.startswith(start):
                try:
                    found.append(check.checked(row.function(), row.inputs, seed=seed))
                except EmptyCheckError:
                    raise
                except Exception as error:
                    found.append(f"note: not checked: {row}: {type(error).__name__}: {error}")
    return found
