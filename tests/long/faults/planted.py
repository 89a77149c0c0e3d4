"""What a planted fault is: an operation with one wrong gradient, and what a check should say."""

from __future__ import annotations

import ast
import inspect
import linecache
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tests.long.faults import operations

Body = Callable[..., tuple[Any, ...]]


class Planted:
    """A wrong backward pass.

    op: the body of an operation, `(y, dx, dw, ...)`; its name is what a check should name.
    inputs: float64 arrays; for a model its batch. settings: the rest of the arguments.
    argument: whose gradient is wrong, "" where it is the function as a whole.
    cause: the mistake that was made, written down with the fault.
    build: for a fault that hides in a model, makes the model and its loss.
    """

    def __init__(
        self,
        op: Body,
        inputs: Sequence[np.ndarray],
        settings: dict[str, Any],
        argument: str,
        cause: str,
        build: Callable[[], tuple[Any, Any]] | None = None,
    ) -> None:
        self.op = op
        self.inputs = list(inputs)
        self.settings = settings
        self.argument = argument
        self.cause = cause
        self.build = build

    @property
    def name(self) -> str:
        """The operation with its sizes and settings."""
        shapes = ", ".join("x".join(map(str, x.shape)) or "()" for x in self.inputs)
        settings = "".join(
            f", {name}={value}" for name, value in self.settings.items() if np.ndim(value) < 2
        )
        if self.build is not None:
            return f"{self.op.__name__} in {self.build.__name__}{settings}"
        return f"{self.op.__name__}({shapes}{settings})"


def case(*shapes: tuple[int, ...] | np.ndarray, **settings: Any) -> tuple[Any, dict[str, Any]]:
    """Inputs of the given shapes (or the arrays themselves), and settings."""
    return shapes, settings


def faulty(name: str, operation: Body, argument: str, wrong: str) -> Body:
    """The operation under another name, its gradient of `argument` written wrongly in its source.

    wrong: the code of what it gives for dy; g in it is what is right. "" for an operation that is
    wrong as it stands.
    """
    if not wrong:
        return operation
    (function,) = ast.parse(inspect.getsource(operation)).body
    assert isinstance(function, ast.FunctionDef)
    place = 1 + [parameter.arg for parameter in function.args.args].index(argument)
    returned: Any = function.body.pop()
    parts = list(map(ast.unparse, returned.value.elts))
    right = parts[place]
    inner = f"{right}(dy)" if right.isidentifier() else f"({right.removeprefix('lambda dy: ')})"
    parts[place] = "lambda dy: " + re.sub(r"\bg\b", inner, wrong)
    function.name = name
    function.body = [line for line in function.body if getattr(line, "name", "") != right]
    lines = (
        *ast.unparse(function).splitlines(),
        "    return (",
        *(f"        {p}," for p in parts),
        "    )",
    )
    text = "".join(f"{line}\n" for line in lines)
    file = f"<{name} {len(linecache.cache)}>"
    linecache.cache[file] = len(text), None, text.splitlines(keepends=True), file
    space = dict(vars(operations))
    exec(compile(text, file, "exec", dont_inherit=True), space)
    body: Body = space[name]
    return body


def plant(table: Iterable[Any], seed: int = 0) -> list[Planted]:
    """The faults of a table of rows (name, operation, argument, cause, wrong, *cases).

    seed: of the first fault's inputs; each further fault has the next.
    """
    faults = []
    for name, operation, argument, cause, wrong, *cases in table:
        op = faulty(name, operation, argument, wrong)
        for shapes, settings in cases:
            rng = np.random.default_rng(seed + len(faults))
            inputs = [s if isinstance(s, np.ndarray) else rng.standard_normal(s) for s in shapes]
            faults.append(Planted(op, inputs, settings, argument, cause))
    return faults
