"""The kernels in NumPy: windows, a matrix product, a scatter.

A convolution is a matrix product in disguise. Unfold every window of the image into a column:
cols has C*KH*KW rows and a column for each output place of each image. Then

    y    = w  cols        each output is the inner product of a filter and a window
    dw   = dy cols^T      each weight met one row of cols
    dcol = w^T dy         each window element met one column of w ...
    dx   = scatter(dcol)  ... and goes back, by addition, to the pixel it was copied from

Arrays lie *batch last* in memory: (C, H, W, N) under a transposed view of shape (N, C, H, W).
Then w (O, C*KH*KW) times cols (C*KH*KW, OH*OW*N) comes out as (O, OH, OW, N), which is the
layout of the next layer's input already, and every copy of a shifted image moves runs of at
least N neighbouring numbers. For a batch of one it is the plain (C, H, W).

The unfolded windows are KH*KW times larger than the image, so they are made and used block by
block, in a buffer of at most BLOCK_BYTES that stays in the processor's cache.

At stride 1 dx needs no scatter: each pixel gathers the windows that saw it, which is a convolution
of dy with the filters turned by 180 degrees.

For batches `rows.py` has a faster plan, with many channels `winograd.py`, for a single image
`flat.py`: the convolutions here hand over to them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from tinynet.kernels import flat, rows, threads, winograd
from tinynet.kernels.activation import relu as relu
from tinynet.kernels.activation import relu_dx as relu_dx
from tinynet.kernels.geometry import (
    Padding,
    Pair,
    output_size,
    padding_back,
    span,
    strided,
    windows,
)
from tinynet.kernels.labels import label_losses as label_losses
from tinynet.kernels.outer import outer as outer
from tinynet.kernels.step import momentum_step as momentum_step

BLOCK_BYTES = 1 << 21
PARALLEL_FROM = 1 << 19  # elements of a pool below which handing over costs more than it saves
TAPS_BY_CALL = 8  # of a window: larger sums are made in one call, if the windows lie side by side
ROWS_FROM = 256  # row by row where a row of the output has so many elements, over the batch


def batch_last(x: np.ndarray) -> np.ndarray:
    """The view (C, H, W, N) of an (N, C, H, W) array."""
    return x.transpose(1, 2, 3, 0)


def batch_first(x: np.ndarray) -> np.ndarray:
    """The view (N, C, H, W) of a (C, H, W, N) array."""
    return x.transpose(3, 0, 1, 2)


def common_dtype(a: np.ndarray, b: np.ndarray) -> np.dtype:
    """The dtype in which both are multiplied."""
    return a.dtype if a.dtype is b.dtype else np.result_type(a, b)


def padded(x: np.ndarray, padding: Padding, value: float = 0.0) -> np.ndarray:
    """x (C, H, W, N) surrounded by `value`, contiguous; x itself if there is nothing to do."""
    (top, bottom), (left, right) = padding
    if not (top or bottom or left or right):
        return np.ascontiguousarray(x)
    C, H, W, N = x.shape
    y = np.empty((C, H + top + bottom, W + left + right, N), x.dtype)
    y[:, :top] = y[:, top + H :] = value
    y[:, top : top + H, :left] = y[:, top : top + H, left + W :] = value
    y[:, top : top + H, left : left + W] = x
    return y


def _row_by_row(row_length: int, dilation: Pair, groups: int) -> bool:
    """Whether `rows.py` takes this convolution."""
    return row_length >= max(1, ROWS_FROM) and dilation == (1, 1) and groups == 1


def _corner(padding: Padding) -> Pair:
    """How far a padding goes above and left of an image."""
    return padding[0][0], padding[1][0]


def _row_blocks(OH: int, bytes_per_row: int) -> list[slice]:
    """Blocks of output rows whose windows fit into BLOCK_BYTES."""
    threads.single_blas_thread()
    step = max(1, BLOCK_BYTES // max(1, bytes_per_row))
    return [slice(p, min(p + step, OH)) for p in range(0, OH, step)]


def _unfold(
    x: np.ndarray,
    block: slice,
    OW: int,
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    """The windows of a block of output rows as columns. x (C, H, W, N) -> (G, C/G*KH*KW, P)."""
    (KH, KW), count = kernel, block.stop - block.start
    top, left = block.start * stride[0] - padding[0][0], -padding[1][0]
    height = (count - 1) * stride[0] + span(KH, dilation[0])
    width = (OW - 1) * stride[1] + span(KW, dilation[1])
    image, place = rows.cutout(x, top, height, left, width)
    C, _, _, N = image.shape
    c, h, w, n = image.strides
    cols = np.empty((C, KH, KW, count, OW, N), x.dtype)
    steps = (c, h * dilation[0], w * dilation[1], h * stride[0], w * stride[1], n)
    cols[...] = strided(image, cols.shape, steps, place)
    return cols.reshape(groups, C // groups * KH * KW, count * OW * N)


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
    dtype = common_dtype(x, w)
    N, O = x.shape[0], w.shape[0]
    kernel = w.shape[2:]
    image, w = np.ascontiguousarray(batch_last(x), dtype), w.astype(dtype, copy=False)
    if plan := flat.plan(x.shape, O, kernel, stride, padding, dilation, groups, dtype):
        return flat.conv2d(plan, image[..., 0], w.reshape(O, -1), b)[None]
    OH, OW = output_size(x.shape[2:], kernel, stride, padding, dilation)
    if _row_by_row(N * OW, dilation, groups):
        if winograd.pays(N, x.shape[1], O, kernel, stride, OW, winograd.FORWARD):
            return batch_first(winograd.conv2d(image, w, b, (OH, OW), _corner(padding)))
        return batch_first(rows.conv2d(image, w, b, stride, padding))
    y = np.empty((groups, O // groups, OH * OW * N), dtype)
    filters = w.reshape(groups, O // groups, -1)
    bias = None if b is None else b.reshape(groups, O // groups, 1)

    bytes_per_row = w[0].size * groups * OW * N * dtype.itemsize
    for block in _row_blocks(OH, bytes_per_row):
        cols = _unfold(image, block, OW, kernel, stride, padding, dilation, groups)
        part = y[:, :, block.start * OW * N : block.stop * OW * N]
        np.matmul(filters, cols, out=part)
        if bias is not None:
            part += bias
    return batch_first(y.reshape(O, OH, OW, N))


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
    dtype = common_dtype(x, dy)
    N, O, OH, OW = dy.shape
    C, K = x.shape[1], x.shape[1] // groups * kernel[0] * kernel[1]
    image = np.ascontiguousarray(batch_last(x), dtype)
    slope = np.ascontiguousarray(batch_last(dy), dtype)
    if plan := flat.plan(x.shape, O, kernel, stride, padding, dilation, groups, dtype):
        return flat.conv2d_dw_db(plan, slope[..., 0], image[..., 0])
    if _row_by_row(N * OW, dilation, groups):
        if winograd.pays(N, C, O, kernel, stride, OW, winograd.GRADIENT):
            return winograd.conv2d_dw_db(slope, image, kernel[0], _corner(padding))
        return rows.conv2d_dw_db(slope, image, kernel, stride, padding)
    slopes = slope.reshape(groups, O // groups, OH * OW * N).transpose(0, 2, 1)

    dw = np.zeros((groups, K, O // groups), dtype)
    bytes_per_row = K * groups * OW * N * dtype.itemsize
    for block in _row_blocks(OH, bytes_per_row):
        cols = _unfold(image, block, OW, kernel, stride, padding, dilation, groups)
        dw += cols @ slopes[:, block.start * OW * N : block.stop * OW * N]
    dw = np.ascontiguousarray(dw.transpose(0, 2, 1)).reshape(O, C // groups, *kernel)
    return dw, slope.sum((1, 2, 3))


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
    dtype = common_dtype(w, dy)
    N, O, OH, OW = dy.shape
    C, KH, KW = w.shape[1] * groups, w.shape[2], w.shape[3]
    if stride == (1, 1):
        w = w.astype(dtype, copy=False)
        around = padding_back((OH, OW), (KH, KW), size, padding, dilation)
        case = (KH, KW), stride, around, dilation, groups, dtype
        if plan := flat.plan(dy.shape, C, *case, turned=True):
            slope = np.ascontiguousarray(batch_last(dy), dtype)[..., 0]
            return flat.conv2d(plan, slope, w.swapaxes(0, 1).reshape(C, -1), None)[None]
        if _row_by_row(N * OW, dilation, groups):
            slope = np.ascontiguousarray(batch_last(dy), dtype)
            if winograd.pays(N, C, O, (KH, KW), stride, size[1], winograd.GRADIENT):
                turned = w.swapaxes(0, 1)[..., ::-1, ::-1]
                return batch_first(winograd.conv2d(slope, turned, None, size, _corner(around)))
            return batch_first(rows.conv2d_dx(slope, w, size, padding))
        turned = w.reshape(groups, O // groups, C // groups, KH, KW)[..., ::-1, ::-1]
        turned = turned.swapaxes(1, 2).reshape(C, O // groups, KH, KW)
        return conv2d(dy, turned, None, (1, 1), around, dilation, groups)
    (top, bottom), (left, right) = padding
    dx = np.zeros((C, size[0] + top + bottom, size[1] + left + right, N), dtype)
    targets = windows(dx, (KH, KW), stride, dilation)
    slopes = np.ascontiguousarray(batch_last(dy)).reshape(groups, O // groups, OH * OW * N)
    filters = np.ascontiguousarray(w.reshape(groups, O // groups, -1).transpose(0, 2, 1))
    bytes_per_row = C * KH * KW * OW * N * dtype.itemsize
    for block in _row_blocks(OH, bytes_per_row):
        dcols = filters @ slopes[:, :, block.start * OW * N : block.stop * OW * N]
        dcols = dcols.reshape(C, KH, KW, block.stop - block.start, OW, N)
        for i in range(KH):
            for j in range(KW):  # one tap after the other: within a tap no pixel repeats
                targets[:, i, j, block, :OW] += dcols[:, i, j]
    return batch_first(dx[:, top : top + size[0], left : left + size[1]])


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
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray, bool]]:
    """The largest elements y, or 0 where they are below it and rectified; (x, y, rectified)."""
    if _quarters(x, kernel, stride, padding, dilation):
        image = batch_last(x)
        halves = np.maximum(image[:, :, ::2], image[:, :, 1::2])
        largest = np.maximum(halves[:, ::2], halves[:, 1::2])
        y = batch_first(np.maximum(largest, 0, out=largest) if rectified else largest)
    else:
        taps = _taps(x, kernel, stride, padding, dilation, -np.inf)
        y = _reduce_taps(np.maximum, taps, 0 if rectified else None)
    return y, (x, y, rectified)


def max_pool2d_dx(
    dy: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
) -> np.ndarray:
    """Gradient of the input: dy goes to the first of each window that equals y, or is NaN."""
    size = (x.shape[2], x.shape[3])
    return max_pool2d_kept_dx(dy, (x, y, False), size, kernel, stride, padding, dilation)


def max_pool2d_kept_dx(
    dy: np.ndarray,
    kept: tuple[np.ndarray, np.ndarray, bool],
    size: Pair,
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
) -> np.ndarray:
    """The same, from what `max_pool2d_kept` kept; where it made 0 of a maximum nobody gets dy."""
    x, y, rectified = kept
    with_nan = math.isnan(np.maximum.reduce(y, None, initial=-math.inf))
    if _quarters(x, kernel, stride, padding, dilation):
        passed = dy * (y != 0) if rectified else dy
        return _quarters_dx(batch_last(passed), batch_last(x), with_nan)
    taps = _taps(x, kernel, stride, padding, dilation, np.nan)  # padding equals no maximum
    nans = _taps(np.isnan(x), kernel, stride, padding, dilation, False) if with_nan else None
    y = batch_last(y)

    def winners(channels: slice) -> Iterator[np.ndarray]:
        largest = y[channels]
        free = largest != 0 if rectified else None  # windows whose winner is still to be found
        for k, tap in enumerate(taps[:-1]):
            wins = tap[channels] == largest
            if nans is not None:
                wins |= nans[k][channels]
            if free is None:
                free = ~wins
            else:
                wins &= free
                free ^= wins
            yield wins
        yield np.ones((), bool) if free is None else free  # the last takes the rest

    return _scatter_taps(winners, dy, size, kernel, stride, padding, dilation)


def _quarters(x: np.ndarray, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair) -> bool:
    """Whether this is a pool of 2x2 of one image, which takes each pixel once.

    Its columns are then compared before its rows: the longer runs make up for the more numbers.
    """
    return (
        len(x) == 1
        and kernel == stride == (2, 2)
        and padding == ((0, 0), (0, 0))
        and dilation == (1, 1)
        and x.shape[2] % 2 == x.shape[3] % 2 == 0
    )


def _quarters_dx(dy: np.ndarray, x: np.ndarray, with_nan: bool) -> np.ndarray:
    """dy (C, OH, OW, 1), x (C, H, W, 1) -> dx (1, C, H, W).

    Of a row, then of two rows, the first wins a tie, so it is the first of the window. What the
    winner does not get the other gets: all or nothing.
    """

    def wins(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        larger = first >= second
        return larger | np.isnan(first) if with_nan else larger

    left, right = x[:, :, ::2], x[:, :, 1::2]
    halves = np.maximum(left, right)
    dhalves, dx = np.empty(halves.shape, dy.dtype), np.empty(x.shape, dy.dtype)
    for given, first_wins, first, second in (
        (dy, wins(halves[:, ::2], halves[:, 1::2]), dhalves[:, ::2], dhalves[:, 1::2]),
        (dhalves, wins(left, right), dx[:, :, ::2], dx[:, :, 1::2]),
    ):
        np.multiply(given, first_wins, out=first)
        np.subtract(given, first, out=second)
    return batch_first(dx)


def sum_pool2d(x: np.ndarray, kernel: Pair, stride: Pair, padding: Padding) -> np.ndarray:
    """The sum of each window. (N, C, H, W) -> (N, C, OH, OW)."""
    if _in_blocks(kernel, stride, padding):
        return batch_first(_blocks(np.ascontiguousarray(batch_last(x)), kernel).sum((2, 4)))
    return _reduce_taps(np.add, _taps(x, kernel, stride, padding, (1, 1), 0.0))


def sum_pool2d_dx(
    dy: np.ndarray, size: Pair, kernel: Pair, stride: Pair, padding: Padding
) -> np.ndarray:
    """Gradient of the input: each element gets the dy of every window it is in."""
    if _in_blocks(kernel, stride, padding):
        slopes = batch_last(dy)
        dx = np.zeros((len(slopes), *size, slopes.shape[3]), dy.dtype)
        _blocks(dx, kernel)[...] = slopes[:, :, None, :, None]
        return batch_first(dx)
    everyone = [np.ones((), bool)] * (kernel[0] * kernel[1])
    return _scatter_taps(lambda channels: everyone, dy, size, kernel, stride, padding, (1, 1))


def _in_blocks(kernel: Pair, stride: Pair, padding: Padding) -> bool:
    """Whether the windows lie side by side and are so large that a call for each tap is slow."""
    return stride == kernel and padding == ((0, 0), (0, 0)) and kernel[0] * kernel[1] > TAPS_BY_CALL


def _blocks(x: np.ndarray, kernel: Pair) -> np.ndarray:
    """x (C, H, W, N), contiguous, as windows that lie side by side: (C, OH, KH, OW, KW, N)."""
    C, H, W, N = x.shape
    (KH, KW), (c, h, w, n) = kernel, x.strides
    return strided(x, (C, H // KH, KH, W // KW, KW, N), (c, h * KH, h, w * KW, w, n))


def _taps(
    x: np.ndarray, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair, value: float
) -> list[np.ndarray]:
    """For each place of the kernel, row by row, the image as it is seen there: (C, OH, OW, N)."""
    views = windows(padded(batch_last(x), padding, value), kernel, stride, dilation)
    return [views[:, i, j] for i in range(kernel[0]) for j in range(kernel[1])]


def _channel_slices(C: int, elements: int) -> list[slice]:
    """All channels, or a share of them for each thread where there are many elements."""
    parts = min(threads.get_num_threads(), C) if elements >= PARALLEL_FROM else 1
    return [slice(C * i // parts, C * (i + 1) // parts) for i in range(parts)]


def _reduce_taps(
    combine: np.ufunc, taps: list[np.ndarray], last: float | None = None
) -> np.ndarray:
    """The taps combined, tap by tap, and at last with a number; -> y (N, C, OH, OW)."""
    y = np.empty(taps[0].shape, taps[0].dtype)

    def work(channels: slice) -> None:
        total = y[channels]
        if len(taps) == 1:
            total[...] = taps[0][channels]
        else:
            combine(taps[0][channels], taps[1][channels], out=total)
        for tap in taps[2:]:
            combine(total, tap[channels], out=total)
        if last is not None:
            combine(total, last, out=total)

    threads.run(work, _channel_slices(len(y), y.size * len(taps)))
    return batch_first(y)


def _scatter_taps(
    shares: Callable[[slice], Iterable[np.ndarray]],
    dy: np.ndarray,
    size: Pair,
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
) -> np.ndarray:
    """Give each tap's share of dy back to the pixels that the tap saw; -> dx (N, C, *size).

    shares: for a slice of channels, where in dy (C, OH, OW, N) each tap takes part, as booleans.
    """
    N, C, OH, OW = dy.shape
    (top, bottom), (left, right) = padding
    padded_size = (size[0] + top + bottom, size[1] + left + right)
    apart = stride[0] >= kernel[0] and stride[1] >= kernel[1] and dilation == (1, 1)
    full = apart and stride == kernel and padded_size == (OH * kernel[0], OW * kernel[1])
    dx = (np.empty if full else np.zeros)((C, *padded_size, N), dy.dtype)
    targets = windows(dx, kernel, stride, dilation)
    slopes = batch_last(dy)

    def work(channels: slice) -> None:
        given = slopes[channels]
        for tap, share in enumerate(shares(channels)):
            target = targets[channels, tap // kernel[1], tap % kernel[1], :OH, :OW]
            if apart:  # no pixel is in two windows, so there is nothing to add to
                np.multiply(given, share, out=target)
            else:
                target += given * share

    threads.run(work, _channel_slices(C, dx.size))
    return batch_first(dx[:, top : top + size[0], left : left + size[1]])
