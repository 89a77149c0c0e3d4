"""The definitions in plain loops, as a reader would write them from the formula.

Slow and obvious: every kernel, and every solution of an exercise, is held against these. Their
arguments are an exercise's, with the settings of a Geometry written out (see `adapter.py`).
"""

from __future__ import annotations

import math

import numpy as np

from tinynet.kernels.geometry import Padding, Pair

Array = np.ndarray


def pad(x: Array, padding: Padding, value: float = 0.0) -> Array:
    """x (N, C, H, W) surrounded by `value`."""
    (top, bottom), (left, right) = padding
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=value)


def output_size(x: Array, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair) -> Pair:
    """(OH, OW) of windows over the images x (N, C, H, W)."""
    OH, OW = (
        (x.shape[2 + a] + sum(padding[a]) - dilation[a] * (kernel[a] - 1) - 1) // stride[a] + 1
        for a in (0, 1)
    )
    return OH, OW


# ----- convolution --------------------------------------------------------------------------------


def conv2d(
    x: Array,
    w: Array,
    b: Array | None,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
) -> Array:
    """Seven loops: image, filter, output row and column, channel, kernel row and column."""
    N, O, C = x.shape[0], w.shape[0], w.shape[1]
    KH, KW = w.shape[2:]
    OH, OW = output_size(x, (KH, KW), stride, padding, dilation)
    x = pad(x, padding)
    y = np.zeros((N, O, OH, OW), np.result_type(x, w))
    for n in range(N):
        for o in range(O):
            first = o // (O // groups) * C  # the first input channel of this filter's group
            for p in range(OH):
                for q in range(OW):
                    for c in range(C):
                        for i in range(KH):
                            for j in range(KW):
                                pixel = x[
                                    n,
                                    first + c,
                                    p * stride[0] + i * dilation[0],
                                    q * stride[1] + j * dilation[1],
                                ]
                                y[n, o, p, q] += pixel * w[o, c, i, j]
    return y if b is None else y + b[:, None, None]


def conv2d_dx(
    dy: Array,
    w: Array,
    size: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
) -> Array:
    """The same seven loops: each product x * w of the forward pass gives w * dy to its x."""
    O, C = w.shape[:2]
    (top, bottom), (left, right) = padding
    H, W = size
    padded = (dy.shape[0], C * groups, H + top + bottom, W + left + right)
    dx = np.zeros(padded, np.result_type(dy, w))
    for n, o, p, q in np.ndindex(dy.shape):
        first = o // (O // groups) * C
        for c, i, j in np.ndindex(w.shape[1:]):
            row, column = p * stride[0] + i * dilation[0], q * stride[1] + j * dilation[1]
            dx[n, first + c, row, column] += dy[n, o, p, q] * w[o, c, i, j]
    return dx[:, :, top : top + H, left : left + W]


def conv2d_dw(
    dy: Array,
    x: Array,
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
) -> Array:
    """The same seven loops: each product x * w of the forward pass gives x * dy to its w."""
    O, C = dy.shape[1], x.shape[1] // groups
    x = pad(x, padding)
    dw = np.zeros((O, C, *kernel), np.result_type(dy, x))
    for n, o, p, q in np.ndindex(dy.shape):
        first = o // (O // groups) * C
        for c, i, j in np.ndindex(dw.shape[1:]):
            row, column = p * stride[0] + i * dilation[0], q * stride[1] + j * dilation[1]
            dw[o, c, i, j] += dy[n, o, p, q] * x[n, first + c, row, column]
    return dw


# ----- pooling ------------------------------------------------------------------------------------


def max_pool2d(x: Array, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair) -> Array:
    """The largest element of each window; padding counts as -inf."""
    return winners(x, kernel, stride, padding, dilation)[0]


def max_pool2d_dx(
    dy: Array,
    x: Array,
    y: Array,
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
) -> Array:
    """Each dy goes to the first of the largest elements of its window."""
    _, places = winners(x, kernel, stride, padding, dilation)
    dx = np.zeros(x.shape, dy.dtype)
    for n, c, p, q in np.ndindex(dy.shape):
        row, column = places[n, c, p, q]
        dx[n, c, row, column] += dy[n, c, p, q]
    return dx


