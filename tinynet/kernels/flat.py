"""Convolution of one image: each tap of the kernel is one run of numbers.

For a single image the rows are too short for the plan of `rows.py`, and to unfold it window by
window moves runs of OW numbers only. So the padded image is taken as one flat row of each
channel. A tap of the kernel sees it from another place on, and what all windows see of it is one
run, from the first window to the last:

    cols[(c, i, j), p*wide + q] = image[c, (p + i*DH)*wide + q + j*DW]        (wide: W padded)

The columns between two rows of outputs, wide - OW of each, are computed for nothing and left out.

Here x is (C, H, W), the stride is 1, and there is one group: others go to the plain kernels.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from tinynet.kernels import threads
from tinynet.kernels.geometry import Padding, Pair, output_size, strided

COLUMNS = 1 << 19  # numbers that the taps of an image may be, which are not cut into blocks
USELESS = 256  # filters times columns for nothing in a row: beyond it they cost what the runs save


class Plan(NamedTuple):
    """All that follows from the shapes of a convolution. A net asks for the same in every step."""

    padded: tuple[int, int, int] | None  # shape of the image with its border, None without one
    inside: tuple[slice, slice, slice]  # where the image is in it
    shape: tuple[int, int, int, int]  # (C, KH, KW, length of a run)
    steps: tuple[int, int, int, int]  # from channel to channel, tap to tap, ..., in bytes
    first: int  # where the first tap begins, in bytes
    kernel: Pair
    size: Pair  # (OH, OW)
    wide: int


@functools.lru_cache(1024)
def plan(
    shape: tuple[int, ...],
    O: int,
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    dtype: np.dtype,
    turned: bool = False,
) -> Plan | None:
    """The plan of a convolution of x (N, C, H, W) to O channels, None if it is not done here.

    turned: the taps from the last on, as the gradient of the input needs them.
    """
    N, C, H, W = shape
    (KH, KW), (DH, DW) = kernel, dilation
    (top, bottom), (left, right) = padding
    if N != 1 or stride != (1, 1) or groups != 1 or min(top, bottom, left, right) < 0:
        return None
    high, wide = H + top + bottom, W + left + right
    if O * (KW - 1) * DW > USELESS or C * KH * KW * high * wide > COLUMNS:
        return None
    threads.single_blas_thread()
    OH, OW = output_size((H, W), kernel, stride, padding, dilation)
    border = top or bottom or left or right
    w = dtype.itemsize
    down, across, first = wide * w * DH, w * DW, 0
    if turned:
        first = (KH - 1) * down + (KW - 1) * across
        down, across = -down, -across
    return Plan(
        padded=(C, high, wide) if border else None,
        inside=(slice(None), slice(top, top + H), slice(left, left + W)),
        shape=(C, KH, KW, (OH - 1) * wide + OW),
        steps=(high * wide * w, down, across, w),
        first=first,
        kernel=kernel,
        size=(OH, OW),
        wide=wide,
    )


def unfold(plan: Plan, x: np.ndarray) -> np.ndarray:
    """x (C, H, W), contiguous -> cols (C*KH*KW, (OH - 1)*wide + OW)."""
    image = x
    if plan.padded:
        image = np.zeros(plan.padded, x.dtype)
        image[plan.inside] = x
    C, KH, KW, run = plan.shape
    cols = np.empty(plan.shape, x.dtype)
    cols[...] = strided(image, plan.shape, plan.steps, plan.first)
    return cols.reshape(C * KH * KW, run)


def conv2d(plan: Plan, x: np.ndarray, filters: np.ndarray, b: np.ndarray | None) -> np.ndarray:
    """x (C, H, W), contiguous, filters (O, C*KH*KW) -> y (O, OH, OW)."""
    cols = unfold(plan, x)
    (OH, OW), O, run = plan.size, len(filters), plan.shape[3]
    products = np.empty((O, OH * plan.wide), x.dtype)
    computed = products[:, :run]  # the columns after the last window stay as they are
    np.matmul(filters, cols, out=computed)
    if b is not None:
        computed += b[:, None]
    return np.ascontiguousarray(products.reshape(O, OH, plan.wide)[:, :, :OW])


def conv2d_dw_db(plan: Plan, dy: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """dy (O, OH, OW), x (C, H, W), both contiguous -> dw (O, C, KH, KW), db (O)."""
    O, OH, OW = dy.shape
    cols = unfold(plan, x)
    slopes = dy
    if plan.wide > OW:
        slopes = np.zeros((O, OH, plan.wide), dy.dtype)
        slopes[:, :, :OW] = dy
    dw = slopes.reshape(O, -1)[:, : plan.shape[3]] @ cols.T
    return dw.reshape(O, len(x), *plan.kernel), np.add.reduce(dy.reshape(O, -1), 1)
