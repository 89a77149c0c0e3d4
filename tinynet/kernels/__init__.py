"""The hot loops under convolution and pooling: arrays and a Geometry in, arrays out, no autograd.

A set of kernels is an object with the methods of `plain.Kernels`, where each can be read. There
are three, and each inherits from the one before: "plain"; "numpy", whose plans (`plans/`) are
chosen in `choice.py`; and "numba", compiled. The operations call `current.conv2d(x, w, b, g)` and
so on. The Numba set is used by itself where Numba is installed; `use`, or TINYNET_KERNELS in the
environment, chooses by hand.

`override` puts single functions in the place of kernels:

>>> import tinynet
>>> from tinynet import kernels
>>> own = kernels.current.conv2d
>>> def noisy_conv2d(x, w, b, g):
...     print("called with", g.kernel)
...     return own(x, w, b, g)
>>> with kernels.override(conv2d=noisy_conv2d):
...     _ = tinynet.conv2d(tinynet.ones(1, 1, 3, 3), tinynet.ones(1, 1, 2, 2))
called with (2, 2)
"""

from __future__ import annotations

import copy
import functools
import importlib.util
import os
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tinynet.errors import unknown_name
from tinynet.guard import is_foreign, on_views
from tinynet.kernels import process
from tinynet.kernels.plain import Kernels
from tinynet.scope import Scope

NO_NUMBA = (
    'the Numba kernels need an extra, pip install "tinynet-cnn[fast]", and a compiler that '
    "NUMBA_DISABLE_JIT in the environment does not switch off"
)

current: Kernels
"""The set in use, the same for all threads. It is loaded when it is first asked for."""


def available() -> list[str]:
    """Names of the kernel sets that can be used here, the fastest last.

    "plain", "numpy", and "numba" where it is installed and its compiler not switched off.
    """
    switched_off = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
    numba = importlib.util.find_spec("numba") and not switched_off
    return ["plain", "numpy", "numba"] if numba else ["plain", "numpy"]


def use(kernel_set: str | Kernels) -> str | Kernels:
    """Choose the kernels for the whole process: a set, or the name of one.

    Returns what was chosen before. Raises ValueError for an unknown name, or for "numba" where it
    is not installed.
    """
    global _chosen
    if isinstance(kernel_set, str) and kernel_set not in available():
        if kernel_set == "numba":
            raise ValueError(NO_NUMBA)
        raise unknown_name("kernel set", kernel_set, available())
    before, _chosen = _chosen, kernel_set
    globals().pop("current", None)
    return before


def in_use() -> Kernels:
    """The set `current`, which is loaded when it is first asked for."""
    global current, _chosen
    if "current" not in globals():
        process.prepare()
        _chosen = current = _load(_chosen)
    return current


def _load(kernel_set: str | Kernels) -> Kernels:
    if isinstance(kernel_set, Kernels):
        return kernel_set
    if kernel_set == "plain":
        return Kernels()
    if kernel_set == "numba":
        try:
            from tinynet.kernels.numba_kernels import NumbaKernels

            return NumbaKernels()
        except Exception as error:  # another version of NumPy or LLVM than it was built for
            warnings.warn(
                f"Numba is installed but cannot be used, so NumPy computes: {error}",
                RuntimeWarning,
                stacklevel=5,
            )
    from tinynet.kernels.numpy_kernels import NumpyKernels

    return NumpyKernels()


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Kernels:
        if name == "current":
            return in_use()
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class override(Scope):  # noqa: N801 (written like a function)
    """Put functions in place of the kernels of the same names, within a `with` block.

    They get read-only arrays, but for `momentum_step`, which works in place. What is built on them
    follows: a max-pool with ReLU calls the `relu` and `relu_dx` that are given. A `max_pool2d_dx`
    is given (x, y, relu) to work from. Raises ValueError for a name that is no kernel's.
    """

    def __init__(self, **functions: Callable[..., Any]) -> None:
        names = [name for name, kernel in vars(Kernels).items() if callable(kernel)]
        for name, function in functions.items():
            if name not in names:
                raise unknown_name("kernel", name, names)
            if name != "momentum_step" and is_foreign(function):
                functions[name] = on_views(function, name)
        self._functions = functions
        self._before: list[str | Kernels] = []

    def again(self) -> override:
        return override(**self._functions)

    def __enter__(self) -> None:
        changed = copy.copy(in_use())
        if self._functions.keys() & {"relu", "relu_dx", "max_pool2d_dx"}:
            for kernel in (Kernels.max_pool2d, Kernels.max_pool2d_dx):
                vars(changed)[kernel.__name__] = functools.partial(kernel, changed)
        vars(changed).update(self._functions)
        self._before.append(use(changed))

    def __exit__(self, *error: object) -> None:
        use(self._before.pop())


_chosen: str | Kernels = os.environ.get("TINYNET_KERNELS") or available()[-1]
if _chosen not in available():
    _reason = NO_NUMBA if _chosen == "numba" else unknown_name("kernel set", _chosen, available())
    _chosen = available()[-1]
    warnings.warn(f"{_reason}. Until then {_chosen} computes.", RuntimeWarning, stacklevel=2)
