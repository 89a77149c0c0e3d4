"""Operations in plain NumPy, each with its right gradients: what the mistakes are planted in.

An operation returns (y, dx, dw, ...). What it needs is written out here and taken from tinynet
nowhere, so that a mistake in tinynet cannot hide in both.
"""

from __future__ import annotations

import numpy as np


def summed(gradient, shape):
    """The sum over the axes along which an input of `shape` was broadcast."""
    lead = gradient.ndim - len(shape)
    axes = [lead + i for i, n in enumerate(shape) if n == 1 and gradient.shape[lead + i] > 1]
    return gradient.sum((*range(lead), *axes), keepdims=True).reshape(shape)


# ----- elementwise --------------------------------------------------------------------------------


def square(x):
    return x**2, lambda dy: dy * 2 * x


def cube(x):
    return x**3, lambda dy: dy * 3 * x**2


def root(x):
    y = np.sqrt(x)
    return y, lambda dy: dy / (2 * y)


def exp(x):
    y = np.exp(x)
    return y, lambda dy: dy * y


def log_of_square(x):
    return np.log1p(x * x), lambda dy: 2 * x * dy / (1 + x * x)


def tanh(x):
    y = np.tanh(x)
    return y, lambda dy: dy * (1 - np.tanh(x) ** 2)


def sigmoid(x):
    y = 1 / (1 + np.exp(-x))
    return y, lambda dy: dy * y * (1 - y)


def relu(x):
    return np.maximum(x, 0), lambda dy: dy * (x > 0)


def leaky_relu(x, slope):
    return np.where(x > 0, x, slope * x), lambda dy: dy * np.where(x > 0, 1, slope)


def softplus(x, beta):
    return np.log1p(np.exp(beta * x)) / beta, lambda dy: dy / (1 + np.exp(-beta * x))


def swish(x):
    """x times its sigmoid."""
    s = 1 / (1 + np.exp(-x))
    return x * s, lambda dy: dy * s * (1 + x * (1 - s))


def dropout(x, p, seed):
    scale = (np.random.default_rng(seed).random(x.shape) >= p) / (1 - p)
    return x * scale, lambda dy: dy * scale


def minus(x, y):
    return x - y, lambda dy: dy, lambda dy: -summed(dy, y.shape)


def plus(x, b):
    return x + b, lambda dy: dy, lambda dy: summed(dy, b.shape)


def product(x, w):
    return x * w, lambda dy: dy * w, lambda dy: summed(dy * x, w.shape)


def ratio(x, w):
    return x / w, lambda dy: dy / w, lambda dy: -dy * x / w**2


def power(base, exponent):
    y = base**exponent
    return y, lambda dy: dy * exponent * y / base, lambda dy: dy * y * np.log(base)


# ----- products -----------------------------------------------------------------------------------


def matrix_product(x, w):
    """Of two matrices, or of a stack of matrices and one."""
    return x @ w, lambda dy: dy @ w.T, lambda dy: summed(x.swapaxes(-1, -2) @ dy, w.shape)


def linear(x, w, b):
    return x @ w.T + b, lambda dy: dy @ w, lambda dy: dy.T @ x, lambda dy: dy.sum(0)


def residual(x, w):
    """x + tanh(x w)."""
    h = np.tanh(x @ w)
    return x + h, lambda dy: dy + (dy * (1 - h * h)) @ w.T, lambda dy: x.T @ (dy * (1 - h * h))


def two_steps(x, w):
    """tanh(x w) w: the same matrix twice."""
    h = np.tanh(x @ w)

    def dh(dy):
        return (dy @ w.T) * (1 - h * h)

    return h @ w, lambda dy: dh(dy) @ w.T, lambda dy: h.T @ dy + x.T @ dh(dy)


def gram(x):
    return x @ x.T, lambda dy: (dy + dy.T) @ x


# ----- reductions and shapes ----------------------------------------------------------------------


def row_max(x):
    y = x.max(1)
    first = np.eye(x.shape[1])[x.argmax(1)]
    return y, lambda dy: dy[:, None] * first


def row_mean(x):
    return x.mean(1), lambda dy: np.repeat(dy[:, None], x.shape[1], 1) / x.shape[1]


def mean_of_rows(x):
    return x.mean(0), lambda dy: np.broadcast_to(dy / len(x), x.shape)


def row_sums(x):
    """The sum of each row, and twice of it."""
    y = np.stack([x.sum(1), 2 * x.sum(1)])
    return y, lambda dy: np.repeat((dy[0] + 2 * dy[1])[:, None], x.shape[1], 1)


