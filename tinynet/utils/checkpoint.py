"""PyTorch's trade of time for memory, for scripts that ask for it: nothing is computed twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


def checkpoint(
    function: Callable[..., Any], *args: Any, use_reentrant: Any = None, **settings: Any
) -> Any:
    """function(*args, **settings), with the same gradients; use_reentrant has no effect."""
    return function(*args, **settings)


def checkpoint_sequential(
    functions: Iterable[Callable[[Any], Any]], segments: int, x: Any, **settings: Any
) -> Any:
    """What the functions, one after the other, make of x; segments and settings have no effect."""
    for function in functions:
        x = function(x)
    return x
