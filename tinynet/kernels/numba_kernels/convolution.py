"""Convolution and its gradients: which compiled kernel does it, and in how many tasks.

All of that follows from shapes, and a net asks for the same few in every step. So it is decided
once: a *plan* is a function of arrays alone, made for their shapes and dtype, and remembered. With
the questions asked anew at each call they took as long as a small convolution itself: 16 filters
on 8 channels of 14x14, one image, 17 -> 14 microseconds of which 10 are work, the gradient of its
weight 23 -> 15 (Zen 3).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from tinynet.kernels import numpy_kernels, threads
from tinynet.kernels.geometry import Padding, Pair, output_size, padding_back, span
from tinynet.kernels.numba_kernels import direct, winograd, winograd_few
from tinynet.kernels.numba_kernels.sharing import FLOATS, SERIAL_FLOPS, lying, plain, share_out
from tinynet.kernels.numba_kernels.tiles import lanes
from tinynet.kernels.numpy_kernels import batch_first, common_dtype

BLOCK_BYTES = 1 << 18  # of padded image that one thread holds, in its second-level cache
PLANS = 1024  # that are remembered

Shape: TypeAlias = tuple[int, ...]
Correlation: TypeAlias = Callable[[np.ndarray, np.ndarray, np.ndarray | None], np.ndarray]
"""(x, w, b) -> y."""
WeightGradient: TypeAlias = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""(dy, x) -> (dw, db)."""


