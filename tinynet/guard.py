"""Code of others gets arrays that it cannot change.

What an operation or a kernel is given, others use too: the tensor it came from, the gradient that
a second branch of the graph gets next. Writing into it would change their results without a word.
So a function that does not belong to tinynet is handed read-only views, and where it writes into
one the error says so.
"""

import contextlib
import functools
import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np


def is_foreign(function: Callable[..., Any]) -> bool:
    """Whether `function` was written outside of tinynet, whose tests hold it to write nowhere."""
    return not str(getattr(function, "__module__", "")).startswith("tinynet.")


def on_views(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """`function` on read-only views of its arrays. RuntimeError with `name` where it writes."""

    @functools.wraps(function)
    def guarded(*args: Any, **settings: Any) -> Any:
        args, settings = tuple(map(_view, args)), {k: _view(v) for k, v in settings.items()}
        try:
            return function(*args, **settings)
        except ValueError as error:
            if "read-only" not in str(error):
                raise
            raise RuntimeError(
                f"{name} writes into {_written(function, args, settings)}, which is read-only, "
                "since others use it too. Compute a new array, or change a copy (.copy())."
            ) from error

    return guarded


def _written(function: Callable[..., Any], args: tuple[Any, ...], settings: dict[str, Any]) -> str:
    """The name of the argument of which a copy lets `function` run."""
    for place, name in zip(range(len(args)), inspect.signature(function).parameters):
        if isinstance(args[place], np.ndarray):
            with contextlib.suppress(ValueError):
                function(*args[:place], args[place].copy(), *args[place + 1 :], **settings)
                return name
    return "an array that it was given"


def body_on_views(body: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The same for the body of an operation, which returns (y, dx, ...): y can be written to."""
    guarded = on_views(body, name)
    parameters = inspect.signature(body).parameters.values()
    several = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    most = math.inf if several else sum(p.kind <= p.POSITIONAL_OR_KEYWORD for p in parameters)

    @functools.wraps(body)
    def whole(*args: Any, **settings: Any) -> Any:
        result = guarded(*args, **settings)
        if type(result) is not tuple:
            return result
        y, *gradients = result
        for place, dx in enumerate(gradients):
            if dx is not None and not callable(dx):
                raise TypeError(
                    f"{name}: gradient {place} must be a function of dy, got {dx!r:.60}"
                )
        if len(gradients) > most:
            raise TypeError(f"{name}: returns {len(gradients)} gradients for {most} arguments")
        if isinstance(y, np.ndarray) and not y.flags.writeable:
            y = y.copy()
        views: dict[Any, Any] = {}  # of functions that give several gradients, the same for all
        for dx in gradients:
            if hasattr(dx, "function"):  # see `autograd.together`
                dx.function = views.setdefault(dx.function, _gradient_on_views(dx.function, name))
        return y, *(_gradient_on_views(dx, name) for dx in gradients)

    return whole


def _gradient_on_views(dx: Callable[..., Any] | None, operation: str) -> Any:
    if dx is None or not is_foreign(dx):
        return dx
    name = getattr(dx, "__name__", "dx").replace("<lambda>", "dx")
    return on_views(dx, f"{operation}: its gradient {name}")


def _view(value: Any) -> Any:
    if not isinstance(value, np.ndarray) or not value.flags.writeable:
        return value
    view = value.view()
    view.flags.writeable = False
    return view
