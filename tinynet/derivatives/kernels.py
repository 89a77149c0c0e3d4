"""The kernels on what is traced: each is an operation, or the plain kernel, whose NumPy functions
are. Arrays go to the set that was in use before, so other threads compute as they did.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from tinynet import kernels
from tinynet.derivatives import linear_maps
from tinynet.derivatives.traced import Traced
from tinynet.kernels.geometry import Geometry
from tinynet.kernels.plain import Kernels

_lock = threading.Lock()
_replays = 0  # going on now, in all threads
_before: Any = None


class _Recorded(Kernels):
    """The kernels on what is traced."""

    def conv2d(self, x: Any, w: Any, b: Any, g: Geometry) -> Any:
        y = _traced(linear_maps.conv2d, x, w, g)
        return y if b is None else y + b[:, None, None]

    def conv2d_dx(self, dy: Any, w: Any, g: Geometry) -> Any:
        return _traced(linear_maps.conv2d_dx, dy, w, g)

    def conv2d_dw_db(self, dy: Any, x: Any, g: Geometry) -> tuple[Any, Any]:
        return _traced(linear_maps.conv2d_dw, dy, x, g), dy.sum((0, 2, 3))


class _Either(Kernels):
    """`own` for arrays, `_Recorded` where anything is traced."""

    def __init__(self, own: Kernels) -> None:
        self.name, recorded = own.name, _Recorded()
        for name, kernel in vars(Kernels).items():
            if callable(kernel):
                vars(self)[name] = _either(getattr(own, name), getattr(recorded, name))


def _either(own: Callable[..., Any], recorded: Callable[..., Any]) -> Callable[..., Any]:
    def kernel(*args: Any) -> Any:
        return (recorded if any(isinstance(x, Traced) for x in args) else own)(*args)

    return kernel


def _traced(operation: Callable[..., Any], *args: Any) -> Traced:
    return Traced(operation(*(x.tensor if isinstance(x, Traced) else x for x in args)))


@contextlib.contextmanager
def recorded() -> Iterator[None]:
    """Kernels that know what is traced, while any thread is inside."""
    global _replays, _before
    with _lock:
        if _replays == 0:
            _before = kernels.use(_Either(kernels.in_use()))
        _replays += 1
    try:
        yield
    finally:
        with _lock:
            _replays -= 1
            if _replays == 0:
                kernels.use(_before)
