# mypy: allow-untyped-defs, allow-untyped-calls, allow-subclassing-any
"""The decorators of Numba functions here: `njit` with a cache of our own.

Numba's cache on disk tells entries apart by the processor and the function's own code. The code
here depends on more: the shape of the tiles, and the files of the functions that are called. So
both are part of the key.

Before it looks into its cache, Numba also loads all that it might need in order to compile: NumPy's
functions, lists, dictionaries, random numbers, SciPy where it is installed. What is read from the
disk needs none of it, and most processes read everything. So it is loaded when there is
something to compile. For the same reason a kernel, which no compiled code calls, is kept without
the bitcode that Numba would need to build it into others, and would read each time.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llvmlite import binding
from numba import njit, types
from numba.core.caching import CompileResultCacheImpl, FunctionCache
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


class InnerCache(FunctionCache):
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


class WithoutBitcode(CompileResultCacheImpl):
    """How a kernel is written to the disk: as machine code, and the names of what is in it."""

    def reduce(self, cres):
        (name, kind, (machine_code, bitcode)), *others = super().reduce(cres)
        return ((name, kind, (machine_code, _names_alone(bitcode))), *others)


def _names_alone(bitcode: bytes) -> bytes:
    """A module that defines the same names, with nothing behind them."""
    module = binding.parse_bitcode(bitcode)
    functions = (f.name for f in module.functions if not f.is_declaration)
    variables = (v.name for v in module.global_variables if not v.is_declaration)
    lines = [f'define void @"{name}"() {{ ret void }}' for name in functions]
    lines += [f'@"{name}" = global i8 0' for name in variables]
    named: bytes = binding.parse_assembly("\n".join(lines)).as_bitcode()
    return named


class KernelCache(InnerCache):
    """The same for a kernel."""

    _impl_class: Any = WithoutBitcode


def compiled(function: Callable[..., Any]) -> Any:
    """A kernel: compiled at the first call with new types, or read from the disk; without the GIL.

    Compiled code does not call it; what both call is an `inner` function, and a kernel around it.
    """
    return _compiled(function, callable_from_python=True)


def inner(function: Callable[..., Any]) -> Any:
    """A function that only compiled code calls: a fifth of compiling is saved."""
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
    dispatcher._cache = (KernelCache if callable_from_python else InnerCache)(function)
    if callable_from_python:
        dispatcher._cache.name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
    return dispatcher
