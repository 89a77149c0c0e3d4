"""Convolution of one image: each tap of the kernel is one run of numbers.

For a single image the rows are too short for the plan of `rows.py`, and to unfold it window by
window moves runs of OW numbers only. So the padded image is taken as one flat row of each
channel. A tap of the kernel sees it from another place on, and what all windows see of it is one
run, from the first window to the last:

    cols[(c, i, j), p*wide + q] = image[c, (p + i*DH)*wide + q + j*DW]        (wide: W padded)

The columns between two rows of outputs, wide - OW of each, are computed for nothing and left out
when the bias is added.

Here x is (C, H, W), the stride is 1, and there is one group: others go to the plain kernels.
"""

from __future__ import annotations

import functools

import numpy as np

from tinynet.kernels import threads
from tinynet.kernels.geometry import Padding, Pair, output_size, strided

COLUMNS = 1 << 19  # numbers that the taps of an image may be, which are not cut into blocks
USELESS = 256  # filters times columns for nothing in a row: beyond it they cost what the runs save


@functools.lru_cache(1024)
def covers(
    shape: tuple[int, ...],
    O: int,
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
) -> bool:
    """Whether this plan takes a convolution of x (N, C, H, W) to O channels."""
    N, C, H, W = shape
    if N != 1 or stride != (1, 1) or groups != 1 or min(*padding[0], *padding[1]) < 0:
        return False
    places = (H + sum(padding[0])) * (W + sum(padding[1]))
    useless = O * (kernel[1] - 1) * dilation[1]
    return useless <= USELESS and C * kernel[0] * kernel[1] * places <= COLUMNS


def unfold(
    x: np.ndarray, kernel: Pair, padding: Padding, dilation: Pair, turned: bool = False
) -> tuple[np.ndarray, int]:
    """x (C, H, W) -> cols (C*KH*KW, (OH - 1)*wide + OW), wide. turned: from the last tap on."""
    threads.single_blas_thread()
    C, H, W = x.shape
    (KH, KW), (DH, DW) = kernel, dilation
    (top, bottom), (left, right) = padding
    OH, OW = output_size((H, W), kernel, (1, 1), padding, dilation)
    wide = W + left + right
    image = x
    if top or bottom or left or right:
        image = np.zeros((C, H + top + bottom, wide), x.dtype)
        image[:, top : top + H, left : left + W] = x
    c, h, w = image.strides
    cols = np.empty((C, KH, KW, (OH - 1) * wide + OW), x.dtype)
    down, across, first = h * DH, w * DW, 0
    if turned:
        first = (KH - 1) * down + (KW - 1) * across
        down, across = -down, -across
    cols[...] = strided(image, cols.shape, (c, down, across, w), first)
    return cols.reshape(C * KH * KW, -1), wide


def conv2d(
    x: np.ndarray,
    filters: np.ndarray,
    b: np.ndarray | None,
    kernel: Pair,
    padding: Padding,
    dilation: Pair,
    turned: bool = False,
) -> np.ndarray:
    """x (C, H, W), filters (O, C*KH*KW) -> y (O, OH, OW). turned: as in `unfold`."""
    OH, OW = output_size(x.shape[1:], kernel, (1, 1), padding, dilation)
    cols, wide = unfold(x, kernel, padding, dilation, turned)
    O, run = len(filters), cols.shape[1]
    products = np.empty((O, OH * wide), x.dtype)
    np.matmul(filters, cols, out=products[:, :run])
    y = products.reshape(O, OH, wide)[:, :, :OW]
    if b is None:
        return np.ascontiguousarray(y)
    biased = np.empty((O, OH, OW), x.dtype)
    np.add(y, b[:, None, None], out=biased)
    return biased


def conv2d_dw_db(
    dy: np.ndarray, x: np.ndarray, kernel: Pair, padding: Padding, dilation: Pair
) -> tuple[np.ndarray, np.ndarray]:
    """dy (O, OH, OW), x (C, H, W) -> dw (O, C, KH, KW), db (O)."""
    O, OH, OW = dy.shape
    cols, wide = unfold(x, kernel, padding, dilation)
    slopes = dy
    if wide > OW:
        slopes = np.zeros((O, OH, wide), dy.dtype)
        slopes[:, :, :OW] = dy
    dw = slopes.reshape(O, -1)[:, : cols.shape[1]] @ cols.T
    return dw.reshape(O, len(x), *kernel), dy.reshape(O, -1).sum(1)
