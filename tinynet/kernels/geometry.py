"""The arithmetic of sliding windows: sizes, paddings, and the view that lists the windows.

A window of size K with dilation d spans d(K - 1) + 1 places. Over an axis of length L with
(before, after) padding it stands at

    (L + before + after - d(K - 1) - 1) // stride + 1

places, `stride` apart.
"""

from __future__ import annotations

import functools

import numpy as np

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]
"""((top, bottom), (left, right))."""


def span(kernel: int, dilation: int) -> int:
    """How many places a dilated window covers."""
    return dilation * (kernel - 1) + 1


def output_length(length: int, kernel: int, stride: int, padding: Pair, dilation: int) -> int:
    """At how many places a window stands along one axis; below 1 if it does not fit."""
    return (length + padding[0] + padding[1] - span(kernel, dilation)) // stride + 1


@functools.lru_cache(1024)  # a net asks for the same few in every step
def output_size(size: Pair, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair) -> Pair:
    """(OH, OW) of windows sliding over an image of `size` (H, W)."""
    return (
        output_length(size[0], kernel[0], stride[0], padding[0], dilation[0]),
        output_length(size[1], kernel[1], stride[1], padding[1], dilation[1]),
    )


@functools.lru_cache(1024)
def padding_back(
    dy_size: Pair, kernel: Pair, size: Pair, padding: Padding, dilation: Pair
) -> Padding:
    """The padding with which sliding the turned kernel over dy gives dx, at stride 1.

    What the window reached beyond a pixel before, it must reach beyond dy now. Negative where the
    image was padded by more than the window: there dy is cut.
    """
    top, left = (span(k, d) - 1 - before for k, d, (before, _) in zip(kernel, dilation, padding))
    bottom, right = (
        length + before - dy_length
        for length, (before, _), dy_length in zip(size, padding, dy_size)
    )
    return (top, bottom), (left, right)


def strided(
    x: np.ndarray, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0
) -> np.ndarray:
    """A view of a contiguous array with another shape and other strides, from byte `offset` on.

    As numpy's as_strided, at a tenth of its cost.
    """
    return np.ndarray(shape, x.dtype, x, offset, strides)


def windows(x: np.ndarray, kernel: Pair, stride: Pair, dilation: Pair) -> np.ndarray:
    """Every window of a padded, batch-last image as a view: no element is copied.

    x (C, H, W, N), contiguous -> (C, KH, KW, OH, OW, N), where [c, i, j, p, q, n] is
    x[c, p*stride + i*dilation, q*stride + j*dilation, n].
    """
    C, H, W, N = x.shape
    OH, OW = output_size((H, W), kernel, stride, ((0, 0), (0, 0)), dilation)
    c, h, w, n = x.strides
    return strided(
        x,
        (C, *kernel, OH, OW, N),
        (c, h * dilation[0], w * dilation[1], h * stride[0], w * stride[1], n),
    )
