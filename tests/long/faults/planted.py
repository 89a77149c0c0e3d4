"""What a planted fault is: an operation with one wrong gradient, and what a check should say."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

Body = Callable[..., tuple[Any, ...]]
Change = Callable[..., Any] | dict[str, Any] | None


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


def given(**other: Any) -> dict[str, Any]:
    """The change of a gradient that is computed with other arguments than the result was.

    A function is applied to the argument that was there: given(stride=1), given(w=np.transpose).
    """
    return other


def faulty(name: str, operation: Body, argument: str, change: Change) -> Body:
    """The operation under another name, and with its gradient of `argument` changed.

    change: what `given` returns; or a function that returns the wrong gradient from what it names
    in its parameters: g, the right one, dy, y, and the operation's own arguments.
    """
    if change is None:
        return operation
    parameters = list(inspect.signature(operation).parameters)
    place = 1 + parameters.index(argument)
    named = () if isinstance(change, dict) else inspect.signature(change).parameters

    @functools.wraps(operation)
    def body(*args: Any, **settings: Any) -> tuple[Any, ...]:
        result = list(operation(*args, **settings))
        right = result[place]
        there = dict(zip(parameters, args)) | settings

        def wrong(dy: Any) -> Any:
            if isinstance(change, dict):
                new = {k: v(there[k]) if callable(v) else v for k, v in change.items()}
                return operation(**(there | new))[place](dy)
            known = {"y": result[0], **there, "dy": dy}
            if "g" in named:
                known["g"] = right(dy)
            return change(*(known[name] for name in named))

        result[place] = wrong
        return tuple(result)

    body.__name__ = name
    return body


def plant(table: Iterable[Any], seed: int = 0) -> list[Planted]:
    """The faults of a table of rows (name, operation, argument, cause, change, *cases).

    seed: of the first fault's inputs; each further fault has the next.
    """
    faults = []
    for name, operation, argument, cause, change, *cases in table:
        op = faulty(name, operation, argument, change)
        for shapes, settings in cases:
            rng = np.random.default_rng(seed + len(faults))
            inputs = [s if isinstance(s, np.ndarray) else rng.standard_normal(s) for s in shapes]
            faults.append(Planted(op, inputs, settings, argument, cause))
    return faults
