# mypy: allow-untyped-defs, allow-untyped-calls, allow-subclassing-any
"""The decorators of Numba functions here: `njit` with a cache of our own.

Numba's cache on disk tells entries apart by the processor and the function's own code. The code
here depends on more: the shape of the tiles, and the files of the functions that are called. So
both are part of the key.

Before it looks into its cache, Numba also loads all that it might need in order to compile: NumPy's
functions, lists, dictionaries, random numbers, SciPy where it is installed. What is read from the
disk needs none of it, and most processes read everything. So it is loaded when there is
something to compile.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit, types
from numba.core.caching import FunctionCache
from numba.core.runtime.nrt import rtsys

from tinynet.kernels import winograd
from tinynet.kernels.numba_kernels import ahead
from tinynet.kernels.numba_kernels.shape import SHAPE


@functools.cache
def _sources() -> str:
    """A digest of the files of this package, and of the matrices that it compiles in."""
    digest = hashlib.sha256()
    for path in (*sorted(Path(__file__).parent.glob("*.py")), Path(winograd.__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


class KernelCache(FunctionCache):
    """Numba's cache of a function, with a longer key, and without the compiler until it is due."""

    name: str | None = None  # of a kernel, such as "direct.correlate_part"

    def load_overload(self, sig, target_context):
        """The compiled function of this signature from the disk, or None."""
        rtsys.initialize(target_context)  # memory management, which the compiled code calls
        with self._guard_against_spurious_io_errors():
            found = self._load_overload(sig, target_context)
            if found is None and self.name is not None:
                floats = [
                    a.dtype for a in sig if isinstance(getattr(a, "dtype", None), types.Float)
                ]
                if ahead.missing(self.name, str(floats[0])):
                    found = self._load_overload(sig, target_context)
            return found

    def _index_key(self, sig, codegen):
        return (*super()._index_key(sig, codegen), SHAPE, _sources())


def compiled(function: Callable[..., Any]) -> Any:
    """Compile at the first call with new types, or read from the disk; runs without the GIL."""
    return _compiled(function, callable_from_python=True)


def inner(function: Callable[..., Any]) -> Any:
    """The same for a function that only compiled code calls: a fifth of compiling is saved."""
    return _compiled(function, callable_from_python=False)


def inner_once(function: Callable[..., Any]) -> Any:
    """`inner`, but not compiled anew for each number that a caller has written down.

    To the others such a number is a type of its own, which makes the innermost loops faster.
    """
    dispatcher = inner(function)
    resolve = dispatcher.get_call_template

    def by_plain_types(arguments: tuple[Any, ...], keywords: Any) -> Any:
        return resolve(tuple(map(types.unliteral, arguments)), keywords)

    dispatcher.get_call_template = by_plain_types
    return dispatcher


def _compiled(function: Callable[..., Any], callable_from_python: bool) -> Any:
    options: dict[str, Any] = {
        "no_cfunc_wrapper": True,
        "no_cpython_wrapper": not callable_from_python,
    }
    dispatcher: Any = njit(nogil=True, **options)(function)
    dispatcher._cache = KernelCache(function)
    if callable_from_python:
        dispatcher._cache.name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
    return dispatcher
