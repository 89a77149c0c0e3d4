"""Functions of tinynet that answer to NumPy's protocol as NumPy's own do.

NumPy hands `np.sum(x)` over to `x.__array_function__` where x is no ndarray but has that method.
`@one_step` does the same for a function that bodies of operations call as a whole.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

F = TypeVar("F", bound=Callable[..., Any])


def one_step(function: F) -> F:
    """`function(x, ...)`, which an x that is no ndarray may answer for itself."""

    @functools.wraps(function)
    def answered(x: Any, *args: Any, **settings: Any) -> Any:
        if type(x) is np.ndarray or not hasattr(x, "__array_function__"):
            return function(x, *args, **settings)
        return x.__array_function__(answered, (type(x),), (x, *args), settings)

    return answered  # type: ignore[return-value]
