"""Code of others gets arrays that it cannot change.

What an operation or a kernel is given, others use too: the tensor it came from, the gradient that
a second branch of the graph gets next. Writing into it would change their results without a word.
So a function that does not belong to tinynet is handed read-only views, and where it writes into
one the error says so.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np


def is_foreign(function: Callable[..., Any]) -> bool:
    """Whether `function` was written outside of tinynet, whose tests hold it to write nowhere."""
    return not getattr(function, "__module__", "").startswith("tinynet.")


def on_views(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """`function` on read-only views of its arrays. RuntimeError with `name` where it writes."""

    @functools.wraps(function)
    def guarded(*args: Any, **settings: Any) -> Any:
        try:
            return function(*map(_view, args), **{k: _view(v) for k, v in settings.items()})
        except ValueError as error:
            if "read-only" not in str(error):
                raise
            raise RuntimeError(
                f"{name} writes into an array that it was given, which others use too. Compute a "
                "new one, such as np.where(x > 0, dy, 0), or change a copy: dy = dy.copy()."
            ) from error

    return guarded


def body_on_views(body: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The same for the body of an operation, which returns (y, dx, ...): y can be written to."""
    guarded = on_views(body, name)

    @functools.wraps(body)
    def whole(*args: Any, **settings: Any) -> Any:
        result = guarded(*args, **settings)
        if type(result) is not tuple:
            return result
        y, *gradients = result
        if isinstance(y, np.ndarray) and not y.flags.writeable:
            y = y.copy()
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
