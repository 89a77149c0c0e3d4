"""Convolution and its gradients: which compiled kernel does it, and in how many tasks.

All of that follows from shapes, and a net asks for the same few in every step. So it is decided
once: a *plan* is a function of arrays alone, made for a geometry, numbers of images and channels,
and a dtype, and remembered. To ask anew at each call takes as long as a small convolution itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from tinynet.kernels.geometry import Array, Geometry, span
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


def rows_per_task(N: int, C: int, g: Geometry, dtype: np.dtype, parts: int) -> int:
    """Rows of outputs of a block of images whose padded pixels fit into BLOCK_BYTES.

    parts: tasks that there have to be at least, if there are so many rows.
    """
    B = min(N, lanes(dtype))
    reach = span(g.kernel[0], g.dilation[0])
    fitting = max(1, BLOCK_BYTES // (C * g.padded[1] * B * dtype.itemsize) - reach + 1)
    blocks = -(-N // B)
    strips = max(-(-g.out[0] // fitting), -(-parts // blocks))
    return -(-g.out[0] // strips)


@functools.lru_cache(PLANS)
def correlation(
    N: int, C: int, O: int, g: Geometry, flipped: bool, dtype: np.dtype, count: int
) -> Correlation | None:
    """The plan of a convolution on `count` threads, None if it is not done here.

    x (N, C, H, W), w (O, C, KH, KW) or, flipped, (C, O, KH, KW) -> y (N, O, OH, OW).
    """
    if not covers(N, C, O, g, dtype):
        return None
    if winograd.is_faster(N, C, O, g, dtype):
        columns = winograd.chunk(C, 4, g.out)[1]
        tasks = winograd.tasks(N, g.out, (1, columns))

        def part(team: Any, _: int, first: int, last: int, *arrays: Any) -> None:
            winograd.correlate_part(team, first, last, columns, flipped, g.corner, *arrays)

    elif winograd_small_batch.is_faster(N, C, O, g, dtype):
        strips, rows, by_filters = winograd_small_batch.plan(C, O, N, g.out, count)
        tasks = O if by_filters else strips

        def part(team: Any, _: int, first: int, last: int, *arrays: Any) -> None:
            x, w, b, y = arrays
            own = slice(first, last) if by_filters else slice(0, O)
            first, last = (0, strips) if by_filters else (first, last)
            winograd_small_batch.correlate_part(
                team, first, last, rows, x, w, flipped, own.start, b[own], g.corner, y[own]
            )

    else:
        small_batch = lanes(dtype) > N
        rows = rows_per_task(N, C, g, dtype, 1 if small_batch else count)
        strips = -(-N // lanes(dtype)) * -(-g.out[0] // rows)
        tasks = O if small_batch else strips  # of a small batch the threads share the filters
        settings = rows, flipped, g.dilation, g.corner, g.padded[1]

        def part(team: Any, _: int, first: int, last: int, *arrays: Any) -> None:
            share = (0, strips, first, last) if small_batch else (first, last, 0, O)
            direct.correlate_part(team, *share, *settings, *arrays)

    shape, no_bias, serial = (O, *g.out, N), np.zeros(O, dtype), is_serial(N, C, O, g)

    def correlate(x: Array, w: Array, b: Array | None) -> Array:
        image, filters = batch_last_array(x, dtype), writeable(w, dtype)
        bias = no_bias if b is None else writeable(b, dtype)
        y = np.empty(shape, dtype)
        share_out(part, tasks, serial, image, filters, bias, y)
        return batch_first(y)

    return correlate


@functools.lru_cache(PLANS)
def weight_gradient(
    N: int, C: int, O: int, g: Geometry, dtype: np.dtype, count: int
) -> WeightGradient | None:
    """The plan of the gradients of weight and bias on `count` threads, None if not done here."""
    if not covers(N, C, O, g, dtype):
        return None
    if lanes(dtype) > N:
        return _of_small_batch(N, C, O, g, dtype, count)
    serial, K = is_serial(N, C, O, g), C * g.kernel[0] * g.kernel[1]
    by_winograd = winograd.is_faster(N, C, O, g, dtype)
    if by_winograd:
        rows, columns = winograd.chunk((C + O) // 2, 4, g.out)
        tasks, size = winograd.tasks(N, g.out, (rows, columns)), winograd.PLANES * O * C
    else:
        rows = rows_per_task(N, C, g, dtype, count)
        tasks, size = -(-N // lanes(dtype)) * -(-g.out[0] // rows), K * O
        settings = rows, g.kernel, g.dilation, g.corner, g.padded[1]

    def part(team: Any, i: int, first: int, last: int, x: Any, dy: Any, dw: Any, db: Any) -> None:
        if by_winograd:
            where = rows, columns, g.corner
            winograd.weight_gradient_part(team, first, last, *where, x, dy, dw[i], db[i])
        else:
            direct.weight_gradient_part(team, first, last, 0, O, *settings, x, dy, dw[i], db[i])

    def by_tasks(dy: Array, x: Array) -> tuple[Array, Array]:
        given, image = batch_last_array(dy, dtype), batch_last_array(x, dtype)
        sums = np.zeros((count, size), dtype)
        lane_sums = np.zeros((count, O * lanes(dtype)), dtype)
        parts = share_out(part, tasks, serial, image, given, sums, lane_sums)
        total = sums[0] if parts == 1 else sums[:parts].sum(0)
        db: Array = lane_sums.sum(0).reshape(O, -1).sum(1)
        if by_winograd:
            dw = np.empty((O, C, 3, 3), dtype)
            winograd.weights_out(total.reshape(S, S, C, O), dw)
        else:
            dw = np.ascontiguousarray(total.reshape(K, O).T).reshape(O, C, *g.kernel)
        return dw, db

    return by_tasks


def _of_small_batch(
    N: int, C: int, O: int, g: Geometry, dtype: np.dtype, count: int
) -> WeightGradient:
    """The same for a batch too small to sum up in each of the threads, which share the weights."""
    serial, shape = is_serial(N, C, O, g), (O, C, *g.kernel)
    if winograd_small_batch.is_faster(N, C, O, g, dtype):
        rows = winograd_small_batch.rows_in_task(C // count + O, N, g.out, 1)

        def channels(team: Any, _: int, c0: int, c1: int, x: Any, dy: Any, dw: Any) -> None:
            winograd_small_batch.weight_gradient_part(team, c0, rows, x[c0:c1], dy, g.corner, dw)

        def by_channels(dy: Array, x: Array) -> tuple[Array, Array]:
            given, image = batch_last_array(dy, dtype), batch_last_array(x, dtype)
            dw = np.empty(shape, dtype)
            share_out(channels, C, serial, image, given, dw)
            return dw, np.add.reduce(given.reshape(O, -1), 1)

        return by_channels
    rows = rows_per_task(N, C, g, dtype, 1)
    tasks = -(-g.out[0] // rows)
    settings = rows, g.kernel, g.dilation, g.corner, g.padded[1]

    def filters(team: Any, _: int, o0: int, o1: int, *arrays: Any) -> None:
        direct.weight_gradient_part(team, 0, tasks, o0, o1, *settings, *arrays)

    def by_filters(dy: Array, x: Array) -> tuple[Array, Array]:
        given, image = batch_last_array(dy, dtype), batch_last_array(x, dtype)
        dw, db = np.empty(shape, dtype), np.empty(O, dtype)
        share_out(filters, O, serial, image, given, dw.reshape(-1), db)
        return dw, db

    return by_filters
