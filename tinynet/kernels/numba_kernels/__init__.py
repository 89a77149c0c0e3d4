# mypy: disallow-untyped-calls=False
"""The kernels compiled by Numba."""

from __future__ import annotations

import numba
import numpy as np

from tinynet.kernels import numpy_kernels
from tinynet.kernels.geometry import Padding, Pair, output_size, span
from tinynet.kernels.numba_kernels import direct, pooling
from tinynet.kernels.numpy_kernels import batch_first, batch_last

BLOCK_BYTES = 1 << 18  # of padded image that one thread holds; half of a small L2 cache
SERIAL_FLOPS = 2_000_000  # below this, waking a second thread costs more than it saves

NO_BIAS: dict[tuple[int, np.dtype], np.ndarray] = {}


def lying(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """x (N, C, H, W) as a contiguous array (C, H, W, N)."""
    return np.ascontiguousarray(batch_last(x), dtype)


def _covers(dtype: np.dtype, stride: Pair, padding: Padding, groups: int, *sizes: int) -> bool:
    """Whether the compiled convolution does this case."""
    return (
        dtype in (np.float32, np.float64)
        and stride == (1, 1)
        and groups == 1
        and min(*padding[0], *padding[1], *sizes) >= 0
        and 0 not in sizes
    )


def _shares(N: int, C: int, OH: int, width: int, reach: int, flops: int, dtype: np.dtype) -> tuple[int, int, int]:
    """(parts, tasks, rows): how many threads, how many tasks of how many rows of outputs."""
    B = min(N, 64 // dtype.itemsize)
    blocks = -(-N // B)
    threads = numba.get_num_threads() if flops >= SERIAL_FLOPS else 1
    rows = max(1, BLOCK_BYTES // (C * width * B * dtype.itemsize) - reach + 1)
    strips = max(-(-OH // rows), -(-threads // blocks))
    rows = -(-OH // strips)
    tasks = blocks * -(-OH // rows)
    return min(threads, tasks), tasks, rows


def _correlate(x, w, b, padding, dilation, size, dtype):  # type: ignore[no-untyped-def]
    """x (C, H, W, N), w (O, C, KH, KW) -> y (O, *size, N)."""
    C, _, W, N = x.shape
    O, _, KH, KW = w.shape
    y = np.empty((O, *size, N), dtype)
    width = W + sum(padding[1])
    parts, tasks, rows = _shares(
        N, C, size[0], width, span(KH, dilation[0]), 2 * y.size * w.size // O, dtype
    )
    filters = direct.pack_filters(np.ascontiguousarray(w, dtype).reshape(O, -1))
    bias = np.zeros(O, dtype) if b is None else np.ascontiguousarray(b, dtype)
    case = rows, x, filters, bias, (KH, KW), dilation, (padding[0][0], padding[1][0]), width, y
    if parts == 1:
        direct.correlate_part(0, tasks, *case)
    else:
        direct.correlate_parts(parts, tasks, *case)
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
    return _correlate(lying(x, dtype), w, b, padding, dilation, size, dtype)


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
    back = tuple(
        (span(k, d) - 1 - before, length + before - dy_length)
        for k, d, (before, _), length, dy_length in zip(
            w.shape[2:], dilation, padding, size, dy.shape[2:]
        )
    )
    if not _covers(dtype, stride, back, groups, *dy.shape, *w.shape, *size):
        return numpy_kernels.conv2d_dx(dy, w, size, stride, padding, dilation, groups)
    turned = w[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
    return _correlate(lying(dy, dtype), turned, None, back, dilation, size, dtype)


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
    if not _covers(dtype, stride, padding, groups, *x.shape, *dy.shape, *kernel):
        return numpy_kernels.conv2d_dw(dy, x, kernel, stride, padding, dilation, groups)
    N, C, _, W = x.shape
    O, K = dy.shape[1], C * kernel[0] * kernel[1]
    width = W + sum(padding[1])
    parts, tasks, rows = _shares(
        N, C, dy.shape[2], width, span(kernel[0], dilation[0]), 2 * dy.size * K, dtype
    )
    dw = np.zeros((parts, O * K), dtype)
    corner = padding[0][0], padding[1][0]
    case = rows, lying(x, dtype), lying(dy, dtype), kernel, dilation, corner, width
    if parts == 1:
        direct.weight_gradient_part(0, tasks, *case, dw[0])
    else:
        direct.weight_gradient_parts(parts, tasks, *case, dw)
    return dw.sum(0).reshape(O, C, *kernel)


def max_pool2d(
    x: np.ndarray, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair
) -> np.ndarray:
    """The largest element of each window; padding counts as -inf. (N, C, H, W) -> (.., OH, OW)."""
    if x.dtype not in (np.float32, np.float64):
        return numpy_kernels.max_pool2d(x, kernel, stride, padding, dilation)
    size = output_size(x.shape[2:], kernel, stride, padding, dilation)
    y = np.empty((x.shape[1], *size, x.shape[0]), x.dtype)
    corner = padding[0][0], padding[1][0]
    pooling.max_channels(lying(x, x.dtype), y, kernel, stride, corner, dilation)
    return batch_first(y)


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
    if x.dtype not in (np.float32, np.float64) or dy.dtype != x.dtype:
        return numpy_kernels.max_pool2d_dx(dy, x, y, kernel, stride, padding, dilation)
    N, C, H, W = x.shape
    dx = np.empty((C, H, W, N), x.dtype)
    corner = padding[0][0], padding[1][0]
    arrays = lying(dy, x.dtype), lying(x, x.dtype), lying(y, x.dtype), dx
    pooling.max_channels_dx(*arrays, kernel, stride, corner, dilation)
    return batch_first(dx)


def sum_pool2d(x: np.ndarray, kernel: Pair, stride: Pair, padding: Padding) -> np.ndarray:
    """The sum of each window. (N, C, H, W) -> (N, C, OH, OW)."""
    if x.dtype not in (np.float32, np.float64):
        return numpy_kernels.sum_pool2d(x, kernel, stride, padding)
    size = output_size(x.shape[2:], kernel, stride, padding, (1, 1))
    y = np.empty((x.shape[1], *size, x.shape[0]), x.dtype)
    corner = padding[0][0], padding[1][0]
    pooling.sum_channels(lying(x, x.dtype), y, kernel, stride, corner)
    return batch_first(y)


def sum_pool2d_dx(
    dy: np.ndarray, size: Pair, kernel: Pair, stride: Pair, padding: Padding
) -> np.ndarray:
    """Gradient of the input: each element gets the dy of every window it is in."""
    if dy.dtype not in (np.float32, np.float64):
        return numpy_kernels.sum_pool2d_dx(dy, size, kernel, stride, padding)
    dx = np.empty((dy.shape[1], *size, dy.shape[0]), dy.dtype)
    corner = padding[0][0], padding[1][0]
    pooling.sum_channels_dx(lying(dy, dy.dtype), dx, kernel, stride, corner)
    return batch_first(dx)
