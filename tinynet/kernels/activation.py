"""ReLU and its gradient in one pass over memory, shared by the threads where it is long.

Both are bound by memory, not by arithmetic. `dy * (y != 0)` on a whole array writes a mask and
reads it back; cut into pieces that fit into the cache, the mask never leaves it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinynet.kernels import threads

PIECE = 1 << 16  # elements at a time
PARALLEL_FROM = 1 << 18  # elements below which handing over costs more than it saves


def flat_views(*arrays: np.ndarray) -> list[np.ndarray] | None:
    """The arrays as vectors, in the order of their memory, if it is one and the same for all."""
    first = arrays[0]
    order = sorted(range(first.ndim), key=lambda axis: -first.strides[axis])
    turned = [x.transpose(order) for x in arrays]
    if not all(x.flags.c_contiguous and x.dtype == first.dtype for x in turned):
        return None
    return [x.reshape(-1) for x in turned]


def relu(x: np.ndarray) -> np.ndarray:
    """max(x, 0), in the memory order of x."""
    y: np.ndarray
    if x.size <= PIECE:
        y = np.maximum(x, 0)
        return y
    y = np.empty_like(x)
    flat = flat_views(x, y)
    if flat is None:
        np.maximum(x, 0, out=y)
        return y
    share_out(lambda part: np.maximum(flat[0][part], 0, out=flat[1][part]), x.size)
    return y


def relu_dx(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    """dy where y, a result of `relu`, is not 0: where it is positive or NaN."""
    dx: np.ndarray
    if y.size <= PIECE and dy.dtype is y.dtype:
        dx = dy * (y != 0)
        return dx
    dx = np.empty_like(y, np.result_type(dy, y))
    flat = flat_views(dy, y, dx)
    if flat is None:
        np.multiply(dy, y != 0, out=dx)
        return dx

    def work(part: slice) -> None:
        for start in range(part.start, part.stop, PIECE):
            piece = slice(start, min(start + PIECE, part.stop))
            np.multiply(flat[0][piece], flat[1][piece] != 0, out=flat[2][piece])

    share_out(work, y.size)
    return dx


def share_out(work: Callable[[slice], object], size: int) -> None:
    """Run `work` on slices of a vector, one for each thread if it is long."""
    count = threads.get_num_threads() if size >= PARALLEL_FROM else 1
    threads.run(work, [slice(size * i // count, size * (i + 1) // count) for i in range(count)])
