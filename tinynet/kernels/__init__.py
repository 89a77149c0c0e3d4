"""The hot loops under convolution and pooling: arrays in, arrays out, no autograd.

A set of kernels is a module with these functions, all on arrays of shape (N, C, H, W):

    conv2d(x, w, b, stride, padding, dilation, groups) -> y
    conv2d_dx(dy, w, size, stride, padding, dilation, groups) -> dx
    conv2d_dw(dy, x, kernel, stride, padding, dilation, groups) -> dw
    max_pool2d(x, kernel, stride, padding, dilation) -> y
    max_pool2d_dx(dy, x, y, kernel, stride, padding, dilation) -> dx
    sum_pool2d(x, kernel, stride, padding) -> y
    sum_pool2d_dx(dy, size, kernel, stride, padding) -> dx
    relu(x) -> y                                              (any shape)
    relu_dx(dy, y) -> dx

and some that a set can do with less work when it does them in one:

    conv2d_dw_db(dy, x, kernel, stride, padding, dilation, groups) -> dw, db
    max_pool2d_kept(x, kernel, stride, padding, dilation, rectified) -> y, kept
    max_pool2d_kept_dx(dy, kept, size, kernel, stride, padding, dilation) -> dx
    outer(a, b) -> y                                          (vectors)
    momentum_step(p, g, b, t, momentum, lr)                   (any shape, in place)
    label_losses(x, labels, axis) -> losses, p                (cross entropy; classes along axis)

with size, kernel, stride and dilation pairs (vertical, horizontal), and padding
((top, bottom), (left, right)). The order of the elements in memory is the kernels' own affair.

The operations call `current.conv2d(...)` and so on. The Numba set is used by itself where Numba is
installed; `use`, or TINYNET_KERNELS in the environment, chooses by hand. `override` puts single
functions in their place:

>>> from tinynet import kernels
>>> def lazy_conv2d(x, w, b, stride, padding, dilation, groups):
...     print("called")
...     return kernels.numpy_kernels.conv2d(x, w, b, stride, padding, dilation, groups)
>>> import tinynet
>>> with kernels.override(conv2d=lazy_conv2d):
...     _ = tinynet.conv2d(tinynet.ones(1, 1, 3, 3), tinynet.ones(1, 1, 2, 2))
called
"""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from tinynet.errors import unknown_name
from tinynet.kernels import numpy_kernels
from tinynet.kernels.geometry import Padding, Pair
from tinynet.kernels.guard import is_foreign, on_views
from tinynet.kernels.memory import keep_freed_memory
from tinynet.scope import Scope

NAMES = (
    "conv2d",
    "conv2d_dx",
    "conv2d_dw",
    "max_pool2d",
    "max_pool2d_dx",
    "sum_pool2d",
    "sum_pool2d_dx",
    "relu",
    "relu_dx",
)
"""What a set of kernels has."""
COMBINED = (
    "conv2d_dw_db",
    "max_pool2d_kept",
    "max_pool2d_kept_dx",
    "outer",
    "momentum_step",
    "label_losses",
)
"""What a set does in one, where that is less work."""

NO_NUMBA = (
    'the Numba kernels need an extra, pip install "tinynet-cnn[fast]", and a compiler that '
    "NUMBA_DISABLE_JIT in the environment does not switch off"
)

ALIKE = 1024
"""Bytes; see `laid_out`."""

current: Any = SimpleNamespace()
"""The kernels in use, as attributes. The same for all threads."""


