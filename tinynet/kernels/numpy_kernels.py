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

For batches `rows.py` has a faster plan, to which the convolutions here hand over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from tinynet.kernels import rows, threads
from tinynet.kernels.activation import relu as relu
from tinynet.kernels.activation import relu_dx as relu_dx
from tinynet.kernels.geometry import Padding, Pair, output_size, windows

BLOCK_BYTES = 1 << 21
PARALLEL_FROM = 1 << 19  # elements of a pool below which handing over costs more than it saves
ROWS_FROM = 256  # row by row where a row of the output has so many elements, over the batch


def batch_last(x: np.ndarray) -> np.ndarray:
    """The view (C, H, W, N) of an (N, C, H, W) array."""
    return x.transpose(1, 2, 3, 0)


def batch_first(x: np.ndarray) -> np.ndarray:
    """The view (N, C, H, W) of a (C, H, W, N) array."""
    return x.transpose(3, 0, 1, 2)


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


def row_blocks(rows: int, bytes_per_row: int) -> list[slice]:
    """Cut output rows into blocks whose unfolded windows fit into BLOCK_BYTES."""
    step = max(1, BLOCK_BYTES // max(1, bytes_per_row))
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


def _row_by_row(row_length: int, dilation: Pair, groups: int) -> bool:
    """Whether `rows.py` takes this convolution."""
    return row_length >= max(1, ROWS_FROM) and dilation == (1, 1) and groups == 1


def _unfold_blocks(
    views: np.ndarray, dtype: np.dtype[np.generic], groups: int
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield (block, cols) for blocks of output rows: cols (G, C/G*KH*KW, rows*OW*N)."""
    C, KH, KW, OH, OW, N = views.shape
    blocks = row_blocks(OH, C * KH * KW * OW * N * dtype.itemsize)
    buffer = None
    for block in blocks:
        count = block.stop - block.start
        shape = (C, KH, KW, count, OW, N)
        if buffer is None or buffer.shape != shape:
            buffer = np.empty(shape, dtype)
        np.copyto(buffer, views[:, :, :, block])
        yield block, buffer.reshape(groups, C // groups * KH * KW, count * OW * N)


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
    N, O = x.shape[0], w.shape[0]
    OH, OW = output_size(x.shape[2:], w.shape[2:], stride, padding, dilation)
    if _row_by_row(N * OW, dilation, groups):
        image = np.ascontiguousarray(batch_last(x), dtype)
        return batch_first(rows.conv2d(image, w.astype(dtype, copy=False), b, stride, padding))
    views = windows(padded(batch_last(x), padding), w.shape[2:], stride, dilation)
    y = np.empty((O, OH, OW, N), dtype)
    y_groups = y.reshape(groups, O // groups, OH * OW * N)
    filters = w.reshape(groups, O // groups, -1)
    for block, cols in _unfold_blocks(views, dtype, groups):
        place = slice(block.start * OW * N, block.stop * OW * N)
        np.matmul(filters, cols, out=y_groups[:, :, place])
    if b is not None:
        y += b[:, None, None, None]
    return batch_first(y)


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
    dtype = np.result_type(x, dy)
    N, O, OH, OW = dy.shape
    C = x.shape[1]
    if _row_by_row(N * OW, dilation, groups):
        image = np.ascontiguousarray(batch_last(x), dtype)
        slope = np.ascontiguousarray(batch_last(dy), dtype)
        return rows.conv2d_dw(slope, image, kernel, stride, padding)
    views = windows(padded(batch_last(x), padding), kernel, stride, dilation)
    views = views[:, :, :, :OH, :OW]
    dy_groups = np.ascontiguousarray(batch_last(dy)).reshape(groups, O // groups, OH * OW * N)
    dw = np.zeros((groups, C // groups * kernel[0] * kernel[1], O // groups), dtype)
    for block, cols in _unfold_blocks(views, dtype, groups):
        place = slice(block.start * OW * N, block.stop * OW * N)
        dw += cols @ dy_groups[:, :, place].transpose(0, 2, 1)
    return np.ascontiguousarray(dw.transpose(0, 2, 1)).reshape(O, C // groups, *kernel)


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
    N, O, OH, OW = dy.shape
    C, KH, KW = w.shape[1] * groups, w.shape[2], w.shape[3]
    if _row_by_row(N * OW, dilation, groups) and stride == (1, 1):
        slope = np.ascontiguousarray(batch_last(dy), dtype)
        return batch_first(rows.conv2d_dx(slope, w.astype(dtype, copy=False), size, padding))
    (top, bottom), (left, right) = padding
    dx = np.zeros((C, size[0] + top + bottom, size[1] + left + right, N), dtype)
    targets = windows(dx, (KH, KW), stride, dilation)
    dy_groups = np.ascontiguousarray(batch_last(dy)).reshape(groups, O // groups, OH * OW * N)
    filters = np.ascontiguousarray(w.reshape(groups, O // groups, -1).transpose(0, 2, 1))
    for block in row_blocks(OH, C * KH * KW * OW * N * dtype.itemsize):
        place = slice(block.start * OW * N, block.stop * OW * N)
        dcols = (filters @ dy_groups[:, :, place]).reshape(
            C, KH, KW, block.stop - block.start, OW, N
        )
        for i in range(KH):
            for j in range(KW):  # one tap after the other: within a tap no pixel repeats
                targets[:, i, j, block, :OW] += dcols[:, i, j]
    return batch_first(dx[:, top : top + size[0], left : left + size[1]])


def max_pool2d(
    x: np.ndarray, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair
) -> np.ndarray:
    """The largest element of each window; padding counts as -inf. (N, C, H, W) -> (.., OH, OW)."""
    return _reduce_taps(np.maximum, _taps(x, kernel, stride, padding, dilation, -np.inf))


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
    taps = _taps(x, kernel, stride, padding, dilation, -np.inf)
    y = batch_last(y)

    def winners(channels: slice) -> Iterator[np.ndarray]:
        free = None  # windows whose winner is still to be found
        for tap in taps[:-1]:
            wins = tap[channels] == y[channels]
            if free is None:
                free = ~wins
            else:
                wins &= free
                free ^= wins
            yield wins
        yield taps[-1][channels] == y[channels] if free is None else free  # the last takes the rest

    return _scatter_taps(winners, dy, x.shape[2:], kernel, stride, padding, dilation)


def sum_pool2d(x: np.ndarray, kernel: Pair, stride: Pair, padding: Padding) -> np.ndarray:
    """The sum of each window. (N, C, H, W) -> (N, C, OH, OW)."""
    return _reduce_taps(np.add, _taps(x, kernel, stride, padding, (1, 1), 0.0))


def sum_pool2d_dx(
    dy: np.ndarray, size: Pair, kernel: Pair, stride: Pair, padding: Padding
) -> np.ndarray:
    """Gradient of the input: each element gets the dy of every window it is in."""
    everyone = [np.ones((), bool)] * (kernel[0] * kernel[1])
    return _scatter_taps(lambda channels: everyone, dy, size, kernel, stride, padding, (1, 1))


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


def _reduce_taps(combine: np.ufunc, taps: list[np.ndarray]) -> np.ndarray:
    """The taps combined, tap by tap; -> y (N, C, OH, OW)."""
    y = np.empty(taps[0].shape, taps[0].dtype)

    def work(channels: slice) -> None:
        first, *rest = (tap[channels] for tap in taps)
        if not rest:
            y[channels] = first
        for tap in rest:
            combine(first, tap, out=y[channels])
            first = y[channels]

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
        places = ((i, j) for i in range(kernel[0]) for j in range(kernel[1]))
        for (i, j), share in zip(places, shares(channels)):
            target = targets[channels, i, j, :OH, :OW]
            if apart:  # no pixel is in two windows, so there is nothing to add to
                np.multiply(slopes[channels], share, out=target)
            else:
                target += slopes[channels] * share

    threads.run(work, _channel_slices(C, dx.size))
    return batch_first(dx[:, top : top + size[0], left : left + size[1]])