def row_variance(x):
    u = x - x.mean(1, keepdims=True)
    return (u * u).mean(1), lambda dy: dy[:, None] * 2 * u / x.shape[1]


def norm(x):
    y = np.sqrt((x * x).sum())
    return y, lambda dy: dy * x / y


def running_sum(x):
    return x.cumsum(-1), lambda dy: dy[..., ::-1].cumsum(-1)[..., ::-1]


def rows(x, index):
    """Rows of a table, as an embedding takes them."""

    def dx(dy):
        dx = np.zeros_like(x)
        np.add.at(dx, index, dy)
        return dx

    return x[index], dx


def transpose(x):
    return x.T.copy(), lambda dy: dy.T


def rotate_axes(x):
    return x.transpose(1, 2, 0).copy(), lambda dy: dy.transpose(2, 0, 1)


def flip_rows(x):
    return x[::-1].copy(), lambda dy: dy[::-1]


def roll(x, k):
    return np.roll(x, k, 0), lambda dy: np.roll(dy, -k, 0)


def pad_last_axis(x, before, after):
    y = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(before, after)])
    return y, lambda dy: dy[..., before : dy.shape[-1] - after]


def pad_image(x, p):
    return pad(x, p), lambda dy: crop(dy, p)


def pad(x, p, value=0.0):
    return np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), constant_values=value)


def crop(x, p):
    return x[:, :, p : x.shape[2] - p, p : x.shape[3] - p]


# ----- convolution: a loop over the positions of the kernel ---------------------------------------


def positions(x, w, OH, OW, stride, dilation):
    """(i, j, the pixels of the padded image that position (i, j) of the kernel meets)."""
    for i, j in np.ndindex(w.shape[2:]):
        top, left = i * dilation, j * dilation
        down = slice(top, top + stride * (OH - 1) + 1, stride)
        yield i, j, (..., down, slice(left, left + stride * (OW - 1) + 1, stride))


