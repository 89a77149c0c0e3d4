"""The kernels compiled by Numba, with the same signatures as the NumPy ones.

Each file is one idea:

    shape.py         how large the tiles are on this processor
    compiled.py      the decorator that compiles and keeps the result on disk
    team.py          how a kernel starts the threads that share it, and waits for them
    tiles.py         vector code: a tile of a matrix product that stays in registers
    sharing.py       arrays as a kernel takes them, and its work shared among the threads
    copies.py        lines, runs and tiles of pixels from place to place
    direct.py        convolution as that product, over windows that are never unfolded
    winograd.py      3x3 convolution with a quarter of the multiplications
    winograd_few.py  the same for few images
    convolution.py   which of the three does a convolution, decided once for its shapes
    blocks.py        vector code for the pool that every small net has, 2x2
    pooling.py       pooling in plain loops
    activation.py    ReLU in one pass
    outer.py         the product of a column and a row
    step.py          SGD with momentum in one pass
    labels.py        cross entropy with labels in one pass

What it brings stands in benchmarks/RESULTS.md (`make bench`), case by case, beside PyTorch and the
NumPy kernels.

What is not covered goes to the NumPy kernels: groups, strides of a convolution, dtypes other than
float32 and float64, empty arrays, in `conv2d_dx` padding wider than the window, and pooling of
fewer images than a line holds lanes, except blocks of 2x2: NumPy's rows are longer than the loops'
here.

Buffers: what a thread holds at a time is a block of padded images (BLOCK_BYTES, or one row of
outputs where that is more), in `winograd` the planes (LINES_IN_PLANES, or four tiles of every
channel), and its share of the weight's gradient.

Compiled code is kept on disk (`compiled.py` says where). No fast-math flag is set; sums are
reordered only where the code says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinynet.kernels import activation as numpy_activation
from tinynet.kernels import numpy_kernels
from tinynet.kernels.geometry import Padding, Pair, output_size
from tinynet.kernels.numba_kernels import activation, pooling, step
from tinynet.kernels.numba_kernels import labels as compiled_labels
from tinynet.kernels.numba_kernels.convolution import conv2d as conv2d
from tinynet.kernels.numba_kernels.convolution import conv2d_dw as conv2d_dw
from tinynet.kernels.numba_kernels.convolution import conv2d_dw_db as conv2d_dw_db
from tinynet.kernels.numba_kernels.convolution import conv2d_dx as conv2d_dx
from tinynet.kernels.numba_kernels.outer import outer_rows
from tinynet.kernels.numba_kernels.sharing import FLOATS, SERIAL_FLOPS, lying, plain, share_out
from tinynet.kernels.numba_kernels.tiles import lanes
from tinynet.kernels.numpy_kernels import batch_first

INT = np.dtype(np.int64)
SERIAL_BYTES = 1 << 18  # of pooling and ReLU, below which a second thread costs more than it saves


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
    """Gradient of the input: dy goes to the first of each window that equals y, or is NaN."""
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
    if x.size <= numpy_activation.PIECE:
        return numpy_kernels.relu(x)
    y = np.empty_like(x)
    flat = _vectors(x, y)
    if flat is None:
        return numpy_kernels.relu(x)
    _share_vectors(activation.rectify, flat)
    return y


def relu_dx(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    """dy where y, a result of `relu`, is not 0: where it is positive or NaN."""
    if y.size <= numpy_activation.PIECE:
        return numpy_kernels.relu_dx(dy, y)
    dx = np.empty_like(y)
    flat = _vectors(dy, y, dx)
    if flat is None:
        return numpy_kernels.relu_dx(dy, y)
    _share_vectors(activation.rectify_dx, flat)
    return dx


def _vectors(*arrays: np.ndarray) -> list[np.ndarray] | None:
    """Flat views for the compiled loops, or None for what NumPy does as well or better."""
    covered = arrays[0].dtype in FLOATS and all(x.flags.writeable for x in arrays)
    return numpy_activation.flat_views(*arrays) if covered else None


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


def label_losses(x: np.ndarray, labels: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """-log p of each label (N), and p = softmax(x) along the classes. x (N, C), labels (N)."""
    rows, columns = x.flags.c_contiguous, x.flags.f_contiguous
    if x.ndim != 2 or x.dtype not in FLOATS or not (x.flags.writeable and (rows or columns)):
        return numpy_kernels.label_losses(x, labels, axis)
    (N, C), p, losses = x.shape, np.empty_like(x), np.empty(len(x), x.dtype)
    steps = (C, C, 1) if rows else (1, C, N)
    flat, share = (x.reshape(-1), p.reshape(-1)) if rows else (x.T.reshape(-1), p.T.reshape(-1))
    compiled_labels.label_losses(flat, *steps, plain(labels, INT), losses, share)
    return losses, p
