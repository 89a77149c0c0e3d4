"""ReLU, its gradient and the outer product in one pass over memory, shared by the threads.

All are bound by memory, not by arithmetic. `dy * (y != 0)` on a whole array writes a mask and reads
it back; cut into pieces that fit into the cache, the mask never leaves it. The outer product sums
nothing up, and BLAS is slow at it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinynet.kernels import threads
from tinynet.kernels.geometry import Array
from tinynet.kernels.layout import as_vectors

PIECE = 1 << 16  # elements at a time
PARALLEL_FROM = 1 << 18  # elements below which handing over costs more than it saves
OUTER_FROM = 500_000  # likewise, of an outer product


def relu(x: Array) -> Array:
    """max(x, 0), in the memory order of x."""
    y = np.empty_like(x)
    vectors = as_vectors(x, y)
    if vectors is None:
        np.maximum(x, 0, out=y)
        return y
    share_out(lambda part: np.maximum(vectors[0][part], 0, out=vectors[1][part]), x.size)
    return y


def relu_dx(dy: Array, y: Array) -> Array:
    """dy where y, a result of `relu`, is not 0."""
    dx = np.empty_like(y, np.result_type(dy, y))
    vectors = as_vectors(dy, y, dx)
    if vectors is None:
        np.multiply(dy, y != 0, out=dx)
        return dx

    def work(part: slice) -> None:
        for start in range(part.start, part.stop, PIECE):
            piece = slice(start, min(start + PIECE, part.stop))
            np.multiply(vectors[0][piece], vectors[1][piece] != 0, out=vectors[2][piece])

    share_out(work, y.size)
    return dx


def outer(a: Array, b: Array) -> Array:
    """a (M), b (P) -> a_m b_p (M, P)."""
    y = np.empty((len(a), len(b)), np.result_type(a, b))
    parts = shares(len(a), min(threads.get_num_threads(), len(a)))
    threads.run(lambda part: np.multiply(a[part, None], b, out=y[part]), parts)
    return y


def share_out(work: Callable[[slice], object], size: int) -> None:
    """Run `work` on slices of a vector, one for each thread if it is long."""
    threads.run(work, shares(size, threads.get_num_threads() if size >= PARALLEL_FROM else 1))


def shares(size: int, count: int) -> list[slice]:
    """`count` slices of `size` elements."""
    return [slice(size * i // count, size * (i + 1) // count) for i in range(count)]
