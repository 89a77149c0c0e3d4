"""Convolution of one image: each tap of the kernel is one run of numbers.

For a single image the rows are too short for the plan of `rows.py`, and to unfold it window by
window moves runs of OW numbers only. So the padded image is taken as one row of each channel. A
tap of the kernel sees it from another place on, and what all windows see of it is one run, from
the first window to the last:

    cols[(c, i, j), p*wide + q] = image[c, (p + i*DH)*wide + q + j*DW]        (wide: W padded)

The columns between two rows of outputs, wide - OW of each, are computed for nothing and left out.

Arrays are (C, H, W, 1) and contiguous. The stride is 1, there is one group, and no padding is
negative.
"""

import functools
from typing import Any

import numpy as np

from tinynet.kernels.geometry import Array, Geometry, strided

COLUMNS = 1 << 19  # numbers that the taps of an image may be, which are not cut into blocks
USELESS = 256  # filters times columns for nothing in a row: beyond it they cost what the runs save


def is_faster(C: int, O: int, g: Geometry) -> bool:
    """Whether one image of C channels is convolved faster so, for O channels of output."""
    (KH, KW), (high, wide) = g.kernel, g.padded
    useless = O * (KW - 1) * g.dilation[1]
    return (
        g.stride == (1, 1)
        and min(*g.padding[0], *g.padding[1]) >= 0
        and useless <= USELESS
        and C * KH * KW * high * wide <= COLUMNS
    )


@functools.lru_cache(1024)  # a net asks again in every step
def runs(C: int, g: Geometry, dtype: np.dtype, flipped: bool) -> tuple[Any, ...]:
    """Where the runs of C channels lie; flipped: the taps from the last on.

    -> the shape of the image with its border, None without one; where the image is in it; the
    shape (C, KH, KW, length of a run); the bytes from channel to channel, tap to tap and so on,
    and to the first tap.
    """
    (KH, KW), (DH, DW), (high, wide) = g.kernel, g.dilation, g.padded
    (top, left), (H, W), (OH, OW) = g.corner, g.size, g.out
    step = dtype.itemsize
    down, across, first = wide * step * DH, step * DW, 0
    if flipped:
        first = (KH - 1) * down + (KW - 1) * across
        down, across = -down, -across
    border = (C, high, wide, 1) if g.padded != g.size else None
    inside = slice(None), slice(top, top + H), slice(left, left + W)
    shape = C, KH, KW, (OH - 1) * wide + OW
    return border, inside, shape, (high * wide * step, down, across, step), first


def unfold(x: Array, g: Geometry, flipped: bool = False) -> Array:
    """x (C, H, W, 1) -> cols (C*KH*KW, (OH - 1)*wide + OW), in rows of their own for the BLAS."""
    padded, inside, shape, steps, first = runs(len(x), g, x.dtype, flipped)
    image = x
    if padded:
        image = np.zeros(padded, x.dtype)
        image[inside] = x
    C, KH, KW, run = shape
    return np.ascontiguousarray(strided(image, shape, steps, first)).reshape(C * KH * KW, run)


def multiply(filters: Array, cols: Array, b: Array | None, g: Geometry) -> Array:
    """filters (O, C*KH*KW) times cols, and b -> y (O, OH, OW, 1)."""
    (OH, OW), wide, O = g.out, g.padded[1], len(filters)
    products = np.empty((O, OH * wide), cols.dtype)
    np.matmul(filters, cols, out=products[:, : cols.shape[1]])  # what is after stays as it is
    inside = products.reshape(O, OH, wide)[:, :, :OW]
    if b is None:
        return np.ascontiguousarray(inside)[..., None]
    y = np.empty((O, OH, OW, 1), cols.dtype)
    np.add(inside, b[:, None, None], out=y[..., 0])
    return y


def conv2d(x: Array, w: Array, b: Array | None, g: Geometry) -> Array:
    """x (C, H, W, 1), w (O, C, KH, KW) -> y (O, OH, OW, 1)."""
    return multiply(w.reshape(len(w), -1), unfold(x, g), b, g)


def conv2d_dx(dy: Array, w: Array, g: Geometry) -> Array:
    """dy (O, OH, OW, 1) -> dx (C, H, W, 1). The kernel is flipped by reading the taps backwards."""
    filters = w.swapaxes(0, 1).reshape(w.shape[1], -1)
    return multiply(filters, unfold(dy, g.back, flipped=True), None, g.back)


def conv2d_dw_db(dy: Array, x: Array, g: Geometry) -> tuple[Array, Array]:
    """dy (O, OH, OW, 1), x (C, H, W, 1) -> dw (O, C, KH, KW), db (O)."""
    (O, OH, OW, _), wide = dy.shape, g.padded[1]
    cols = unfold(x, g)
    spread = dy
    if wide > OW:  # zeros for the columns between two rows
        spread = np.zeros((O, OH, wide, 1), dy.dtype)
        spread[:, :, :OW] = dy
    dw = spread.reshape(O, -1)[:, : cols.shape[1]] @ cols.T
    return dw.reshape(O, len(x), *g.kernel), np.add.reduce(dy.reshape(O, -1), 1)
