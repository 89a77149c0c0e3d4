# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, disallow-untyped-decorators=False
"""Pooling in loops: each window is read once, each image row is written once.

All arrays lie (C, H, W, N) and contiguous; the innermost loop runs over the images, so every
step works on neighbouring numbers. Threads take channels. Padding is never made: a tap outside
the image is skipped, which is what -inf in a maximum and 0 in a sum amount to.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange


@njit(cache=True)
def _max_channel(x, y, kernel, stride, corner, dilation):
    """y (OH, OW, N), the maxima of one channel x (H, W, N)."""
    H, W, N = x.shape
    OH, OW, _ = y.shape
    for p in range(OH):
        for q in range(OW):
            best = y[p, q]
            best[:] = -np.inf
            for i in range(kernel[0]):
                for j in range(kernel[1]):
                    h = p * stride[0] + i * dilation[0] - corner[0]
                    w = q * stride[1] + j * dilation[1] - corner[1]
                    if 0 <= h < H and 0 <= w < W:
                        seen = x[h, w]
                        for n in range(N):
                            # a NaN is not <= anything and stays: it is the maximum, as in NumPy
                            best[n] = best[n] if seen[n] <= best[n] or best[n] != best[n] else seen[n]


@njit(cache=True)
def _max_channel_dx(dy, x, y, dx, kernel, stride, corner, dilation):
    """dx (H, W, N): each dy goes to the first tap of its window that equals y."""
    H, W, N = x.shape
    OH, OW, _ = y.shape
    dx[:] = 0
    free = np.empty(N, dx.dtype)  # 1 for windows whose winner is still to be found
    for p in range(OH):
        for q in range(OW):
            free[:] = 1
            slope, best = dy[p, q], y[p, q]
            for i in range(kernel[0]):
                for j in range(kernel[1]):
                    h = p * stride[0] + i * dilation[0] - corner[0]
                    w = q * stride[1] + j * dilation[1] - corner[1]
                    if 0 <= h < H and 0 <= w < W:
                        seen, share = x[h, w], dx[h, w]
                        for n in range(N):
                            wins = free[n] if seen[n] == best[n] else free[n] * 0
                            share[n] += slope[n] if wins else free[n] * 0
                            free[n] -= wins


@njit(cache=True)
def _sum_channel(x, y, kernel, stride, corner):
    """y (OH, OW, N), the sums of one channel x (H, W, N)."""
    H, W, N = x.shape
    OH, OW, _ = y.shape
    for p in range(OH):
        for q in range(OW):
            total = y[p, q]
            total[:] = 0
            for i in range(kernel[0]):
                for j in range(kernel[1]):
                    h, w = p * stride[0] + i - corner[0], q * stride[1] + j - corner[1]
                    if 0 <= h < H and 0 <= w < W:
                        seen = x[h, w]
                        for n in range(N):
                            total[n] += seen[n]


@njit(cache=True)
def _sum_channel_dx(dy, dx, kernel, stride, corner):
    """dx (H, W, N): each element gets the dy of every window it is in."""
    H, W, N = dx.shape
    OH, OW, _ = dy.shape
    dx[:] = 0
    for p in range(OH):
        for q in range(OW):
            slope = dy[p, q]
            for i in range(kernel[0]):
                for j in range(kernel[1]):
                    h, w = p * stride[0] + i - corner[0], q * stride[1] + j - corner[1]
                    if 0 <= h < H and 0 <= w < W:
                        share = dx[h, w]
                        for n in range(N):
                            share[n] += slope[n]


@njit(cache=True, parallel=True)
def max_channels(x, y, kernel, stride, corner, dilation):
    """y (C, OH, OW, N) from x (C, H, W, N)."""
    for c in prange(len(x)):
        _max_channel(x[c], y[c], kernel, stride, corner, dilation)


@njit(cache=True, parallel=True)
def max_channels_dx(dy, x, y, dx, kernel, stride, corner, dilation):
    """dx (C, H, W, N) from dy and y (C, OH, OW, N) and x."""
    for c in prange(len(x)):
        _max_channel_dx(dy[c], x[c], y[c], dx[c], kernel, stride, corner, dilation)


@njit(cache=True, parallel=True)
def sum_channels(x, y, kernel, stride, corner):
    """y (C, OH, OW, N) from x (C, H, W, N)."""
    for c in prange(len(x)):
        _sum_channel(x[c], y[c], kernel, stride, corner)


@njit(cache=True, parallel=True)
def sum_channels_dx(dy, dx, kernel, stride, corner):
    """dx (C, H, W, N) from dy (C, OH, OW, N)."""
    for c in prange(len(dx)):
        _sum_channel_dx(dy[c], dx[c], kernel, stride, corner)
