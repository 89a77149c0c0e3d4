"""How a step is carried out fast: what the optimizers' formulas do not have to know.

A formula is a dozen NumPy calls. On large arrays it is limited by memory traffic, so they are
updated in blocks that fit the processor's cache: each array is read from memory once. The memory
that a formula works in is allocated once. Nothing here changes a result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from tinynet.kernels import threads
from tinynet.tensor import Tensor

BLOCK = 512 * 1024
"""Elements in a block. Measured for 4096x4096 float32 on one core: Adam 29 ms in blocks, 50 ms
in whole arrays with scratch memory, 119 ms written as a formula; SGD with momentum 13 ms against
23 ms. Blocks below 64 K elements lose it again to the cost of the calls."""

Array: TypeAlias = np.ndarray
State: TypeAlias = dict[str, Any]
Pairs: TypeAlias = list[tuple[Tensor, Array]]
"""Parameters, each with the array of its gradient."""
Formula: TypeAlias = Callable[[Array, Array, State, tuple[Array, ...]], None]
"""Changes p and its state in place, given (p, g, state, three scratch arrays of p's shape)."""


class Executor:
    """Applies formulas to arrays, for one optimizer.

    elementwise: whether its formula treats each number alone. Otherwise it is given each
    parameter whole.
    """

    def __init__(self, elementwise: bool) -> None:
        self.elementwise = elementwise
        self.memory: dict[tuple[str, int], Array] = {}
        self._views: dict[tuple[str, int, tuple[int, ...]], tuple[Array, ...]] = {}

    def __reduce__(self) -> Any:  # a copy shares no memory with this one
        return Executor, (self.elementwise,)

    def update(
        self, formula: Formula, p: Array, g: Array, state: State, names: tuple[str, ...]
    ) -> None:
        """Apply the formula to one parameter, in blocks if it is large."""
        if p.size > BLOCK and self.elementwise:
            rows = _rows(p, g, *(state[name] for name in names))
            if rows is not None:
                self._update_blocks(formula, rows, state["step"], names)
                return
        formula(p, g, state, self.scratch(p.shape, p.dtype))

    def _update_blocks(
        self, formula: Formula, rows: list[Array], step: int, names: tuple[str, ...]
    ) -> None:
        """p, g and the arrays in the state, all of one dimension, block by block.

        The threads share the blocks: it is memory that limits, and two cores move more of it.
        """
        x = rows[0]
        count = threads.get_num_threads()
        rounds = -(-x.size // (BLOCK * count))
        size = -(-x.size // (rounds * count))
        starts = range(0, x.size, size)
        count = min(count, len(starts))

        def work(share: int) -> None:
            for start in starts[share::count]:
                p, g, *saved = (row[start : start + size] for row in rows)
                state = dict(zip(names, saved, strict=True), step=step)
                formula(p, g, state, self.scratch(p.shape, p.dtype, share))

        threads.run(work, range(count))

    def scratch(
        self, shape: tuple[int, ...], dtype: np.dtype[Any], share: int = 0
    ) -> tuple[Array, ...]:
        """Three uninitialised arrays: for each share of the work the same memory every time."""
        key = dtype.char, share, shape
        views = self._views.get(key)
        if views is None:
            size = math.prod(shape)
            memory = self.memory.get(key[:2])
            if memory is None or memory.shape[1] < size:
                memory = self.memory[key[:2]] = np.empty((3, size), dtype)
                self._views = {}  # which may be of the old memory
            views = self._views[key] = tuple(row[:size].reshape(shape) for row in memory)
        return views


def _rows(p: Array, g: Array, *saved: Array) -> list[Array] | None:
    """The arrays as one row each, in p's order in memory; None if p or what is saved has gaps."""
    arrays = [p, g, *saved]
    if not p.flags.c_contiguous:
        order = np.argsort([-stride for stride in p.strides], kind="stable")
        arrays = [array.transpose(order) for array in arrays]
    if not all(array.flags.c_contiguous for array in (arrays[0], *arrays[2:])):
        return None
    return [array.reshape(-1) for array in arrays]
