"""Pools with one mistake in the backward pass."""

from __future__ import annotations

import numpy as np

from tests.long.faults.planted import case, planted

EVEN = case((2, 2, 4, 6), kernel_size=2, stride=2)
OVERLAPPING = case((2, 1, 5, 5), kernel_size=3, stride=1)
GAPS = case((1, 3, 7, 7), kernel_size=2, stride=3)
LARGE = case((2, 2, 7, 7), kernel_size=3, stride=2)


def tied(*shape):
    """Small whole numbers: nearly every window has ties."""
    return np.random.default_rng(4).integers(0, 3, shape).astype(np.float64)


def windows(x, kernel_size, stride):
    """(p, q, window of every image and channel), for each place."""
    for p in range((x.shape[2] - kernel_size) // stride + 1):
        for q in range((x.shape[3] - kernel_size) // stride + 1):
            top, left = p * stride, q * stride
            yield p, q, (..., slice(top, top + kernel_size), slice(left, left + kernel_size))


def pooled(x, kernel_size, stride, reduce):
    OH, OW = ((n - kernel_size) // stride + 1 for n in x.shape[2:])
    y = np.zeros((*x.shape[:2], OH, OW))
    for p, q, at in windows(x, kernel_size, stride):
        y[..., p, q] = reduce(x[at], axis=(2, 3))
    return y


def winners(x, at, y, p, q):
    """1 at the first element of the window that equals y, 0 elsewhere."""
    window = x[at]
    flat = window.reshape(*window.shape[:2], -1)
    mask = np.zeros_like(flat)
    np.put_along_axis(mask, flat.argmax(-1)[..., None], 1.0, -1)
    return mask.reshape(window.shape)


@planted(
    "x", "ties counted more than once",
    case(tied(2, 1, 4, 4), kernel_size=2, stride=2),
    case(tied(1, 2, 5, 5), kernel_size=3, stride=1),
)  # fmt: skip
def max_pool_every_tie(x, kernel_size, stride):
    y = pooled(x, kernel_size, stride, np.max)

    def dx(dy):
        dx = np.zeros_like(x)
        for p, q, at in windows(x, kernel_size, stride):
            dx[at] += (x[at] == y[..., p, q, None, None]) * dy[..., p, q, None, None]
        return dx

    return y, dx


@planted("x", "max-pool gradient spread over the window", EVEN, OVERLAPPING, GAPS)
def max_pool_spread(x, kernel_size, stride):
    y = pooled(x, kernel_size, stride, np.max)

    def dx(dy):
        dx = np.zeros_like(x)
        for p, q, at in windows(x, kernel_size, stride):
            dx[at] += dy[..., p, q, None, None] / kernel_size**2
        return dx

    return y, dx


@planted("x", "max-pool gradient spread over the window", EVEN, LARGE)
def max_pool_to_everyone(x, kernel_size, stride):
    y = pooled(x, kernel_size, stride, np.max)

    def dx(dy):
        dx = np.zeros_like(x)
        for p, q, at in windows(x, kernel_size, stride):
            dx[at] += dy[..., p, q, None, None]
        return dx

    return y, dx


@planted("x", "missing accumulation", OVERLAPPING, LARGE)
def max_pool_overwrites(x, kernel_size, stride):
    y = pooled(x, kernel_size, stride, np.max)

    def dx(dy):
        dx = np.zeros_like(x)
        for p, q, at in windows(x, kernel_size, stride):
            dx[at] = winners(x, at, y, p, q) * dy[..., p, q, None, None]
        return dx

    return y, dx


@planted("x", "stride ignored", EVEN, LARGE, GAPS)
def max_pool_without_stride(x, kernel_size, stride):
    y = pooled(x, kernel_size, stride, np.max)

    def dx(dy):
        dx = np.zeros_like(x)
        for p, q, at in windows(x, kernel_size, stride):
            dx[..., p : p + kernel_size, q : q + kernel_size] += (
                winners(x, at, y, p, q) * dy[..., p, q, None, None]
            )
        return dx

    return y, dx


@planted("x", "padding cropped at the wrong side", case((2, 2, 6, 6), k=3, s=2, pad=1))
def max_pool_padded(x, k, s, pad):
    """The padding before the image is not taken off the gradient."""
    edges = ((0, 0), (0, 0), (pad, pad), (pad, pad))
    xp = np.pad(x, edges, constant_values=-np.inf)
    y = pooled(xp, k, s, np.max)

    def dx(dy):
        full = np.zeros_like(xp)
        for p, q, at in windows(xp, k, s):
            full[at] += winners(xp, at, y, p, q) * dy[..., p, q, None, None]
        return full[:, :, : x.shape[2], : x.shape[3]]

    return y, dx


@planted("x", "wrong winner of the window", case((2, 2, 6, 6), k=2), case((1, 2, 9, 9), k=3))
def max_pool_winner_transposed(x, k):
    """Row and column of the winner exchanged."""
    N, C, H, W = x.shape
    blocks = x.reshape(N, C, H // k, k, W // k, k).transpose(0, 1, 2, 4, 3, 5)
    flat = blocks.reshape(N, C, H // k, W // k, k * k)
    y = flat.max(-1)

    def dx(dy):
        at = flat.argmax(-1)
        dx = np.zeros_like(x)
        for n, c, p, q in np.ndindex(dy.shape):
            j, i = divmod(at[n, c, p, q], k)
            dx[n, c, p * k + i, q * k + j] = dy[n, c, p, q]
        return dx

    return y, dx


@planted("x", "average not divided", EVEN, OVERLAPPING, LARGE)
def avg_pool_not_divided(x, kernel_size, stride):
    y = pooled(x, kernel_size, stride, np.mean)

    def dx(dy):
        dx = np.zeros_like(x)
        for p, q, at in windows(x, kernel_size, stride):
            dx[at] += dy[..., p, q, None, None]
        return dx

    return y, dx


@planted("x", "average divided by the wrong count", EVEN, LARGE)
def avg_pool_side_for_area(x, kernel_size, stride):
    y = pooled(x, kernel_size, stride, np.mean)

    def dx(dy):
        dx = np.zeros_like(x)
        for p, q, at in windows(x, kernel_size, stride):
            dx[at] += dy[..., p, q, None, None] / kernel_size
        return dx

    return y, dx


@planted(
    "x", "average divided by the wrong count",
    case((2, 2, 5, 5), k=3, s=2, pad=1), case((1, 2, 6, 6), k=3, s=1, pad=1),
)  # fmt: skip
def avg_pool_counts_padding(x, k, s, pad):
    """The forward pass counts the pixels of the image alone, the backward pass the padding too."""
    edges = ((0, 0), (0, 0), (pad, pad), (pad, pad))
    xp = np.pad(x, edges)
    counts = pooled(np.pad(np.ones_like(x), edges), k, s, np.sum)
    y = pooled(xp, k, s, np.sum) / counts

    def dx(dy):
        full = np.zeros_like(xp)
        for p, q, at in windows(xp, k, s):
            full[at] += dy[..., p, q, None, None] / k**2
        return full[:, :, pad:-pad, pad:-pad]

    return y, dx


@planted("x", "missing accumulation", OVERLAPPING, LARGE)
def avg_pool_overwrites(x, kernel_size, stride):
    y = pooled(x, kernel_size, stride, np.mean)

    def dx(dy):
        dx = np.zeros_like(x)
        for p, q, at in windows(x, kernel_size, stride):
            dx[at] = dy[..., p, q, None, None] / kernel_size**2
        return dx

    return y, dx


@planted("x", "average not divided", case((2, 3, 4, 4)), case((3, 2, 5, 2)))
def global_avg_pool(x):
    return x.mean((2, 3)), lambda dy: np.broadcast_to(dy[:, :, None, None], x.shape)


@planted("x", "missing accumulation", case((2, 2, 3, 3)), case((1, 1, 2, 4)))
def upsample(x):
    """Each pixel becomes four; the gradient takes the first of them."""
    return x.repeat(2, 2).repeat(2, 3), lambda dy: dy[:, :, ::2, ::2]
