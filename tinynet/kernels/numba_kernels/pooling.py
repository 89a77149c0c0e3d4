# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
# mypy: disable-error-code=call-arg
"""Max-pooling in loops: each window is read once.

All arrays lie (C, H, W, N) and contiguous; the innermost loop runs over the images, so every
step works on neighbouring numbers. Padding is never made: taps outside the image are left out,
which is what -inf in a maximum amounts to. The forward pass is shared out by rows
of outputs, numbered channel by channel; the backward pass by channels, since windows may overlap.

The pool that every small net has, blocks of 2x2, has loops of its own, `pool_2x2` and its gradient.
The former notes which of the four pixels won, a byte for each window: the gradient then needs
neither the image nor the maxima, and the image, the largest array of most nets, can be given back
before the backward pass begins.
"""

from __future__ import annotations

import numpy as np

from tinynet.kernels.numba_kernels.blocks_2x2 import (
    PAIRS_BYTES,
    choose,
    pool_line,
    pool_pairs,
    share_line,
    share_pairs,
)
from tinynet.kernels.numba_kernels.compiled import compiled, inner
from tinynet.kernels.numba_kernels.direct import inside
from tinynet.kernels.numba_kernels.team import begin, finish
from tinynet.kernels.numba_kernels.tiles import LINE_BYTES


@inner
def _larger(x, y):
    """Whether y is larger than x, or the first to be NaN."""
    return ((y > x) | (y != y)) & (x == x)


@compiled
def pool_2x2(team, part, first, last, x, y, winners, relu):
    """Rows first .. last - 1 of y (C, OH, OW, N), the maxima of the 2x2 blocks of x.

    winners (C, OH, OW, N): which of the four it was, in reading order; of equal ones, or of NaN,
    the first.
    relu: a maximum that is not above 0 becomes 0, and its winner 4, which is none.
    """
    begin(team)
    N, OW = y.shape[3], y.shape[2]
    pixels, best, places = x.reshape(x.size), y.reshape(y.size), winners.reshape(winners.size)
    length, lanes, blocks = 2 * OW * N, LINE_BYTES // x.itemsize, PAIRS_BYTES // x.itemsize
    for row in range(first, last):
        q = 0
        while q < OW:
            q = min(q, OW - blocks) if N == 1 and blocks <= OW else q  # some twice, at the end
            a, here, n = 2 * row * length + 2 * q * N, (row * OW + q) * N, 0
            if N == 1 and blocks <= OW:
                pool_pairs(pixels, a, a + length, best, places, here, relu)
                q += blocks
                continue
            b, c, d = a + N, a + length, a + length + N
            while n + lanes <= N:
                pool_line(pixels, a + n, b + n, c + n, d + n, best, places, here + n, relu)
                n += lanes
            while n < N:
                winner, largest = np.uint8(0), pixels[a + n]
                for k, place in enumerate((b, c, d)):
                    wins = _larger(largest, pixels[place + n])
                    winner = choose(wins, np.uint8(k + 1), winner)
                    largest = choose(wins, pixels[place + n], largest)
                if relu and largest <= 0:
                    winner, largest = np.uint8(4), y.dtype.type(0)
                best[here + n], places[here + n] = largest, winner
                n += 1
            q += 1
    finish(team)


@compiled
def pool_2x2_dx(team, part, first, last, dy, winners, dx):
    """Rows first .. last - 1 of dy (C, OH, OW, N): each goes to the winner of its 2x2 block."""
    begin(team)
    N, OW = dy.shape[3], dy.shape[2]
    zero = dx.dtype.type(0)
    given, places, target = dy.reshape(dy.size), winners.reshape(winners.size), dx.reshape(dx.size)
    length, lanes, blocks = 2 * OW * N, LINE_BYTES // dx.itemsize, PAIRS_BYTES // dx.itemsize
    for row in range(first, last):
        q = 0
        while q < OW:
            q = min(q, OW - blocks) if N == 1 and blocks <= OW else q
            a, here, n = 2 * row * length + 2 * q * N, (row * OW + q) * N, 0
            if N == 1 and blocks <= OW:
                share_pairs(given, places, here, target, a, a + length)
                q += blocks
                continue
            b, c, d = a + N, a + length, a + length + N
            while n + lanes <= N:
                share_line(given, places, here + n, target, a + n, b + n, c + n, d + n)
                n += lanes
            while n < N:
                for k, place in enumerate((a, b, c, d)):
                    target[place + n] = choose(places[here + n] == k, given[here + n], zero)
                n += 1
            q += 1
    finish(team)


@compiled
def maxima(team, part, first, last, x, y, kernel, stride, corner, dilation):
    """Rows first .. last - 1 of y (C, OH, OW, N), the maxima of windows of x (C, H, W, N)."""
    begin(team)
    _, H, W, N = x.shape
    _, OH, OW, _ = y.shape
    for row in range(first, last):
        c, p = row // OH, row % OH
        top = p * stride[0] - corner[0]
        i0, i1 = inside(top, kernel[0], dilation[0], H)
        for q in range(OW):
            left = q * stride[1] - corner[1]
            j0, j1 = inside(left, kernel[1], dilation[1], W)
            for n in range(N):
                y[c, p, q, n] = -np.inf
            for i in range(i0, i1):
                for j in range(j0, j1):
                    h, w = top + i * dilation[0], left + j * dilation[1]
                    for n in range(N):  # NaN compares false, and is the maximum, as in NumPy
                        seen, best = x[c, h, w, n], y[c, p, q, n]
                        y[c, p, q, n] = best if seen <= best or best != best else seen
    finish(team)


@compiled
def maxima_dx(team, part, first, last, dy, x, y, dx, kernel, stride, corner, dilation):
    """Channels first .. last - 1 of dx: each dy goes to the first tap that equals y, or is NaN."""
    begin(team)
    _, H, W, N = x.shape
    _, OH, OW, _ = y.shape
    zero = dx.dtype.type(0)
    rest = np.empty(N, dx.dtype)  # dy of the windows whose winner is still to be found
    covered = (
        stride == kernel and OH * stride[0] >= H + corner[0] and OW * stride[1] >= W + corner[1]
    )
    apart = covered and dilation == (1, 1)  # every pixel is in one window: nothing to add up
    if not apart:
        dx[first:last] = 0
    for c in range(first, last):
        for p in range(OH):
            top = p * stride[0] - corner[0]
            i0, i1 = inside(top, kernel[0], dilation[0], H)
            for q in range(OW):
                left = q * stride[1] - corner[1]
                j0, j1 = inside(left, kernel[1], dilation[1], W)
                for n in range(N):
                    rest[n] = dy[c, p, q, n]
                for i in range(i0, i1):
                    for j in range(j0, j1):
                        h, w = top + i * dilation[0], left + j * dilation[1]
                        for n in range(N):
                            seen = x[c, h, w, n]
                            wins = (seen == y[c, p, q, n]) | (seen != seen)
                            before = zero if apart else dx[c, h, w, n]
                            dx[c, h, w, n] = before + (rest[n] if wins else zero)
                            rest[n] = zero if wins else rest[n]
    finish(team)
