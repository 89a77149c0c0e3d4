"""The kernels compiled by Numba, with the same signatures as the NumPy ones.

Each file is one idea:

    shape.py         how large the tiles are on this processor
    compiled.py      the decorator that compiles and keeps the result on disk
    ahead.py         a second process that compiles gradients meanwhile
    team.py          how a kernel starts the threads that share it, and waits for them
    tiles.py         vector code: a tile of a matrix product that stays in registers
    copies.py        lines, runs and tiles of pixels from place to place
    direct.py        convolution as that product, over windows that are never unfolded
    winograd.py      3x3 convolution with a quarter of the multiplications
    winograd_few.py  the same for few images
    blocks.py        vector code for the pool that every small net has, 2x2
    pooling.py       pooling in plain loops
    activation.py    ReLU in one pass
    outer.py         the product of a column and a row
    step.py          SGD with momentum in one pass

What it brings stands in benchmarks/RESULTS.md (`make bench`), case by case, beside PyTorch and the
NumPy kernels.

What is not covered goes to the NumPy kernels: groups, strides of a convolution, dtypes other than
float32 and float64, empty arrays, in `conv2d_dx` padding wider than the window, and pooling of
fewer images than a line holds lanes, except blocks of 2x2: NumPy's rows are longer than the loops'
here.

Buffers: what a thread holds at a time is a block of padded images (BLOCK_BYTES, or one row of
outputs where that is more), in `winograd` the planes (LINES_IN_PLANES, or four tiles of every
channel), and its share of the weight's gradient.

Compiled code is cached on disk beside the source, or where NUMBA_CACHE_DIR says, by processor,
shape of the tiles and contents of these files. No fast-math flag is set; sums are reordered only
where the code says so.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tinynet.kernels import activation as numpy_activation
from tinynet.kernels import numpy_kernels, threads
from tinynet.kernels.geometry import Padding, Pair, output_size, span
from tinynet.kernels.numba_kernels import activation, direct, pooling, step, winograd, winograd_few
from tinynet.kernels.numba_kernels.outer import outer_rows
from tinynet.kernels.numba_kernels.tiles import lanes
from tinynet.kernels.numpy_kernels import batch_first, batch_last

BLOCK_BYTES = 1 << 18  # of padded image that one thread holds, in its second-level cache
SERIAL_FLOPS = 1_000_000  # below this, a second thread costs more than it saves
SERIAL_BYTES = 1 << 18  # the same for pooling and ReLU
FLOATS = np.dtype(np.float32), np.dtype(np.float64)


def lying(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """x (N, C, H, W) as an array (C, H, W, N), contiguous and writeable."""
    return plain(batch_last(x), dtype)


def plain(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """x, contiguous and writeable: Numba compiles anew for read-only arrays, so these are copied.

    The kernels write to no input.
    """
    flags = x.flags
    if flags.c_contiguous and flags.writeable and x.dtype == dtype:
        return x
    x = np.ascontiguousarray(x, dtype)
    return x if x.flags.writeable else x.copy()


def share_out(work: Callable[[Any, int, int, int], Any], tasks: int, serial: bool) -> int:
    """Run work(team, part, first, last) over 0 .. tasks - 1, a share for each thread; -> parts."""
    parts = 1 if serial else min(threads.get_num_threads(), tasks)
    if parts == 1:
        work(threads.NOBODY, 0, 0, tasks)
    else:
        ends = [tasks * part // parts for part in range(parts + 1)]
        threads.run_compiled(lambda part, team: work(team, part, ends[part], ends[part + 1]), parts)
    return parts


@functools.lru_cache(1024)  # a net asks for the same few in every step
def _covers(dtype: np.dtype, stride: Pair, padding: Padding, groups: int, *sizes: int) -> bool:
    """Whether the compiled convolution does this case."""
    return (
        dtype in FLOATS
        and stride == (1, 1)
        and groups == 1
        and min(*padding[0], *padding[1]) >= 0
        and 0 not in sizes
    )


@functools.lru_cache(1024)
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


def _correlate(
    x: np.ndarray,
    w: np.ndarray,
    turned: bool,
    b: np.ndarray | None,
    padding: Padding,
    dilation: Pair,
    size: Pair,
    dtype: np.dtype,
) -> np.ndarray:
    """x (C, H, W, N), w (O, C, KH, KW) or, turned, (C, O, KH, KW) -> y (N, O, *size)."""
    C, _, W, N = x.shape
    O, kernel = w.shape[turned], w.shape[2:]
    w = plain(w, dtype)
    y = np.empty((O, *size, N), dtype)
    bias = np.zeros(O, dtype) if b is None else plain(b, dtype)
    corner = padding[0][0], padding[1][0]
    if winograd.pays(N, C, O, kernel, dilation, size, dtype):
        columns = winograd.chunk(C, 4, size)[1]

        def work(team: Any, part: int, first: int, last: int) -> None:
            winograd.correlate_part(team, first, last, columns, x, w, turned, bias, corner, y)

        tasks = winograd.tasks(N, size, (1, columns))
    elif winograd_few.pays(N, C, O, kernel, dilation, size, dtype):
        strips, rows, by_filters = winograd_few.plan(C, O, N, size, threads.get_num_threads())

        def work(team: Any, part: int, first: int, last: int) -> None:
            own = slice(first, last) if by_filters else slice(0, O)
            first, last = (0, strips) if by_filters else (first, last)
            winograd_few.correlate_few(
                team, first, last, rows, x, w, turned, own.start, bias[own], corner, y[own]
            )

        tasks = O if by_filters else strips
    else:
        width, few = W + sum(padding[1]), lanes(dtype) > N
        parts = 1 if few else threads.get_num_threads()
        rows = _rows_per_task(N, C, size[0], width, span(kernel[0], dilation[0]), dtype, parts)
        strips = -(-N // lanes(dtype)) * -(-size[0] // rows)
        tasks = O if few else strips  # of few images the threads share the filters

        def work(team: Any, part: int, first: int, last: int) -> None:
            own = slice(first, last) if few else slice(0, O)
            first, last = (0, strips) if few else (first, last)
            direct.correlate_part(
                team, first, last, rows, x, w, turned, own.start, bias[own], dilation, corner,
                width, y[own],
            )  # fmt: skip

    share_out(work, tasks, 2 * y.size * C * kernel[0] * kernel[1] < SERIAL_FLOPS)
    return batch_first(y)


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
    dtype = np.result_type(x, w)
    size = output_size(x.shape[2:], w.shape[2:], stride, padding, dilation)
    if not _covers(dtype, stride, padding, groups, *x.shape, *w.shape, *size):
        return numpy_kernels.conv2d(x, w, b, stride, padding, dilation, groups)
    return _correlate(lying(x, dtype), w, False, b, padding, dilation, size, dtype)


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
    dtype = np.result_type(w, dy)
    back: Any = tuple(
        (span(k, d) - 1 - before, length + before - dy_length)
        for k, d, (before, _), length, dy_length in zip(
            w.shape[2:], dilation, padding, size, dy.shape[2:]
        )
    )
    if not _covers(dtype, stride, back, groups, *dy.shape, *w.shape, *size):
        return numpy_kernels.conv2d_dx(dy, w, size, stride, padding, dilation, groups)
    return _correlate(lying(dy, dtype), w, True, None, back, dilation, size, dtype)


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
    dtype = np.result_type(x, dy)
    if not _covers(dtype, stride, padding, groups, *x.shape, *dy.shape, *kernel):
        return numpy_kernels.conv2d_dw_db(dy, x, kernel, stride, padding, dilation, groups)
    C, O, size = x.shape[1], dy.shape[1], dy.shape[2:]
    image, slope = lying(x, dtype), lying(dy, dtype)
    corner = padding[0][0], padding[1][0]
    summed = len(x) >= lanes(dtype)
    lane_sums = np.zeros((threads.get_num_threads(), O * lanes(dtype) if summed else 0), dtype)
    if winograd.pays(len(x), C, O, kernel, dilation, size, dtype):
        dw = _winograd_dw(slope, image, corner, lane_sums)
    elif winograd_few.pays(len(x), C, O, kernel, dilation, size, dtype):
        dw = _winograd_few_dw(slope, image, corner)
    else:
        width = x.shape[3] + sum(padding[1])
        dw = _direct_dw(slope, image, kernel, dilation, corner, width, lane_sums)
    if not summed:
        return dw, np.add.reduce(slope.reshape(O, -1), 1)
    return dw, lane_sums.sum(0).reshape(O, -1).sum(1)


def _winograd_dw(dy: np.ndarray, x: np.ndarray, corner: Pair, lane_sums: np.ndarray) -> np.ndarray:
    """dy (O, OH, OW, N), x (C, H, W, N) -> dw (O, C, 3, 3)."""
    C, O, N, size = len(x), len(dy), x.shape[3], dy.shape[1:3]
    rows, columns = winograd.chunk((C + O) // 2, 4, size)
    sums = np.zeros((threads.get_num_threads(), winograd.PLANES * O * C), x.dtype)

    def work(team: Any, part: int, first: int, last: int) -> None:
        winograd.weight_gradient_part(
            team, first, last, rows, columns, x, dy, corner, sums[part], lane_sums[part]
        )

    serial = 18 * dy.size * C < SERIAL_FLOPS
    parts = share_out(work, winograd.tasks(N, size, (rows, columns)), serial)
    planes = sums[:parts].sum(0).reshape(winograd.S, winograd.S, C, O)
    dw = np.empty((O, C, 3, 3), x.dtype)
    winograd.weights_back(planes, dw, 0)
    return dw


def _winograd_few_dw(dy: np.ndarray, x: np.ndarray, corner: Pair) -> np.ndarray:
    """dy (O, OH, OW, N), x (C, H, W, N) -> dw (O, C, 3, 3); the threads share the channels of x."""
    C, O, N, size = len(x), len(dy), x.shape[3], dy.shape[1:3]
    rows = winograd_few.rows_in_task(C // threads.get_num_threads() + O, N, size, 1)
    dw = np.empty((O, C, 3, 3), x.dtype)

    def work(team: Any, part: int, first: int, last: int) -> None:
        winograd_few.weight_gradient_few(team, first, rows, x[first:last], dy, corner, dw)

    share_out(work, C, 18 * dy.size * C < SERIAL_FLOPS)
    return dw


def _direct_dw(
    dy: np.ndarray,
    x: np.ndarray,
    kernel: Pair,
    dilation: Pair,
    corner: Pair,
    width: int,
    lane_sums: np.ndarray,
) -> np.ndarray:
    """dy (O, OH, OW, N), x (C, H, W, N) -> dw (O, C, *kernel); width: of the padded image."""
    C, O, N, OH = len(x), len(dy), x.shape[3], dy.shape[1]
    K = C * kernel[0] * kernel[1]
    few = lanes(x.dtype) > N  # too few to sum up in each of the threads: they share the filters
    parts = 1 if few else threads.get_num_threads()
    rows = _rows_per_task(N, C, OH, width, span(kernel[0], dilation[0]), x.dtype, parts)
    serial = 2 * dy.size * K < SERIAL_FLOPS
    tasks = -(-N // lanes(x.dtype)) * -(-OH // rows)
    if few:
        dw = np.empty((O, K), x.dtype)

        def some_filters(team: Any, part: int, first: int, last: int) -> None:
            total = np.zeros(K * (last - first), x.dtype)
            direct.weight_gradient_part(
                team, 0, tasks, rows, x, dy[first:last], kernel, dilation, corner, width,
                total, lane_sums[0],
            )  # fmt: skip
            dw[first:last] = total.reshape(K, -1).T

        share_out(some_filters, O, serial)
        return dw.reshape(O, C, *kernel)
    sums = np.zeros((threads.get_num_threads(), O * K), x.dtype)

    def work(team: Any, part: int, first: int, last: int) -> None:
        direct.weight_gradient_part(
            team, first, last, rows, x, dy, kernel, dilation, corner, width,
            sums[part], lane_sums[part],
        )  # fmt: skip

    parts = share_out(work, tasks, serial)
    total = sums[0] if parts == 1 else sums[:parts].sum(0)
    return np.ascontiguousarray(total.reshape(K, O).T).reshape(O, C, *kernel)


def _pools(x: np.ndarray, dtype: np.dtype, few: bool) -> bool:
    """Whether the compiled pooling does this case and is faster; few: for few images too."""
    return (
        dtype in FLOATS
        and dtype == x.dtype
        and 0 not in x.shape
        and (few or len(x) >= lanes(dtype))
    )


def max_pool2d(
    x: np.ndarray, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair
) -> np.ndarray:
    """The largest element of each window; padding counts as -inf. (N, C, H, W) -> (.., OH, OW)."""
    return max_pool2d_kept(x, kernel, stride, padding, dilation, rectified=False)[0]


def max_pool2d_kept(
    x: np.ndarray,
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    rectified: bool,
) -> tuple[np.ndarray, Any]:
    """The maxima, or 0 where they are below it and rectified, and what the gradient needs.

    That is, for blocks of 2x2, the winners' numbers; else x, and the maxima before and after ReLU.
    """
    size = output_size(x.shape[2:], kernel, stride, padding, dilation)
    halves = kernel == stride == (2, 2) and x.shape[2:] == (2 * size[0], 2 * size[1])
    if not _pools(x, x.dtype, halves):
        y = numpy_kernels.max_pool2d(x, kernel, stride, padding, dilation)
        z = relu(y) if rectified else y
        return z, (x, y, z)
    y = np.empty((x.shape[1], *size, x.shape[0]), x.dtype)
    winners = np.empty(y.shape if halves else 0, np.uint8)
    image, corner = lying(x, x.dtype), (padding[0][0], padding[1][0])

    def work(team: Any, part: int, first: int, last: int) -> None:
        if halves:
            pooling.halve(team, first, last, image, y, winners, rectified)
        else:
            pooling.maxima(team, first, last, image, y, kernel, stride, corner, dilation)

    share_out(work, y.shape[0] * y.shape[1], x.nbytes < SERIAL_BYTES)
    if halves:
        return batch_first(y), winners
    y = batch_first(y)
    z = relu(y) if rectified else y
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
    """Gradient of the input (N, C, *size), from what `max_pool2d_kept` kept."""
    if isinstance(kept, tuple):
        x, y, z = kept
        dy = dy if z is y else relu_dx(dy, z)
        return max_pool2d_dx(dy, x, y, kernel, stride, padding, dilation)
    slopes = lying(dy, dy.dtype)
    dx = np.empty((len(slopes), *size, slopes.shape[3]), dy.dtype)

    def work(team: Any, part: int, first: int, last: int) -> None:
        pooling.halve_dx(team, first, last, slopes, kept, dx)

    share_out(work, slopes.shape[0] * slopes.shape[1], dx.nbytes < SERIAL_BYTES)
    return batch_first(dx)


def max_pool2d_dx(
    dy: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
) -> np.ndarray:
    """Gradient of the input: dy goes to the first element of each window that equals y."""
    if not _pools(x, dy.dtype, few=False):
        return numpy_kernels.max_pool2d_dx(dy, x, y, kernel, stride, padding, dilation)
    x, y, dy = lying(x, x.dtype), lying(y, x.dtype), lying(dy, x.dtype)
    dx, corner = np.empty_like(x), (padding[0][0], padding[1][0])

    def work(team: Any, part: int, first: int, last: int) -> None:
        pooling.maxima_dx(team, first, last, dy, x, y, dx, kernel, stride, corner, dilation)

    share_out(work, len(x), x.nbytes < SERIAL_BYTES)
    return batch_first(dx)


def sum_pool2d(x: np.ndarray, kernel: Pair, stride: Pair, padding: Padding) -> np.ndarray:
    """The sum of each window. (N, C, H, W) -> (N, C, OH, OW)."""
    if not _pools(x, x.dtype, few=False):
        return numpy_kernels.sum_pool2d(x, kernel, stride, padding)
    size = output_size(x.shape[2:], kernel, stride, padding, (1, 1))
    y = np.empty((x.shape[1], *size, x.shape[0]), x.dtype)
    x, corner = lying(x, x.dtype), (padding[0][0], padding[1][0])

    def work(team: Any, part: int, first: int, last: int) -> None:
        pooling.sums(team, first, last, x, y, kernel, stride, corner)

    share_out(work, y.shape[0] * y.shape[1], x.nbytes < SERIAL_BYTES)
    return batch_first(y)


def sum_pool2d_dx(
    dy: np.ndarray, size: Pair, kernel: Pair, stride: Pair, padding: Padding
) -> np.ndarray:
    """Gradient of the input: each element gets the dy of every window it is in."""
    if not _pools(dy, dy.dtype, few=False):
        return numpy_kernels.sum_pool2d_dx(dy, size, kernel, stride, padding)
    dy = lying(dy, dy.dtype)
    dx = np.empty((dy.shape[0], *size, dy.shape[3]), dy.dtype)
    corner = padding[0][0], padding[1][0]

    def work(team: Any, part: int, first: int, last: int) -> None:
        pooling.sums_dx(team, first, last, dy, dx, kernel, stride, corner)

    share_out(work, len(dx), dx.nbytes < SERIAL_BYTES)
    return batch_first(dx)


def relu(x: np.ndarray) -> np.ndarray:
    """max(x, 0), in the memory order of x."""
    y = np.empty_like(x)
    flat = _vectors(x, y)
    if flat is None:
        return numpy_kernels.relu(x)
    _share_vectors(activation.rectify, flat)
    return y


def relu_dx(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    """dy where y > 0, else 0."""
    dx = np.empty_like(y)
    flat = _vectors(dy, y, dx)
    if flat is None:
        return numpy_kernels.relu_dx(dy, y)
    _share_vectors(activation.rectify_dx, flat)
    return dx


def _vectors(*arrays: np.ndarray) -> list[np.ndarray] | None:
    """Flat views for the compiled loops, or None for what NumPy does as well or better."""
    long = arrays[0].size > numpy_activation.PIECE and arrays[0].dtype in FLOATS
    writeable = all(x.flags.writeable for x in arrays)
    return numpy_activation.flat_views(*arrays) if long and writeable else None


def _share_vectors(kernel: Callable[..., None], vectors: list[np.ndarray]) -> None:
    """Run a kernel on pieces of the vectors, one for each thread if they are long."""

    def work(team: Any, part: int, first: int, last: int) -> None:
        kernel(team, *(vector[first:last] for vector in vectors))

    share_out(work, vectors[0].size, vectors[0].nbytes < SERIAL_BYTES)


def momentum_step(
    p: np.ndarray, g: np.ndarray, b: np.ndarray, t: np.ndarray, momentum: float, lr: float
) -> None:
    """b = momentum * b + g, then p = p - lr * b, in place."""
    alike = p.dtype in FLOATS and p.dtype == g.dtype == b.dtype and g.flags.writeable
    if not alike or not (p.flags.c_contiguous and g.flags.c_contiguous and b.flags.c_contiguous):
        return numpy_kernels.momentum_step(p, g, b, t, momentum, lr)
    number = p.dtype.type
    step.momentum_step(p.reshape(-1), g.reshape(-1), b.reshape(-1), number(momentum), number(lr))


def outer(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a (M), b (P) -> a_m b_p (M, P)."""
    if a.dtype != b.dtype or a.dtype not in FLOATS or a.size * b.size < SERIAL_FLOPS:
        return numpy_kernels.outer(a, b)
    a, b = plain(a, a.dtype), plain(b, b.dtype)
    y = np.empty((len(a), len(b)), a.dtype)

    def work(team: Any, part: int, first: int, last: int) -> None:
        outer_rows(team, a[first:last], b, y[first:last])

    share_out(work, len(a), serial=False)
    return y