def conv2d(
    x: np.ndarray,
    w: np.ndarray,
    b: np.ndarray | None,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    """Convolution. x (N, C, H, W), w (O, C/G, KH, KW), b (O) or None -> y (N, O, OH, OW)."""
    dtype, count = common_dtype(x, w), threads.get_num_threads()
    plan = _forward_plan(x.shape, w.shape, dtype, stride, padding, dilation, groups, count)
    if plan is None:
        return numpy_kernels.conv2d(x, w, b, stride, padding, dilation, groups)
    return plan(x, w, b)


def conv2d_dx(
    dy: np.ndarray,
    w: np.ndarray,
    size: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    """Gradient of the input. dy (N, O, OH, OW), w (O, C/G, KH, KW) -> dx (N, C, *size)."""
    dtype, count = common_dtype(dy, w), threads.get_num_threads()
    plan = _backward_plan(dy.shape, w.shape, size, dtype, stride, padding, dilation, groups, count)
    if plan is None:
        return numpy_kernels.conv2d_dx(dy, w, size, stride, padding, dilation, groups)
    return plan(dy, w, None)


def conv2d_dw(
    dy: np.ndarray,
    x: np.ndarray,
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    """Gradient of the weight. dy (N, O, OH, OW), x (N, C, H, W) -> dw (O, C/G, KH, KW)."""
    return conv2d_dw_db(dy, x, kernel, stride, padding, dilation, groups)[0]


def conv2d_dw_db(
    dy: np.ndarray,
    x: np.ndarray,
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Gradients of the weight and of the bias (O): dy is summed while it is in the cache."""
    dtype, count = common_dtype(dy, x), threads.get_num_threads()
    plan = _weight_plan(dy.shape, x.shape, kernel, dtype, stride, padding, dilation, groups, count)
    if plan is None:
        return numpy_kernels.conv2d_dw_db(dy, x, kernel, stride, padding, dilation, groups)
    return plan(dy, x)


# ----- plans --------------------------------------------------------------------------------------


def _covers(dtype: np.dtype, stride: Pair, padding: Padding, groups: int, *sizes: int) -> bool:
    """Whether the compiled convolution does this case."""
    return (
        dtype in FLOATS
        and stride == (1, 1)
        and groups == 1
        and min(*padding[0], *padding[1]) >= 0
        and 0 not in sizes
    )


@functools.lru_cache(PLANS)
def _forward_plan(
    x: Shape,
    w: Shape,
    dtype: np.dtype,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    count: int,
) -> Correlation | None:
    """The plan of a convolution on `count` threads, None if it is not done here."""
    size = output_size((x[2], x[3]), (w[2], w[3]), stride, padding, dilation)
    if not _covers(dtype, stride, padding, groups, *x, *w, *size):
        return None
    return _correlation(x, w, False, padding, dilation, size, dtype, count)


@functools.lru_cache(PLANS)
def _backward_plan(
    dy: Shape,
    w: Shape,
    size: Pair,
    dtype: np.dtype,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    count: int,
) -> Correlation | None:
    """The plan of the input's gradient: dy correlated with the filters turned around."""
    back = padding_back((dy[2], dy[3]), (w[2], w[3]), size, padding, dilation)
    if not _covers(dtype, stride, back, groups, *dy, *w, *size):
        return None
    return _correlation(dy, w, True, back, dilation, size, dtype, count)


def _rows_per_task(
    N: int, C: int, OH: int, width: int, reach: int, dtype: np.dtype, parts: int
) -> int:
    """Rows of outputs of a block of images whose padded pixels fit into BLOCK_BYTES.

    parts: tasks that there have to be at least, if there are so many rows.
    """
    B = min(N, lanes(dtype))
    fitting = max(1, BLOCK_BYTES // (C * width * B * dtype.itemsize) - reach + 1)
    blocks = -(-N // B)
    strips = max(-(-OH // fitting), -(-parts // blocks))
    return -(-OH // strips)


def _correlation(
    x: Shape,
    w: Shape,
    turned: bool,
    padding: Padding,
    dilation: Pair,
    size: Pair,
    dtype: np.dtype,
    count: int,
) -> Correlation:
    """x (N, C, H, W), w (O, C, KH, KW) or, turned, (C, O, KH, KW) -> y (N, O, *size)."""
    N, C, _, W = x
    O, kernel = w[turned], (w[2], w[3])
    corner = padding[0][0], padding[1][0]
    case = N, C, O, kernel, dilation, size, dtype
    if winograd.pays(*case):
        columns = winograd.chunk(C, 4, size)[1]
        tasks = winograd.tasks(N, size, (1, columns))

        def part(team: Any, first: int, last: int, x: Any, w: Any, b: Any, y: Any) -> None:
            winograd.correlate_part(team, first, last, columns, x, w, turned, b, corner, y)

    elif winograd_few.pays(*case):
        strips, rows, by_filters = winograd_few.plan(C, O, N, size, count)
        tasks = O if by_filters else strips

        def part(team: Any, first: int, last: int, x: Any, w: Any, b: Any, y: Any) -> None:
            own = slice(first, last) if by_filters else slice(0, O)
            first, last = (0, strips) if by_filters else (first, last)
            winograd_few.correlate_few(
                team, first, last, rows, x, w, turned, own.start, b[own], corner, y[own]
            )

    else:
        width, few = W + sum(padding[1]), lanes(dtype) > N
        rows = _rows_per_task(
            N, C, size[0], width, span(kernel[0], dilation[0]), dtype, 1 if few else count
        )
        strips = -(-N // lanes(dtype)) * -(-size[0] // rows)
        tasks = O if few else strips  # of few images the threads share the filters

        def part(team: Any, first: int, last: int, x: Any, w: Any, b: Any, y: Any) -> None:
            o0, o1 = (first, last) if few else (0, O)
            first, last = (0, strips) if few else (first, last)
            direct.correlate_part(
                team, first, last, o0, o1, rows, x, w, turned, b, dilation, corner, width, y
            )

    shape, no_bias = (O, *size, N), np.zeros(O, dtype)
    serial = 2 * O * N * size[0] * size[1] * C * kernel[0] * kernel[1] < SERIAL_FLOPS

    def correlate(x: np.ndarray, w: np.ndarray, b: np.ndarray | None) -> np.ndarray:
        image, filters = lying(x, dtype), plain(w, dtype)
        bias = no_bias if b is None else plain(b, dtype)
        y = np.empty(shape, dtype)
        share_out(
            lambda team, _, first, last: part(team, first, last, image, filters, bias, y),
            tasks,
            serial,
        )
        return batch_first(y)

    return correlate


@functools.lru_cache(PLANS)
def _weight_plan(
    dy: Shape,
    x: Shape,
    kernel: Pair,
    dtype: np.dtype,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    count: int,
) -> WeightGradient | None:
    """The plan of the gradients of weight and bias."""
    if not _covers(dtype, stride, padding, groups, *x, *dy, *kernel):
        return None
    (N, C, _, W), (_, O, OH, OW) = x, dy
    case = N, C, O, kernel, dilation, (OH, OW), dtype
    corner, width = (padding[0][0], padding[1][0]), W + sum(padding[1])
    serial = 2 * O * N * OH * OW * C * kernel[0] * kernel[1] < SERIAL_FLOPS
    if winograd.pays(*case):
        return _winograd_dw(N, C, O, (OH, OW), corner, serial, dtype, count)
    if winograd_few.pays(*case):
        return _winograd_few_dw(N, C, O, (OH, OW), corner, serial, dtype, count)
    few = lanes(dtype) > N  # too few to sum up in each of the threads: they share the filters
    rows = _rows_per_task(N, C, OH, width, span(kernel[0], dilation[0]), dtype, 1 if few else count)
    tasks, K = -(-N // lanes(dtype)) * -(-OH // rows), C * kernel[0] * kernel[1]

    def some_filters(dy: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        slope, image = lying(dy, dtype), lying(x, dtype)
        dw, db = np.empty(O * K, dtype), np.empty(O, dtype)
        share_out(
            lambda team, _, o0, o1: direct.weight_gradient_part(
                team, 0, tasks, o0, o1, rows, image, slope, kernel, dilation, corner, width, dw, db
            ),
            O,
            serial,
        )
        return dw.reshape(O, C, *kernel), db

    def some_tasks(dy: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        slope, image = lying(dy, dtype), lying(x, dtype)
        sums = np.zeros((count, K * O), dtype)
        lane_sums = np.zeros((count, O * lanes(dtype)), dtype)
        parts = share_out(
            lambda team, part, first, last: direct.weight_gradient_part(
                team, first, last, 0, O, rows, image, slope, kernel, dilation, corner, width,
                sums[part], lane_sums[part],
            ),
            tasks,
            serial,
        )  # fmt: skip
        total = sums[0] if parts == 1 else sums[:parts].sum(0)
        dw = np.ascontiguousarray(total.reshape(K, O).T).reshape(O, C, *kernel)
        return dw, _bias_gradient(lane_sums, O)

    return some_filters if few else some_tasks


def _bias_gradient(lane_sums: np.ndarray, O: int) -> np.ndarray:
    """Sums of dy lane by lane and thread by thread -> db (O)."""
    db: np.ndarray = lane_sums.sum(0).reshape(O, -1).sum(1)
    return db


def _winograd_dw(
    N: int, C: int, O: int, size: Pair, corner: Pair, serial: bool, dtype: np.dtype, count: int
) -> WeightGradient:
    rows, columns = winograd.chunk((C + O) // 2, 4, size)
    tasks = winograd.tasks(N, size, (rows, columns))

    def gradients(dy: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        slope, image = lying(dy, dtype), lying(x, dtype)
        sums = np.zeros((count, winograd.PLANES * O * C), dtype)
        lane_sums = np.zeros((count, O * lanes(dtype)), dtype)
        parts = share_out(
            lambda team, part, first, last: winograd.weight_gradient_part(
                team, first, last, rows, columns, image, slope, corner, sums[part], lane_sums[part]
            ),
            tasks,
            serial,
        )
        planes = sums[:parts].sum(0).reshape(winograd.S, winograd.S, C, O)
        dw = np.empty((O, C, 3, 3), dtype)
        winograd.weights_out(planes, dw)
        return dw, _bias_gradient(lane_sums, O)

    return gradients


def _winograd_few_dw(
    N: int, C: int, O: int, size: Pair, corner: Pair, serial: bool, dtype: np.dtype, count: int
) -> WeightGradient:
    """The threads share the channels of x."""
    rows = winograd_few.rows_in_task(C // count + O, N, size, 1)

    def gradients(dy: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        slope, image = lying(dy, dtype), lying(x, dtype)
        dw = np.empty((O, C, 3, 3), dtype)
        share_out(
            lambda team, _, c0, c1: winograd_few.weight_gradient_few(
                team, c0, rows, image[c0:c1], slope, corner, dw
            ),
            C,
            serial,
        )
        return dw, np.add.reduce(slope.reshape(O, -1), 1)

    return gradients
