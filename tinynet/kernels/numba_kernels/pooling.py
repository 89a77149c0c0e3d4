# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, disallow-untyped-decorators=False
"""Pooling in loops: each window is read once.

All arrays lie (C, H, W, N) and contiguous; the innermost loop runs over the images, so every
step works on neighbouring numbers. Padding is never made: a tap outside the image is skipped,
which is what -inf in a maximum and 0 in a sum amount to. The forward pass is shared out by rows
of outputs, numbered channel by channel; the backward pass by channels, since windows may overlap.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def maxima(first, last, x, y, kernel, stride, corner, dilation):
    """Rows first .. last - 1 of y (C, OH, OW, N), the maxima of windows of x (C, H, W, N)."""
    _, H, W, N = x.shape
    _, OH, OW, _ = y.shape
    for row in range(first, last):
        c, p = row // OH, row % OH
        for q in range(OW):
            best = y[c, p, q]
            best[:] = -np.inf
            for i in range(kernel[0]):
                for j in range(kernel[1]):
                    h = p * stride[0] + i * dilation[0] - corner[0]
                    w = q * stride[1] + j * dilation[1] - corner[1]
                    if 0 <= h < H and 0 <= w < W:
                        seen = x[c, h, w]
                        for n in range(N):  # NaN compares false, and is the maximum, as in NumPy
                            keep = seen[n] <= best[n] or best[n] != best[n]
                            best[n] = best[n] if keep else seen[n]


@njit(cache=True, nogil=True)
def maxima_dx(first, last, dy, x, y, dx, kernel, stride, corner, dilation):
    """Channels first .. last - 1 of dx: each dy goes to the first tap that equals y."""
    _, H, W, N = x.shape
    _, OH, OW, _ = y.shape
    zero = dx.dtype.type(0)
    rest = np.empty(N, dx.dtype)  # dy of the windows whose winner is still to be found
    dx[first:last] = 0
    for c in range(first, last):
        for p in range(OH):
            for q in range(OW):
                rest[:] = dy[c, p, q]
                best = y[c, p, q]
                for i in range(kernel[0]):
                    for j in range(kernel[1]):
                        h = p * stride[0] + i * dilation[0] - corner[0]
                        w = q * stride[1] + j * dilation[1] - corner[1]
                        if 0 <= h < H and 0 <= w < W:
                            seen, share = x[c, h, w], dx[c, h, w]
                            for n in range(N):
                                wins = seen[n] == best[n]
                                share[n] += rest[n] if wins else zero
                                rest[n] = zero if wins else rest[n]


@njit(cache=True, nogil=True)
def sums(first, last, x, y, kernel, stride, corner):
    """Rows first .. last - 1 of y (C, OH, OW, N), the sums of windows of x (C, H, W, N)."""
    _, H, W, N = x.shape
    _, OH, OW, _ = y.shape
    for row in range(first, last):
        c, p = row // OH, row % OH
        for q in range(OW):
            total = y[c, p, q]
            total[:] = 0
            for i in range(kernel[0]):
                for j in range(kernel[1]):
                    h, w = p * stride[0] + i - corner[0], q * stride[1] + j - corner[1]
                    if 0 <= h < H and 0 <= w < W:
                        seen = x[c, h, w]
                        for n in range(N):
                            total[n] += seen[n]


@njit(cache=True, nogil=True)
def sums_dx(first, last, dy, dx, kernel, stride, corner):
    """Channels first .. last - 1 of dx: each element gets the dy of every window it is in."""
    _, H, W, N = dx.shape
    _, OH, OW, _ = dy.shape
    dx[first:last] = 0
    for c in range(first, last):
        for p in range(OH):
            for q in range(OW):
                slope = dy[c, p, q]
                for i in range(kernel[0]):
                    for j in range(kernel[1]):
                        h, w = p * stride[0] + i - corner[0], q * stride[1] + j - corner[1]
                        if 0 <= h < H and 0 <= w < W:
                            share = dx[c, h, w]
                            for n in range(N):
                                share[n] += slope[n]
