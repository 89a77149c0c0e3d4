"""Convolution and its gradients: which compiled kernel does it, and in how many tasks.

All of that follows from shapes, and a net asks for the same few in every step. So it is decided
once: a *plan* is a function of arrays alone, made for a geometry, numbers of images and channels,
and a dtype, and remembered. To ask anew at each call takes as long as a small convolution itself.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from tinynet.kernels.geometry import Array, Geometry, Pair, span
from tinynet.kernels.layout import batch_first
from tinynet.kernels.minimal_filtering import S
from tinynet.kernels.numba_kernels import direct, winograd, winograd_small_batch
from tinynet.kernels.numba_kernels.sharing import (
    FLOATS,
    SERIAL_FLOPS,
    batch_last_array,
    share_out,
    writeable,
)
from tinynet.kernels.numba_kernels.tiles import lanes

BLOCK_BYTES = 1 << 18  # of padded image that one thread holds, in its second-level cache
PLANS = 1024  # that are remembered

Correlation: TypeAlias = Callable[[Array, Array, Array | None], Array]
"""(x, w, b) -> y."""
WeightGradient: TypeAlias = Callable[[Array, Array], tuple[Array, Array]]
"""(dy, x) -> (dw, db)."""


def covers(N: int, C: int, O: int, g: Geometry, dtype: np.dtype) -> bool:
    """Whether the compiled convolution does this case."""
    return (
        dtype in FLOATS
        and g.stride == (1, 1)
        and g.groups == 1
        and min(*g.padding[0], *g.padding[1]) >= 0
        and 0 not in (N, C, O, *g.size, *g.kernel, *g.out)
    )


def is_serial(N: int, C: int, O: int, g: Geometry) -> bool:
    """Whether it is so small that one thread does it."""
    return 2 * O * N * g.out[0] * g.out[1] * C * g.kernel[0] * g.kernel[1] < SERIAL_FLOPS


def row_tasks(N: int, C: int, O: int, g: Geometry, dtype: np.dtype, count: int) -> Pair:
    """(rows of outputs of a block of images whose padded pixels fit into BLOCK_BYTES, tasks).

    There is a task for each of `count` threads if there are so many rows. Of a small batch the
    threads share the filters, and each does all rows.
    """
    B, small_batch = min(N, lanes(dtype)), lanes(dtype) > N
    reach = span(g.kernel[0], g.dilation[0])
    fitting = max(1, BLOCK_BYTES // (C * g.padded[1] * B * dtype.itemsize) - reach + 1)
    blocks = -(-N // B)
    strips = max(-(-g.out[0] // fitting), 1 if small_batch else -(-count // blocks))
    rows = -(-g.out[0] // strips)
    return rows, O if small_batch else blocks * -(-g.out[0] // rows)


@functools.lru_cache(PLANS)
def correlation(
    N: int, C: int, O: int, g: Geometry, flipped: bool, dtype: np.dtype, count: int
) -> Correlation | None:
    """The plan of a convolution on `count` threads, None if it is not done here.

    x (N, C, H, W), w (O, C, KH, KW) or, flipped, (C, O, KH, KW) -> y (N, O, OH, OW).
    """
    if not covers(N, C, O, g, dtype):
        return None
    kernel: Any = direct.correlate_part
    settings: tuple[Any, ...]
    if winograd.is_faster(N, C, O, g, dtype):
        columns = winograd.chunk(C, 4, g.out)[1]
        kernel, tasks = winograd.correlate_part, winograd.tasks(N, g.out, (1, columns))
        settings = columns, flipped, g.corner
    elif winograd_small_batch.is_faster(N, C, O, g, dtype):
        strips, rows, by_filters = winograd_small_batch.plan(C, O, N, g.out, count)
        kernel, tasks = winograd_small_batch.correlate_part, O if by_filters else strips
        settings = by_filters, rows, flipped, g.corner
    else:
        rows, tasks = row_tasks(N, C, O, g, dtype, count)
        settings = rows, flipped, g.dilation, g.corner, g.padded[1]
    shape, no_bias, serial = (O, *g.out, N), np.zeros(O, dtype), is_serial(N, C, O, g)

    def correlate(x: Array, w: Array, b: Array | None) -> Array:
        image, filters = batch_last_array(x, dtype), writeable(w, dtype)
        bias = no_bias if b is None else writeable(b, dtype)
        y = np.empty(shape, dtype)
        share_out(kernel, tasks, serial, *settings, image, filters, bias, y)
        return batch_first(y)

    return correlate


@functools.lru_cache(PLANS)
def weight_gradient(
    N: int, C: int, O: int, g: Geometry, dtype: np.dtype, count: int
) -> WeightGradient | None:
    """The plan of the gradients of weight and bias on `count` threads, None if not done here."""
    if not covers(N, C, O, g, dtype):
        return None
    serial, shape = is_serial(N, C, O, g), (O, C, *g.kernel)
    if winograd_small_batch.is_faster(N, C, O, g, dtype):
        rows = winograd_small_batch.rows_in_task(C // count + O, N, g.out, 1)
        part = winograd_small_batch.weight_gradient_part

        def by_channels(dy: Array, x: Array) -> tuple[Array, Array]:
            given, image = batch_last_array(dy, dtype), batch_last_array(x, dtype)
            dw = np.empty(shape, dtype)
            share_out(part, C, serial, rows, g.corner, image, given, dw)
            return dw, np.add.reduce(given.reshape(O, -1), 1)

        return by_channels

    kernel: Any = direct.weight_gradient_part
    settings: tuple[Any, ...]
    by_winograd, small_batch = winograd.is_faster(N, C, O, g, dtype), lanes(dtype) > N
    if by_winograd:
        rows, columns = winograd.chunk((C + O) // 2, 4, g.out)
        kernel, tasks = winograd.weight_gradient_part, winograd.tasks(N, g.out, (rows, columns))
        settings, size = (rows, columns, g.corner), winograd.PLANES * O * C
    else:
        rows, tasks = row_tasks(N, C, O, g, dtype, count)
        settings = rows, g.kernel, g.dilation, g.corner, g.padded[1]
        size = C * g.kernel[0] * g.kernel[1] * O

    def by_tasks(dy: Array, x: Array) -> tuple[Array, Array]:
        given, image = batch_last_array(dy, dtype), batch_last_array(x, dtype)
        if small_batch:  # too small to sum up in each of the threads, which share the weights
            dw, db = np.empty((1, size), dtype), np.empty((1, O), dtype)
            share_out(kernel, tasks, serial, *settings, image, given, dw, db)
            return dw.reshape(shape), db[0]
        sums = np.zeros((count, size), dtype)
        lane_sums = np.zeros((count, O * lanes(dtype)), dtype)
        parts = share_out(kernel, tasks, serial, *settings, image, given, sums, lane_sums)
        total = sums[0] if parts == 1 else sums[:parts].sum(0)
        db = lane_sums.sum(0).reshape(O, -1).sum(1)
        if not by_winograd:
            return np.ascontiguousarray(total.reshape(-1, O).T).reshape(shape), db
        dw = np.empty(shape, dtype)
        winograd.weights_out(total.reshape(S, S, C, O), dw)
        return dw, db

    return by_tasks