def conv_y(x, w, stride, padding, dilation=1):
    xp = pad(x, padding)
    OH, OW = ((n - dilation * (k - 1) - 1) // stride + 1 for n, k in zip(xp.shape[2:], w.shape[2:]))
    y = np.zeros((len(x), len(w), OH, OW))
    for i, j, at in positions(xp, w, OH, OW, stride, dilation):
        y += np.einsum("nchw,oc->nohw", xp[at], w[:, :, i, j])
    return y


def conv_dx(dy, x, w, stride, padding, dilation=1, overwrite=False):
    """overwrite: = in place of +=, a mistake."""
    dx = np.zeros_like(pad(x, padding))
    for i, j, at in positions(dx, w, *dy.shape[2:], stride, dilation):
        part = np.einsum("nohw,oc->nchw", dy, w[:, :, i, j])
        dx[at] = part if overwrite else dx[at] + part
    return crop(dx, padding)


def conv_dw(dy, x, w, stride, padding, dilation=1):
    xp, dw = pad(x, padding), np.zeros_like(w)
    for i, j, at in positions(xp, w, *dy.shape[2:], stride, dilation):
        dw[:, :, i, j] = np.einsum("nchw,nohw->oc", xp[at], dy)
    return dw


def conv(x, w, b, stride, padding, dilation=1):
    return (
        conv_y(x, w, stride, padding, dilation) + b[:, None, None],
        lambda dy: conv_dx(dy, x, w, stride, padding, dilation),
        lambda dy: conv_dw(dy, x, w, stride, padding, dilation),
        lambda dy: dy.sum((0, 2, 3)),
    )


def channels_of(group, x, groups):
    """The channels of x that belong to a group."""
    C = x.shape[1] // groups
    return x[:, group * C : (group + 1) * C]


def grouped_conv(x, w, stride, groups):
    def for_each_group(function, *arrays):
        filters = w.reshape(groups, -1, *w.shape[1:])
        return [
            function(*(channels_of(g, a, groups) for a in arrays), filters[g], stride, 0)
            for g in range(groups)
        ]

    return (
        np.concatenate(for_each_group(conv_y, x), 1),
        lambda dy: np.concatenate(for_each_group(conv_dx, dy, x), 1),
        lambda dy: np.concatenate(for_each_group(conv_dw, dy, x)),
    )


def plane_conv(x, w):
    """Of one plane with one kernel."""
    image, kernel = x[None, None], w[None, None]
    return (
        conv_y(image, kernel, 1, 0)[0, 0],
        lambda dy: conv_dx(dy[None, None], image, kernel, 1, 0)[0, 0],
        lambda dy: conv_dw(dy[None, None], image, kernel, 1, 0)[0, 0],
    )


def signal_conv(x, w, s):
    """In one dimension."""
    image, kernel = x[:, :, None], w[:, :, None]
    return (
        conv_y(image, kernel, s, 0)[:, :, 0],
        lambda dy: conv_dx(dy[:, :, None], image, kernel, s, 0)[:, :, 0],
        lambda dy: conv_dw(dy[:, :, None], image, kernel, s, 0)[:, :, 0],
    )


def deconv(x, w, stride):
    """A transposed convolution: the gradient of a convolution's image, run forward."""
    H, W = ((n - 1) * stride + k for n, k in zip(x.shape[2:], w.shape[2:]))
    return (
        conv_dx(x, np.zeros((len(x), w.shape[1], H, W)), w, stride, 0),
        lambda dy: conv_y(dy, w, stride, 0),
        lambda dy: conv_dw(x, dy, w, stride, 0),
    )


# ----- pools: a loop over the windows -------------------------------------------------------------


def windows(x, kernel_size, stride):
    """(p, q, the window at (p, q) of every image and channel)."""
    for p in range((x.shape[2] - kernel_size) // stride + 1):
        for q in range((x.shape[3] - kernel_size) // stride + 1):
            yield p, q, window_at(p * stride, q * stride, kernel_size)


def window_at(top, left, kernel_size):
    return (..., slice(top, top + kernel_size), slice(left, left + kernel_size))


def pooled(x, kernel_size, stride, reduce):
    OH, OW = ((n - kernel_size) // stride + 1 for n in x.shape[2:])
    y = np.zeros((*x.shape[:2], OH, OW))
    for p, q, at in windows(x, kernel_size, stride):
        y[..., p, q] = reduce(x[at], axis=(2, 3))
    return y


def pooled_dx(dy, x, kernel_size, stride, share, shift=None, overwrite=False):
    """share: what part of dy each element of a window gets, a function of the window.

    Two mistakes: overwrite: = in place of +=. shift: the stride with which windows are found again.
    """
    dx = np.zeros_like(x)
    shift = shift or stride
    for p, q, at in windows(x, kernel_size, stride):
        part = share(x[at]) * dy[..., p, q, None, None]
        to = window_at(p * shift, q * shift, kernel_size)
        dx[to] = part if overwrite else dx[to] + part
    return dx


def winner(window):
    """1 at the first largest element, 0 elsewhere."""
    flat = window.reshape(*window.shape[:2], -1)
    return np.eye(flat.shape[2])[flat.argmax(2)].reshape(window.shape)


def every_winner(window):
    return window == window.max((2, 3), keepdims=True)


def all_alike(window):
    return np.ones_like(window)


def average(window):
    return np.ones_like(window) / window[0, 0].size


def max_pool(x, kernel_size, stride):
    y = pooled(x, kernel_size, stride, np.max)
    return y, lambda dy: pooled_dx(dy, x, kernel_size, stride, winner)


def avg_pool(x, kernel_size, stride):
    y = pooled(x, kernel_size, stride, np.mean)
    return y, lambda dy: pooled_dx(dy, x, kernel_size, stride, average)


def block_max_pool(x, k):
    """Windows side by side."""
    return pooled(x, k, k, np.max), lambda dy: pooled_dx(dy, x, k, k, winner)


def padded_max_pool(x, k, s, pad):
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), constant_values=-np.inf)
    return pooled(xp, k, s, np.max), lambda dy: crop(pooled_dx(dy, xp, k, s, winner), pad)


def padded_avg_pool(x, k, s, pad):
    """The average over the pixels of the image alone."""
    xp, inside = (np.pad(a, ((0, 0), (0, 0), (pad, pad), (pad, pad))) for a in (x, np.ones_like(x)))
    counts = pooled(inside, k, s, np.sum)
    y = pooled(xp, k, s, np.sum) / counts
    return y, lambda dy: crop(pooled_dx(dy / counts, xp, k, s, all_alike), pad)


def global_avg_pool(x):
    return x.mean((2, 3)), lambda dy: np.ones_like(x) * dy[:, :, None, None] / x[0, 0].size


def upsample(x):
    """Each pixel becomes four."""
    N, C, H, W = x.shape
    return x.repeat(2, 2).repeat(2, 3), lambda dy: dy.reshape(N, C, H, 2, W, 2).sum((3, 5))


# ----- softmax and normalisation ------------------------------------------------------------------


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    y = e / e.sum(-1, keepdims=True)
    return y, lambda dy: y * (dy - (dy * y).sum(-1, keepdims=True))


def log_softmax(x):
    p = softmax(x)[0]
    return np.log(p), lambda dy: dy - p * dy.sum(-1, keepdims=True)


def standardised(x, axes, eps):
    """(1 / standard deviation, x with mean 0 and variance 1) over the axes."""
    u = x - x.mean(axes, keepdims=True)
    s = 1 / np.sqrt((u * u).mean(axes, keepdims=True) + eps)
    return s, u * s


def standardised_dx(dh, x, axes, eps, of_mean=np.mean, of_variance=np.mean):
    """of_mean, of_variance: the averages that come from the two statistics, or what is wrong."""
    s, h = standardised(x, axes, eps)
    through_mean = of_mean(dh, axes, keepdims=True)
    return s * (dh - through_mean - h * of_variance(dh * h, axes, keepdims=True))


def over_batch(x):
    return (0, *range(2, x.ndim))


def column(v, x):
    """A value for each channel, to be multiplied with x."""
    return v.reshape(-1, *[1] * (x.ndim - 2))


def batch_norm(x, w, b, eps):
    axes = over_batch(x)
    _, h = standardised(x, axes, eps)
    return (
        h * column(w, x) + column(b, x),
        lambda dy: standardised_dx(dy * column(w, x), x, axes, eps),
        lambda dy: (dy * h).sum(axes),
        lambda dy: dy.sum(axes),
    )


def layer_norm(x, w, eps):
    _, h = standardised(x, -1, eps)
    return (
        h * w,
        lambda dy: standardised_dx(dy * w, x, -1, eps),
        lambda dy: summed(dy * h, w.shape),
    )


def instance_norm(x, eps):
    return standardised(x, (2, 3), eps)[1], lambda dy: standardised_dx(dy, x, (2, 3), eps)


# ----- losses -------------------------------------------------------------------------------------


def cross_entropy(x, target, reduction="mean", label_smoothing=0.0):
    p, classes = softmax(x)[0], x.shape[1]
    wanted = (1 - label_smoothing) * np.eye(classes)[target] + label_smoothing / classes
    losses = -(wanted * np.log(p)).sum(1)
    if reduction == "sum":
        return losses.sum(), lambda dy: dy * (p - wanted)
    return losses.mean(), lambda dy: dy * (p - wanted) / len(x)


def weighted_nll(x, target, weight):
    picked = np.eye(x.shape[1])[target] * weight
    return -(x * picked).sum(), lambda dy: -dy * picked


def mse(x, target):
    d = x - target
    return (d * d).mean(), lambda dy: dy * 2 * d / d.size, lambda dy: dy * -2 * d / d.size


def squared_distance(x, target):
    d = target - x
    return (d * d).sum(), lambda dy: dy * -2 * d, lambda dy: dy * 2 * d


# ----- mistakes that are longer than an expression ------------------------------------------------


def windows_overwrite(dy, x, w, stride, padding):
    """A loop over the windows, each of which overwrites its neighbour."""
    dx = np.zeros_like(pad(x, padding))
    for p, q in np.ndindex(dy.shape[2:]):
        window = dx[:, :, p * stride :, q * stride :][:, :, : w.shape[2], : w.shape[3]]
        window[:] = np.tensordot(dy[:, :, p, q], w, 1)
    return crop(dx, padding)


def group_by_remainder(dy, x, w, stride, groups):
    """Filter k is taken to see group k % groups."""
    dx = np.zeros_like(x)
    for k in range(len(w)):
        seen = channels_of(k % groups, dx, groups)
        seen += conv_dx(dy[:, k : k + 1], seen, w[k : k + 1], stride, 0)
    return dx


def rows_assigned(dy, x, index):
    """= in place of np.add.at."""
    dx = np.zeros_like(x)
    dx[index] = dy
    return dx


def nothing(*_, **__):
    """In place of an average."""
    return 0


def unbiased(a, axes, keepdims):
    """The variance divides by n, its gradient by n - 1."""
    return a.sum(axes, keepdims=keepdims) / (a.size // a.shape[1] - 1)


def mean_over_batch(a, axes, keepdims):
    return a.mean(0, keepdims=keepdims)
