"""The kernels on what is traced: each is an operation, or the plain kernel, whose NumPy functions
are. Arrays go to the set that was in use before.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from tinynet import kernels
from tinynet.derivatives.traced import Traced, computed
from tinynet.kernels.geometry import Geometry
from tinynet.kernels.plain import Kernels

_lock = threading.RLock()


class _Recorded(Kernels):
    """The kernels on what is traced."""

    def conv2d(self, x: Any, w: Any, b: Any, g: Geometry) -> Any:
        y = computed("conv2d", None, (x, w, g))
        return y if b is None else y + b[:, None, None]

    def conv2d_dx(self, dy: Any, w: Any, g: Geometry) -> Any:
        return computed("conv2d_dx", None, (dy, w, g))

    def conv2d_dw_db(self, dy: Any, x: Any, g: Geometry) -> tuple[Any, Any]:
        return computed("conv2d_dw", None, (dy, x, g)), dy.sum((0, 2, 3))


def _either(own: Callable[..., Any], recorded: Callable[..., Any]) -> Callable[..., Any]:
    """`own` for arrays, `recorded` where anything is traced."""
    return lambda *args: (recorded if any(isinstance(x, Traced) for x in args) else own)(*args)


@contextlib.contextmanager
def recorded() -> Iterator[None]:
    """Kernels that know what is traced, in all threads, of which one at a time is inside."""
    with _lock:
        own, on_traced = kernels.in_use(), _Recorded()
        names = [name for name, kernel in vars(Kernels).items() if callable(kernel)]
        either = {name: _either(getattr(own, name), getattr(on_traced, name)) for name in names}
        with kernels.override(**either):
            yield