def conv2d_dw_db(
    dy: np.ndarray,
    x: np.ndarray,
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Gradients of weight and bias, of the kernel `conv2d_dw` and a sum."""
    dw = current.conv2d_dw(dy, x, kernel, stride, padding, dilation, groups)
    return dw, dy.sum((0, 2, 3))


def max_pool2d_kept(
    x: np.ndarray,
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    rectified: bool,
) -> tuple[np.ndarray, Any]:
    """The kernel `max_pool2d`, then `relu` if rectified, and what the gradient needs."""
    y = current.max_pool2d(x, kernel, stride, padding, dilation)
    z = current.relu(y) if rectified else y
    return z, (x, y, z)


def max_pool2d_kept_dx(
    dy: np.ndarray,
    kept: Any,
    size: Pair,
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
) -> np.ndarray:
    """The kernel `max_pool2d_dx`, after `relu_dx` if it was rectified."""
    x, y, z = kept
    if z is not y:
        dy = current.relu_dx(dy, z)
    dx: np.ndarray = current.max_pool2d_dx(dy, x, y, kernel, stride, padding, dilation)
    return dx


_DERIVED: dict[str, dict[str, Callable[..., Any]]] = {
    "conv2d_dw": {"conv2d_dw_db": conv2d_dw_db},
    "max_pool2d": {"max_pool2d_kept": max_pool2d_kept, "max_pool2d_kept_dx": max_pool2d_kept_dx},
}
_DERIVED.update(dict.fromkeys(("max_pool2d_dx", "relu", "relu_dx"), _DERIVED["max_pool2d"]))


def available() -> list[str]:
    """Names of the kernel sets that can be used here.

    "numpy", and "numba" where it is installed and its compiler not switched off.
    """
    switched_off = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
    return (
        ["numpy", "numba"] if importlib.util.find_spec("numba") and not switched_off else ["numpy"]
    )


def use(name: str) -> None:
    """Choose the kernel set for the whole process, "numpy" or "numba".

    Numba is loaded at the first call of a kernel. Raises ValueError for an unknown name, or for
    "numba" where it is not installed.
    """
    if name not in available():
        if name == "numba":
            raise ValueError(NO_NUMBA)
        raise unknown_name("kernel set", name, available())
    for kernel in NAMES + COMBINED:
        plain = getattr(numpy_kernels, kernel, globals().get(kernel))
        setattr(current, kernel, _on_first_call(kernel) if name == "numba" else plain)
    current.name = name


def _on_first_call(kernel: str) -> Callable[..., Any]:
    """Stands for a Numba kernel until it is called: then all of them are loaded."""

    def load_and_call(*args: Any) -> Any:
        try:
            from tinynet.kernels import numba_kernels as loaded
        except Exception as error:  # another version of NumPy or LLVM than it was built for
            warnings.warn(
                f"Numba is installed but cannot be used, so NumPy computes: {error}",
                RuntimeWarning,
                stacklevel=3,
            )
            use("numpy")
            return getattr(current, kernel)(*args)
        for name in NAMES + COMBINED:
            if getattr(getattr(current, name), "__name__", "") == "load_and_call":
                setattr(current, name, getattr(loaded, name))
        return getattr(loaded, kernel)(*args)

    return load_and_call


class override(Scope):  # noqa: N801 (written like a function)
    """Put functions in place of the kernels of the same names, within a `with` block.

    They get read-only arrays, but for `momentum_step`, which works in place. Raises ValueError
    for a name that is no kernel's.
    """

    def __init__(self, **functions: Callable[..., Any]) -> None:
        for name, function in tuple(functions.items()):
            if name not in NAMES + COMBINED:
                raise unknown_name("kernel", name, NAMES)
            if name != "momentum_step" and is_foreign(function):
                functions[name] = on_views(function, name)
            functions = {**_DERIVED.get(name, {}), **functions}
        self._functions = functions
        self._before: list[dict[str, Callable[..., Any]]] = []

    def again(self) -> override:
        return override(**self._functions)

    def __enter__(self) -> None:
        self._before.append({name: getattr(current, name) for name in self._functions})
        vars(current).update(self._functions)

    def __exit__(self, *error: object) -> None:
        vars(current).update(self._before.pop())


def laid_out(x: np.ndarray) -> np.ndarray:
    """x (N, C, H, W) in the memory order that the kernels work in, batch last; a copy if need be.

    What is computed by kernels lies so already; a batch of images from elsewhere does not. Images
    a multiple of ALIKE bytes apart go eight at a time: the same pixel of more of them would have
    the same few places in the processor's cache (128 x 3x32x32: 1.4 -> 0.4 ms, Zen 3).
    """
    images = x.transpose(1, 2, 3, 0)
    if images.flags.c_contiguous:
        return x
    if x.strides[0] % ALIKE:
        return np.ascontiguousarray(images).transpose(3, 0, 1, 2)
    y = np.empty(images.shape, x.dtype)
    for n in range(0, len(x), 8):
        y[..., n : n + 8] = images[..., n : n + 8]
    return y.transpose(3, 0, 1, 2)


chosen = os.environ.get("TINYNET_KERNELS") or available()[-1]
if chosen == "numba" and "numba" not in available():
    warnings.warn(f"{NO_NUMBA}. Until then NumPy computes.", RuntimeWarning, stacklevel=2)
    chosen = "numpy"
use(chosen)
keep_freed_memory()
