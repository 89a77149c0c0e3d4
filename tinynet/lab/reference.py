"""The definitions in plain loops, as a reader would write them from the formula.

Slow and obvious: every kernel, and every solution of an exercise, is held against these. Their
arguments are an exercise's, with the settings of a Geometry written out (see `adapter.py`).
"""

import math
from collections.abc import Iterator

import numpy as np

from tinynet.kernels.geometry import Padding, Pair

Array = np.ndarray
Place = tuple[int, ...]


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


def cut(x: Array, size: Pair, padding: Padding) -> Array:
    """The image of `size` in the padded images x."""
    (top, _), (left, _) = padding
    return x[:, :, top : top + size[0], left : left + size[1]]


# ----- convolution --------------------------------------------------------------------------------


def products(
    y: Place, w: Place, stride: Pair, dilation: Pair, groups: int
) -> Iterator[tuple[Place, Place, Place]]:
    """The places in y, in w and in the padded x of every product x * w that a convolution sums.

    y, w: their shapes. Seven loops: image, filter, output row and column, and for each of these
    channel, kernel row and column.
    """
    for n, o, p, q in np.ndindex(y):
        first = o // (y[1] // groups) * w[1]  # the first input channel of this filter's group
        for c, i, j in np.ndindex(w[1:]):
            row, column = p * stride[0] + i * dilation[0], q * stride[1] + j * dilation[1]
            yield (n, o, p, q), (o, c, i, j), (n, first + c, row, column)


def conv2d(
    x: Array, w: Array, b: Array | None, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> Array:
    """The sum of its products for each place of y."""
    size = output_size(x, w.shape[2:], stride, padding, dilation)
    x = pad(x, padding)
    y = np.zeros((len(x), len(w), *size), np.result_type(x, w))
    for at_y, at_w, at_x in products(y.shape, w.shape, stride, dilation, groups):
        y[at_y] += x[at_x] * w[at_w]
    return y if b is None else y + b[:, None, None]


def conv2d_dx(
    dy: Array, w: Array, size: Pair, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> Array:
    """Each product x * w of the forward pass gives w * dy to its x."""
    H, W = size[0] + sum(padding[0]), size[1] + sum(padding[1])
    dx = np.zeros((len(dy), w.shape[1] * groups, H, W), np.result_type(dy, w))
    for at_y, at_w, at_x in products(dy.shape, w.shape, stride, dilation, groups):
        dx[at_x] += dy[at_y] * w[at_w]
    return cut(dx, size, padding)


def conv2d_dw(
    dy: Array, x: Array, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> Array:
    """Each product x * w of the forward pass gives x * dy to its w."""
    dw = np.zeros((dy.shape[1], x.shape[1] // groups, *kernel), np.result_type(dy, x))
    x = pad(x, padding)
    for at_y, at_w, at_x in products(dy.shape, dw.shape, stride, dilation, groups):
        dw[at_w] += dy[at_y] * x[at_x]
    return dw


# ----- pooling ------------------------------------------------------------------------------------


def max_pool2d(x: Array, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair) -> Array:
    """The largest element of each window; padding counts as -inf."""
    return winners(x, kernel, stride, padding, dilation)[0]


def max_pool2d_dx(
    dy: Array, x: Array, y: Array, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair
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
    for at_y, _, (n, c, row, column) in windows(y.shape, kernel, stride, dilation):
        i, j = row - padding[0][0], column - padding[1][0]
        if not (0 <= i < x.shape[2] and 0 <= j < x.shape[3]):
            continue  # padding
        best, pixel = y[at_y], x[n, c, i, j]
        if places[at_y][0] < 0 or pixel > best or (np.isnan(pixel) and not np.isnan(best)):
            y[at_y] = pixel
            places[at_y] = i, j
    return y, places


def windows(
    y: Place, kernel: Pair, stride: Pair, dilation: Pair
) -> Iterator[tuple[Place, Place, Place]]:
    """As `products`, for a window that sees its own channel alone: a group for each."""
    return products(y, (y[1], 1, *kernel), stride, dilation, groups=y[1])


def sum_pool2d(x: Array, kernel: Pair, stride: Pair, padding: Padding) -> Array:
    """The sum of each window; padding counts as 0."""
    y = np.zeros((*x.shape[:2], *output_size(x, kernel, stride, padding, (1, 1))), x.dtype)
    padded = pad(x, padding)
    for at_y, _, at_x in windows(y.shape, kernel, stride, (1, 1)):
        y[at_y] += padded[at_x]
    return y


def sum_pool2d_dx(dy: Array, size: Pair, kernel: Pair, stride: Pair, padding: Padding) -> Array:
    """Each dy goes to every element of its window."""
    H, W = size[0] + sum(padding[0]), size[1] + sum(padding[1])
    dx = np.zeros((*dy.shape[:2], H, W), dy.dtype)
    for at_y, _, at_x in windows(dy.shape, kernel, stride, (1, 1)):
        dx[at_x] += dy[at_y]
    return cut(dx, size, padding)


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