def winners(
    x: Array, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair
) -> tuple[Array, Array]:
    """(y, places): the largest element of each window, and where the first such stands in x.

    A NaN is larger than every number.
    """
    OH, OW = output_size(x, kernel, stride, padding, dilation)
    y = np.full((*x.shape[:2], OH, OW), -np.inf, x.dtype)
    places = np.full((*y.shape, 2), -1)
    for n, c, p, q in np.ndindex(y.shape):
        for i in range(kernel[0]):
            for j in range(kernel[1]):
                row = p * stride[0] + i * dilation[0] - padding[0][0]
                column = q * stride[1] + j * dilation[1] - padding[1][0]
                if not (0 <= row < x.shape[2] and 0 <= column < x.shape[3]):
                    continue  # padding
                best, pixel = y[n, c, p, q], x[n, c, row, column]
                first_nan = np.isnan(pixel) and not np.isnan(best)
                if places[n, c, p, q, 0] < 0 or pixel > best or first_nan:
                    y[n, c, p, q] = pixel
                    places[n, c, p, q] = row, column
    return y, places


def sum_pool2d(x: Array, kernel: Pair, stride: Pair, padding: Padding) -> Array:
    """The sum of each window; padding counts as 0."""
    OH, OW = output_size(x, kernel, stride, padding, (1, 1))
    padded = pad(x, padding)
    y = np.zeros((*x.shape[:2], OH, OW), x.dtype)
    for n, c, p, q in np.ndindex(y.shape):
        for i in range(kernel[0]):
            for j in range(kernel[1]):
                y[n, c, p, q] += padded[n, c, p * stride[0] + i, q * stride[1] + j]
    return y


def sum_pool2d_dx(dy: Array, size: Pair, kernel: Pair, stride: Pair, padding: Padding) -> Array:
    """Each dy goes to every element of its window."""
    (top, bottom), (left, right) = padding
    H, W = size
    dx = np.zeros((*dy.shape[:2], H + top + bottom, W + left + right), dy.dtype)
    for n, c, p, q in np.ndindex(dy.shape):
        for i in range(kernel[0]):
            for j in range(kernel[1]):
                dx[n, c, p * stride[0] + i, q * stride[1] + j] += dy[n, c, p, q]
    return dx[:, :, top : top + H, left : left + W]


# ----- elementwise, loss, step --------------------------------------------------------------------


def relu(x: Array) -> Array:
    """x where it is positive or NaN, else 0."""
    y = np.zeros(x.shape, x.dtype)
    for index in np.ndindex(x.shape):
        if not x[index] <= 0:
            y[index] = x[index]
    return y


def relu_dx(dy: Array, y: Array) -> Array:
    """dy where the output y is not 0."""
    dx = np.zeros(y.shape, dy.dtype)
    for index in np.ndindex(y.shape):
        if y[index] != 0:
            dx[index] = dy[index]
    return dx


def cross_entropy(x: Array, target: Array) -> Array:
    """The mean over the batch of log(sum_c e^x_c) - x_target; the maximum is taken off first."""
    total = 0.0
    for scores, label in zip(x.tolist(), target.tolist()):
        largest = max(scores)
        total += math.log(sum(math.exp(score - largest) for score in scores))
        total += largest - scores[label]
    return np.asarray(total / len(x), x.dtype)


def cross_entropy_dx(x: Array, target: Array) -> Array:
    """(softmax(x) - onehot(target)) / N."""
    dx = np.zeros(x.shape, x.dtype)
    for n, (scores, label) in enumerate(zip(x.tolist(), target.tolist())):
        exponentials = [math.exp(score - max(scores)) for score in scores]
        for c, e in enumerate(exponentials):
            dx[n, c] = (e / sum(exponentials) - (c == label)) / len(x)
    return dx


def sgd(p: Array, g: Array, b: Array, lr: float, momentum: float) -> tuple[Array, Array]:
    """One step: the new parameter and the new buffer of the momentum."""
    new_p, new_b = np.zeros(p.shape, p.dtype), np.zeros(b.shape, b.dtype)
    for index in np.ndindex(p.shape):
        new_b[index] = momentum * b[index] + g[index]
        new_p[index] = p[index] - lr * new_b[index]
    return new_p, new_b
