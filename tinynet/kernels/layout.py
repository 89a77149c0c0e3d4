"""How arrays lie in memory: *batch last*, (C, H, W, N) under a view of shape (N, C, H, W).

Then w (O, C*KH*KW) times cols (C*KH*KW, OH*OW*N) comes out as (O, OH, OW, N), which is the layout
of the next layer's input already, and every copy of a shifted image moves runs of at least N
neighbouring numbers. For a batch of one it is the plain (C, H, W). NumPy's elementwise functions
carry the order along by themselves.
"""

import numpy as np

from tinynet.kernels.geometry import Array

CACHE_STRIDE = 1024
"""Bytes; see `stored_batch_last`."""


def batch_last(x: Array) -> Array:
    """The view (C, H, W, N) of an (N, C, H, W) array."""
    return x.transpose(1, 2, 3, 0)


def batch_first(x: Array) -> Array:
    """The view (N, C, H, W) of a (C, H, W, N) array."""
    return x.transpose(3, 0, 1, 2)


def stored_batch_last(x: Array) -> Array:
    """x (N, C, H, W) with the batch last in memory; a copy if need be.

    What is computed by kernels is stored so already; a batch of images from elsewhere is not.
    Images a multiple of CACHE_STRIDE bytes apart are copied eight at a time: the same pixel of
    more of them would have the same few places in the processor's cache.
    """
    images = batch_last(x)
    if images.flags.c_contiguous:
        return x
    if x.strides[0] % CACHE_STRIDE:
        return batch_first(np.ascontiguousarray(images))
    y = np.empty(images.shape, x.dtype)
    for n in range(0, len(x), 8):
        y[..., n : n + 8] = images[..., n : n + 8]
    return batch_first(y)


def cutout(
    x: Array, top: int, height: int, left: int, width: int, outside: float = 0.0
) -> tuple[Array, int]:
    """x[:, top : top + height, left : left + width], and `outside` where that is outside of x.

    x (C, H, W, N) contiguous -> (a contiguous array that holds it, at how many bytes in it).
    """
    C, H, W, N = x.shape
    # rows `above` to `below` and columns `before` to `after` of the result are in x
    above, before = min(max(0, -top), height), min(max(0, -left), width)
    below, after = max(above, min(height, H - top)), max(before, min(width, W - left))
    if below - above == height and after - before == width:
        return x, top * x.strides[1] + left * x.strides[2]
    y = np.empty((C, height, width, N), x.dtype)
    y[:, :above] = y[:, below:] = outside
    y[:, above:below, :before] = y[:, above:below, after:] = outside
    seen = x[:, top + above : top + below, left + before : left + after]
    y[:, above:below, before:after] = seen
    return y, 0


def common_dtype(a: Array, b: Array) -> np.dtype:
    """The dtype in which both are multiplied."""
    return a.dtype if a.dtype is b.dtype else np.result_type(a, b)


def as_vectors(*arrays: Array) -> list[Array] | None:
    """The arrays as vectors, in the order of their memory, if it is one and the same for all."""
    first = arrays[0]
    order = sorted(range(first.ndim), key=lambda axis: -first.strides[axis])
    in_order = [x.transpose(order) for x in arrays]
    if not all(x.flags.c_contiguous and x.dtype == first.dtype for x in in_order):
        return None
    return [x.reshape(-1) for x in in_order]


def places(labels: Array) -> tuple[Array, ...]:
    """The index of each label's own element in an array (N, C, ...): n, label, and the rest."""
    if labels.ndim == 1:
        return np.arange(len(labels)), labels
    grid = np.indices(labels.shape, sparse=True)
    return (*grid[:1], labels, *grid[1:])
