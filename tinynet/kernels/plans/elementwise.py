"""ReLU and its gradient in one pass over memory, shared by the threads.

Both are bound by memory, not by arithmetic. `dy * (y != 0)` on a whole array writes a mask and
reads it back; cut into pieces that fit into the cache, the mask never leaves it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinynet.kernels import threads
from tinynet.kernels.geometry import Array
from tinynet.kernels.layout import as_vectors

PIECE = 1 << 16  # elements at a time
PARALLEL_FROM = 1 << 18  # elements below which handing over costs more than it saves


def relu(x: Array) -> Array:
    """max(x, 0), in the memory order of x."""
    y = np.empty_like(x)
    in_pieces(lambda x, y: np.maximum(x, 0, out=y), x, y)
    return y


def relu_dx(dy: Array, y: Array) -> Array:
    """dy where y, a result of `relu`, is not 0."""
    dx = np.empty_like(y, np.result_type(dy, y))
    in_pieces(lambda dy, y, dx: np.multiply(dy, y != 0, out=dx), dy, y, dx)
    return dx


def in_pieces(work: Callable[..., object], *arrays: Array) -> None:
    """`work` on pieces of arrays of one shape, by each thread its share if they are long.

    On the whole of them where they do not lie in one and the same order in memory.
    """
    vectors = as_vectors(*arrays)
    if vectors is None:
        work(*arrays)
        return

    def share(part: slice) -> None:
        for start in range(part.start, part.stop, PIECE):
            piece = slice(start, min(start + PIECE, part.stop))
            work(*(vector[piece] for vector in vectors))

    size = arrays[0].size
    count = threads.get_num_threads() if size >= PARALLEL_FROM else 1
    threads.run(share, threads.shares(size, count))
