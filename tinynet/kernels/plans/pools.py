"""Pooling tap by tap: a maximum or a sum of shifted images, without unfolding any window.

The threads share the channels.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from tinynet.kernels import threads
from tinynet.kernels.geometry import Array, Geometry, strided
from tinynet.kernels.layout import batch_first, batch_last, cutout

PARALLEL_FROM = 1 << 19  # elements of a pool below which handing over costs more than it saves


def max_pool2d(x: Array, g: Geometry, relu: bool = False) -> tuple[Array, Any]:
    """The largest element of each window, or 0 if that is larger and relu; (x, y, relu)."""
    y = reduce_taps(np.maximum, taps_of(x, g, -np.inf), 0 if relu else None)
    return y, (x, y, relu)


def has_nan(y: Array) -> bool:
    """Whether NaN is among the numbers: then it is their minimum."""
    return math.isnan(np.minimum.reduce(y, None, initial=math.inf))


def max_pool2d_dx(dy: Array, saved: Any, g: Geometry) -> Array:
    """dy goes to the first winner of each window; to nobody where `relu` made 0 of it."""
    x, y, relu = saved
    taps = taps_of(x, g, np.nan)  # padding equals no maximum
    nans = taps_of(np.isnan(x), g, False) if has_nan(y) else None
    y = batch_last(y)

    def winners(channels: slice) -> Iterator[Array]:
        largest = y[channels]
        free = largest != 0 if relu else None  # windows whose winner is still to be found
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

    return scatter_taps(winners, dy, g)


def max_in_pairs(x: Array, relu: bool) -> tuple[Array, Any]:
    """`max_pool2d` of one image by 2x2, each pixel in one window.

    Columns are compared before rows: an image of one has short rows, and its longer runs make up
    for the more numbers that are compared.
    """
    _, C, H, W = x.shape
    pixels = batch_last(x).reshape(-1)
    in_rows = np.maximum(pixels[::2], pixels[1::2]).reshape(C, H // 2, 2, W // 2)
    largest = np.maximum(in_rows[:, :, 0], in_rows[:, :, 1])
    y = batch_first((np.maximum(largest, 0, out=largest) if relu else largest)[..., None])
    return y, (x, y, relu)


def max_in_pairs_dx(dy: Array, saved: Any) -> Array:
    """The way back of `max_in_pairs`.

    Of a row, then of two rows, the first wins a tie, so it is the first of the window. What the
    winner does not get the other gets: all or nothing.
    """
    x, y, relu = saved
    (_, C, H, W), with_nan = x.shape, has_nan(y)

    def share(given: Array, first: Array, second: Array, dfirst: Array, dsecond: Array) -> None:
        wins = first >= second
        if with_nan:
            wins |= np.isnan(first)
        np.multiply(given, wins, out=dfirst)
        np.subtract(given, dfirst, out=dsecond)

    pixels, dpixels = batch_last(x).reshape(-1), np.empty(x.size, dy.dtype)
    left, right = pixels[::2], pixels[1::2]
    in_rows = np.maximum(left, right).reshape(C, H // 2, 2, W // 2)
    drows = np.empty(in_rows.shape, dy.dtype)
    given = batch_last(dy * (y != 0) if relu else dy)[..., 0]
    share(given, in_rows[:, :, 0], in_rows[:, :, 1], drows[:, :, 0], drows[:, :, 1])
    share(drows.reshape(-1), left, right, dpixels[::2], dpixels[1::2])
    return batch_first(dpixels.reshape(C, H, W, 1))


def sum_pool2d(x: Array, g: Geometry) -> Array:
    """The sum of each window."""
    return reduce_taps(np.add, taps_of(x, g, 0.0))


def sum_pool2d_dx(dy: Array, g: Geometry) -> Array:
    """Each element gets the dy of every window it is in."""
    everyone = [np.ones((), bool)] * len(g.taps)
    return scatter_taps(lambda channels: everyone, dy, g)


def sum_side_by_side(x: Array, g: Geometry) -> Array:
    """`sum_pool2d` of windows that lie side by side, in one call."""
    return batch_first(windows_side_by_side(np.ascontiguousarray(batch_last(x)), g).sum((2, 4)))


def sum_side_by_side_dx(dy: Array, g: Geometry) -> Array:
    """`sum_pool2d_dx` of windows that lie side by side, in one call."""
    given = batch_last(dy)
    dx = np.zeros((len(given), *g.size, given.shape[3]), dy.dtype)
    windows_side_by_side(dx, g)[...] = given[:, :, None, :, None]
    return batch_first(dx)


def windows_side_by_side(x: Array, g: Geometry) -> Array:
    """x (C, H, W, N), contiguous, as its windows: a view (C, OH, KH, OW, KW, N)."""
    (KH, KW), (OH, OW), (c, h, w, n) = g.kernel, g.out, x.strides
    return strided(x, (len(x), OH, KH, OW, KW, x.shape[3]), (c, h * KH, h, w * KW, w, n))


def taps_of(x: Array, g: Geometry, value: float) -> list[Array]:
    """What each tap sees of the images, padded with `value`: views (C, OH, OW, N)."""
    (top, left), (height, width) = g.corner, g.padded
    image, _ = cutout(np.ascontiguousarray(batch_last(x)), -top, height, -left, width, value)
    return [image[:, rows, columns] for rows, columns in g.taps]


def channel_slices(C: int, elements: int) -> list[slice]:
    """All channels, or a share of them for each thread where there are many elements."""
    parts = min(threads.get_num_threads(), C) if elements >= PARALLEL_FROM else 1
    return threads.shares(C, parts)


def reduce_taps(combine: np.ufunc, taps: list[Array], last: float | None = None) -> Array:
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

    threads.run(work, channel_slices(len(y), y.size * len(taps)))
    return batch_first(y)


def scatter_taps(shares: Callable[[slice], Iterable[Array]], dy: Array, g: Geometry) -> Array:
    """Give each tap's share of dy back to the pixels that the tap saw; -> dx (N, C, H, W).

    shares: for a slice of channels, where in dy (C, OH, OW, N) each tap takes part, as booleans.
    """
    N, C, OH, OW = dy.shape
    (KH, KW), (top, left), (H, W) = g.kernel, g.corner, g.size
    apart = g.stride[0] >= KH and g.stride[1] >= KW and g.dilation == (1, 1)
    full = apart and g.stride == g.kernel and g.padded == (OH * KH, OW * KW)
    dx = (np.empty if full else np.zeros)((C, *g.padded, N), dy.dtype)
    given = batch_last(dy)

    def work(channels: slice) -> None:
        for (rows, columns), share in zip(g.taps, shares(channels)):
            target = dx[channels, rows, columns]
            if apart:  # no pixel is in two windows, so there is nothing to add to
                np.multiply(given[channels], share, out=target)
            else:
                target += given[channels] * share

    threads.run(work, channel_slices(C, dx.size))
    return batch_first(dx[:, top : top + H, left : left + W])
