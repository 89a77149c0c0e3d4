# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
# mypy: disable-error-code=call-arg
"""Max-pooling in loops: each window is read once.

All arrays lie (C, H, W, N) and contiguous; the innermost loop runs over the images, so every
step works on neighbouring numbers. Padding is never made: taps outside the image are left out,
which is what -inf in a maximum amounts to. The forward pass is shared out by rows
of outputs, numbered channel by channel; the backward pass by channels, since windows may overlap.

The pool that every small net has, blocks of 2x2, has vector code and a loop of its own. A register
holds one pixel of as many images as it has lanes; of a single image a short vector holds
neighbouring pixels, which are taken apart in pairs. It is short since small nets end in maps of 5
or 7 outputs a row.
`pool_2x2` notes which of the four pixels won, a byte for each window: the gradient then needs
neither the image nor the maxima, and the image, the largest array of most nets, can be given back
before the backward pass begins.
"""

import numpy as np
from llvmlite import ir

from tinynet.kernels.numba_kernels.compiled import compiled
from tinynet.kernels.numba_kernels.direct import REGISTER_BYTES, inside
from tinynet.kernels.numba_kernels.team import begin, finish
from tinynet.kernels.numba_kernels.tiles import WORD, vector_code

PAIRS_BYTES = 16  # of outputs of one image at a time


def _integers(e, size):
    """A type for as many integers of `size` bytes as a register holds elements."""
    return ir.VectorType(ir.IntType(8 * size), e.lanes)


def _largest(e, taps):
    """The largest of four vectors, lane by lane, and its number from 0 to 3.

    Of equal ones it is the first; NaN if one of them is, and then the first NaN.
    """
    builder, numbers = e.builder, _integers(e, e.size)

    def larger(one, other):
        wins = builder.and_(  # unordered: or one of them is NaN
            builder.fcmp_unordered(">", other[0], one[0]),
            builder.fcmp_ordered("ord", one[0], one[0]),
        )
        return [builder.select(wins, late, early) for early, late in zip(one, other)]

    numbered = [(tap, ir.Constant(numbers, [k] * e.lanes)) for k, tap in enumerate(taps)]
    return larger(larger(*numbered[:2]), larger(*numbered[2:]))


def _put_largest(e, taps, y, winners, j, relu):
    best, winner = _largest(e, taps)
    loses = e.builder.and_(e.splat(relu), e.builder.fcmp_ordered("<=", best, e.zero()))
    best = e.builder.select(loses, e.zero(), best)
    winner = e.builder.select(loses, ir.Constant(_integers(e, e.size), [4] * e.lanes), winner)
    e.store(best, y, j)
    e.store(e.builder.trunc(winner, _integers(e, 1)), winners, j)


def _shares(e, dy, winners, j):
    """dy[j ...] where winners[j ...] is 0, and 0 elsewhere; likewise for 1, 2 and 3."""
    share, numbers = e.load(dy, j), _integers(e, e.size)
    winner = e.builder.zext(e.load(winners, j, _integers(e, 1)), numbers)
    for k in range(4):
        wins = e.builder.icmp_unsigned("==", winner, ir.Constant(numbers, [k] * e.lanes))
        yield e.builder.select(wins, share, e.zero())


@vector_code(REGISTER_BYTES)
def pool_images(e, x, a, b, c, d, y, winners, j, relu):
    """Lane by lane the largest of the numbers of x at a, b, c, d, and which it was: 0, 1, 2 or 3.

    Into y[j ...] and winners[j ...]; relu as in `pooling.pool_2x2`. In a loop over elements LLVM
    would have to prove that y overlaps no input, and to mix two widths.
    """
    _put_largest(e, [e.load(x, place) for place in (a, b, c, d)], y, winners, j, relu)


@vector_code(REGISTER_BYTES)
def share_images(e, dy, winners, j, dx, a, b, c, d):
    """dy[j ...] to the winners among the numbers of dx at a, b, c, d, 0 to the others."""
    for share, place in zip(_shares(e, dy, winners, j), (a, b, c, d)):
        e.store(share, dx, place)


@vector_code(PAIRS_BYTES)
def pool_pairs(e, x, upper, lower, y, winners, j, relu):
    """As `pool_images`, for neighbouring blocks of one image, whose pixels lie in pairs."""
    taps = []
    for row in (upper, lower):
        pair = e.load(x, row), e.load(e.at(x, row), ir.Constant(WORD, e.lanes))
        taps += [e.shuffle(*pair, range(first, 2 * e.lanes, 2)) for first in (0, 1)]
    _put_largest(e, taps, y, winners, j, relu)


@vector_code(PAIRS_BYTES)
def share_pairs(e, dy, winners, j, dx, upper, lower):
    """As `share_images`, for neighbouring blocks of one image."""
    shares = list(_shares(e, dy, winners, j))
    for row, pair in ((upper, shares[:2]), (lower, shares[2:])):
        for half in (0, e.lanes // 2):
            lanes = [k for lane in range(half, half + e.lanes // 2) for k in (lane, lane + e.lanes)]
            e.store(e.shuffle(*pair, lanes), e.at(dx, row), ir.Constant(WORD, 2 * half))


@compiled
def pool_2x2(team, part, first, last, x, y, winners, relu, back):
    """Rows first .. last - 1 of y (C, OH, OW, N), the maxima of the 2x2 blocks of x.

    winners (C, OH, OW, N): which of the four it was, in reading order; of equal ones, or of NaN,
    the first.
    relu: a maximum that is not above 0 becomes 0, and its winner 4, which is none. What remains
    beside whole vectors is done once more with its neighbours.
    back: the gradient; each number of y, which is dy, goes to the winner of its block in x, dx.
    """
    begin(team)
    N, OW = y.shape[3], y.shape[2]
    pixels, best, places = x.reshape(x.size), y.reshape(y.size), winners.reshape(winners.size)
    length, lanes, blocks = 2 * OW * N, REGISTER_BYTES // x.itemsize, PAIRS_BYTES // x.itemsize
    for row in range(first, last):
        for q in range(0, OW, blocks if N == 1 else 1):
            q = min(q, OW - blocks) if N == 1 else q
            a, here = 2 * row * length + 2 * q * N, (row * OW + q) * N
            b, c, d = a + N, a + length, a + length + N
            if N == 1 and back:
                share_pairs(best, places, here, pixels, a, c)
            elif N == 1:
                pool_pairs(pixels, a, c, best, places, here, relu)
            for n in range(0, N if N > 1 else 0, lanes):
                n = min(n, N - lanes)
                if back:
                    share_images(best, places, here + n, pixels, a + n, b + n, c + n, d + n)
                else:
                    pool_images(pixels, a + n, b + n, c + n, d + n, best, places, here + n, relu)
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
