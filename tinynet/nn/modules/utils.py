"""PyTorch's helpers for layers of one's own: a number becomes as many as there are axes."""

from collections.abc import Callable, Iterable
from typing import Any


def _ntuple(n: int) -> Callable[[Any], tuple[Any, ...]]:
    return lambda x: tuple(x) if isinstance(x, Iterable) else (x,) * n


_single, _pair, _triple = map(_ntuple, (1, 2, 3))
