"""The definitions in plain loops, as a reader would write them from the formula.

Slow and obvious: everything fast is held against these.
"""

from __future__ import annotations

import numpy as np


def pad(x, padding, value=0.0):
    (top, bottom), (left, right) = padding
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=value)


def output_size(x, kernel, stride, padding, dilation):
    return tuple(
        (x.shape[2 + a] + sum(padding[a]) - dilation[a] * (kernel[a] - 1) - 1) // stride[a] + 1
        for a in (0, 1)
    )


def conv2d(x, w, b, stride, padding, dilation, groups):
    """Seven loops: image, filter, output row and column, channel, kernel row and column."""
    N, O, C = x.shape[0], w.shape[0], w.shape[1]
    OH, OW = output_size(x, w.shape[2:], stride, padding, dilation)
    x = pad(x, padding)
    y = np.zeros((N, O, OH, OW), np.result_type(x, w))
    for n in range(N):
        for o in range(O):
            first = o // (O // groups) * C  # the first input channel of this filter's group
            for p in range(OH):
                for q in range(OW):
                    for c in range(C):
                        for i in range(w.shape[2]):
                            for j in range(w.shape[3]):
                                pixel = x[
                                    n,
                                    first + c,
                                    p * stride[0] + i * dilation[0],
                                    q * stride[1] + j * dilation[1],
                                ]
                                y[n, o, p, q] += pixel * w[o, c, i, j]
    return y if b is None else y + b[:, None, None]


def conv2d_gradients(dy, x, w, stride, padding, dilation, groups):
    """(dx, dw): the same seven loops; each product x * w of the forward pass meets its dy."""
    O, C = w.shape[:2]
    H, W = x.shape[2:]
    padded = pad(x, padding)
    dx, dw = np.zeros_like(padded), np.zeros_like(w)
    for n, o, p, q in np.ndindex(dy.shape):
        first = o // (O // groups) * C
        for c, i, j in np.ndindex(w.shape[1:]):
            row, column = p * stride[0] + i * dilation[0], q * stride[1] + j * dilation[1]
            dx[n, first + c, row, column] += dy[n, o, p, q] * w[o, c, i, j]
            dw[o, c, i, j] += dy[n, o, p, q] * padded[n, first + c, row, column]
    (top, _), (left, _) = padding
    return dx[:, :, top : top + H, left : left + W], dw


def max_pool2d(x, kernel, stride, padding, dilation):
    """(y, winners): the largest element of each window, and where the first such stands."""
    OH, OW = output_size(x, kernel, stride, padding, dilation)
    padded = pad(x, padding, -np.inf)
    y = np.full((*x.shape[:2], OH, OW), -np.inf, x.dtype)
    winners = np.zeros((*y.shape, 2), int)
    for n, c, p, q in np.ndindex(y.shape):
        for i in range(kernel[0]):
            for j in range(kernel[1]):
                row, column = p * stride[0] + i * dilation[0], q * stride[1] + j * dilation[1]
                if padded[n, c, row, column] > y[n, c, p, q]:
                    y[n, c, p, q] = padded[n, c, row, column]
                    winners[n, c, p, q] = row - padding[0][0], column - padding[1][0]
    return y, winners


def max_pool2d_dx(dy, x, kernel, stride, padding, dilation):
    _, winners = max_pool2d(x, kernel, stride, padding, dilation)
    dx = np.zeros_like(x)
    for n, c, p, q in np.ndindex(dy.shape):
        row, column = winners[n, c, p, q]
        dx[n, c, row, column] += dy[n, c, p, q]
    return dx


def sum_pool2d(x, kernel, stride, padding):
    OH, OW = output_size(x, kernel, stride, padding, (1, 1))
    padded = pad(x, padding)
    y = np.zeros((*x.shape[:2], OH, OW), x.dtype)
    for n, c, p, q in np.ndindex(y.shape):
        for i in range(kernel[0]):
            for j in range(kernel[1]):
                y[n, c, p, q] += padded[n, c, p * stride[0] + i, q * stride[1] + j]
    return y
