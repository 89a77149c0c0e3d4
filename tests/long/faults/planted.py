"""What a planted fault is: an operation with one wrong gradient, and what a check should say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

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


ALL: list[Planted] = []


def case(*shapes: tuple[int, ...] | np.ndarray, **settings: Any) -> tuple[Any, dict[str, Any]]:
    """Inputs of the given shapes (or the arrays themselves), and settings."""
    return shapes, settings


def planted(
    argument: str, cause: str, *cases: tuple[Any, dict[str, Any]]
) -> Callable[[Body], Body]:
    """Plant the decorated operation, whose gradient of `argument` is wrong, with each case."""

    def plant(op: Body) -> Body:
        for shapes, settings in cases:
            rng = np.random.default_rng(len(ALL))
            inputs = [s if isinstance(s, np.ndarray) else rng.standard_normal(s) for s in shapes]
            ALL.append(Planted(op, inputs, settings, argument, cause))
        return op

    return plant
