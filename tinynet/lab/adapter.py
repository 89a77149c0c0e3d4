"""Between kernels, which take a Geometry, and functions with the settings written out.

An exercise asks for `conv2d(x, w, b, stride, padding, dilation, groups)` and its like, as the loops
in `reference.py` have them: all that a learner needs stands in the parameter list. `in_place` puts
such functions in the place of kernels, and `WrittenOut` calls kernels as such functions are called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinynet import kernels
from tinynet.errors import unknown_name
from tinynet.kernels.geometry import Geometry, Padding, Pair
from tinynet.kernels.guard import is_foreign, on_views
from tinynet.kernels.plain import Kernels


class WrittenOut:
    """A set of kernels, called with the settings written out; see `reference.py`."""

    def __init__(self, kernel_set: Kernels) -> None:
        self.kernels = kernel_set

    def conv2d(
        self,
        x: np.ndarray,
        w: np.ndarray,
        b: np.ndarray | None,
        stride: Pair,
        padding: Padding,
        dilation: Pair,
        groups: int,
    ) -> np.ndarray:
        g = Geometry.of(x.shape[2:], w.shape[2:], stride, padding, dilation, groups)
        return self.kernels.conv2d(x, w, b, g)

    def conv2d_dx(
        self,
        dy: np.ndarray,
        w: np.ndarray,
        size: Pair,
        stride: Pair,
        padding: Padding,
        dilation: Pair,
        groups: int,
    ) -> np.ndarray:
        g = Geometry.of(size, w.shape[2:], stride, padding, dilation, groups, dy.shape[2:])
        return self.kernels.conv2d_dx(dy, w, g)

    def conv2d_dw(
        self,
        dy: np.ndarray,
        x: np.ndarray,
        kernel: Pair,
        stride: Pair,
        padding: Padding,
        dilation: Pair,
        groups: int,
    ) -> np.ndarray:
        g = Geometry.of(x.shape[2:], kernel, stride, padding, dilation, groups, dy.shape[2:])
        return self.kernels.conv2d_dw_db(dy, x, g)[0]

    def max_pool2d(
        self, x: np.ndarray, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair
    ) -> np.ndarray:
        g = Geometry.of(x.shape[2:], kernel, stride, padding, dilation)
        return self.kernels.max_pool2d(x, g)[0]

    def max_pool2d_dx(
        self,
        dy: np.ndarray,
        x: np.ndarray,
        y: np.ndarray,
        kernel: Pair,
        stride: Pair,
        padding: Padding,
        dilation: Pair,
    ) -> np.ndarray:
        g = Geometry.of(x.shape[2:], kernel, stride, padding, dilation)
        return self.kernels.max_pool2d_dx(dy, (x, y, False), g)

    def sum_pool2d(
        self, x: np.ndarray, kernel: Pair, stride: Pair, padding: Padding
    ) -> np.ndarray:
        return self.kernels.sum_pool2d(x, Geometry.of(x.shape[2:], kernel, stride, padding))

    def sum_pool2d_dx(
        self, dy: np.ndarray, size: Pair, kernel: Pair, stride: Pair, padding: Padding
    ) -> np.ndarray:
        return self.kernels.sum_pool2d_dx(dy, Geometry.of(size, kernel, stride, padding))

    def relu(self, x: np.ndarray) -> np.ndarray:
        return self.kernels.relu(x)

    def relu_dx(self, dy: np.ndarray, y: np.ndarray) -> np.ndarray:
        return self.kernels.relu_dx(dy, y)


NAMES = [name for name in vars(WrittenOut) if not name.startswith("_")]


def in_place(**functions: Callable[..., Any]) -> kernels.override:
    """`kernels.override` for functions with the settings written out.

    Raises ValueError for a name that there is not in `WrittenOut`.
    """
    made: dict[str, Callable[..., Any]] = {}
    for name, function in functions.items():
        if name not in NAMES:
            raise unknown_name("kernel", name, NAMES)
        kernel = {"conv2d_dw": "conv2d_dw_db"}.get(name, name)
        made[kernel] = _ADAPTERS[kernel](on_views(function, name) if is_foreign(function) else function)
    return kernels.override(**made)


def _of_conv2d(own: Callable[..., Any]) -> Callable[..., Any]:
    def conv2d(x: np.ndarray, w: np.ndarray, b: np.ndarray | None, g: Geometry) -> Any:
        return own(x, w, b, *_settings(g))

    return conv2d


def _settings(g: Geometry) -> tuple[Any, ...]:
    return g.stride, g.padding, g.dilation, g.groups
