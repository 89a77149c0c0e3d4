"""PyTorch's trade of time for memory, for scripts that ask for it: nothing is computed twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def checkpoint(
    function: Callable[..., Any], *args: Any, use_reentrant: Any = None, **settings: Any
) -> Any:
    """function(*args, **settings), with the same gradients; use_reentrant has no effect."""
    return function(*args, **settings)
