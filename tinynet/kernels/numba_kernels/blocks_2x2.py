# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
"""Vector code for pools of 2x2 blocks: which of four pixels wins, and its share of the gradient.

As in `tiles`. A line holds one pixel of as many images as there are lanes; of a single
image a short vector holds neighbouring pixels, which are taken apart in pairs. It is short since
small nets end in maps of 5 or 7 outputs a row.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tinynet.kernels.numba_kernels.shape import SHAPE
from tinynet.kernels.numba_kernels.tiles import LINE_BYTES, WORD, vector_code

PAIRS_BYTES = 16  # of outputs of one image at a time


def _numbers(e):
    """A type for as many integers as a register holds elements, and of their width."""
    return ir.VectorType(ir.IntType(8 * e.size), e.lanes)


def _bytes_at(e, array, index):
    """The address of as many bytes as a register holds elements."""
    return e.builder.bitcast(e.at(array, index), ir.VectorType(ir.IntType(8), e.lanes).as_pointer())


def _largest(e, taps):
    """The largest of four vectors, lane by lane, and its number from 0 to 3.

    Of equal ones it is the first; NaN if one of them is, and then the first NaN.
    """
    builder, numbers = e.builder, _numbers(e)

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
    flag = ir.VectorType(ir.IntType(1), e.lanes)
    undefined = ir.Constant(flag, ir.Undefined)
    first = e.builder.insert_element(undefined, relu, ir.Constant(ir.IntType(32), 0))
    relu = e.shuffle(first, undefined, [0] * e.lanes)
    loses = e.builder.and_(relu, e.builder.fcmp_ordered("<=", best, e.zero()))
    best = e.builder.select(loses, e.zero(), best)
    winner = e.builder.select(loses, ir.Constant(_numbers(e), [4] * e.lanes), winner)
    e.store(best, y, j)
    winner = e.builder.trunc(winner, ir.VectorType(ir.IntType(8), e.lanes))
    e.builder.store(winner, _bytes_at(e, winners, j)).align = 1


def _shares(e, dy, winners, j):
    """dy[j ...] where winners[j ...] is 0, and 0 elsewhere; likewise for 1, 2 and 3."""
    share = e.load(dy, j)
    winner = e.builder.load(_bytes_at(e, winners, j))
    winner.align = 1
    winner = e.builder.zext(winner, _numbers(e))
    for k in range(4):
        wins = e.builder.icmp_unsigned("==", winner, ir.Constant(_numbers(e), [k] * e.lanes))
        yield e.builder.select(wins, share, e.zero())


def _registers(e, *places):
    """The places of each register of the lines at `places`."""
    for start in range(0, LINE_BYTES // e.size, e.lanes):
        yield [e.builder.add(place, ir.Constant(WORD, start)) for place in places]


@vector_code(SHAPE.register_bytes)
def pool_line(e, x, a, b, c, d, y, winners, j, relu):
    """Lane by lane the largest of the lines of x at a, b, c, d, and which it was: 0, 1, 2 or 3.

    Into y[j ...] and winners[j ...]; relu as in `pooling.pool_2x2`. In a loop over elements LLVM
    would have to prove that y overlaps no input, and to mix two widths.
    """
    for *places, here in _registers(e, a, b, c, d, j):
        _put_largest(e, [e.load(x, place) for place in places], y, winners, here, relu)


@vector_code(SHAPE.register_bytes)
def share_line(e, dy, winners, j, dx, a, b, c, d):
    """dy[j ...] to the winners among the lines of dx at a, b, c, d, 0 to the others."""
    for *places, here in _registers(e, a, b, c, d, j):
        for share, place in zip(_shares(e, dy, winners, here), places):
            e.store(share, dx, place)


@vector_code(PAIRS_BYTES)
def pool_pairs(e, x, upper, lower, y, winners, j, relu):
    """As `pool_line`, for neighbouring blocks of one image, whose pixels lie in pairs."""
    taps = []
    for row in (upper, lower):
        pair = e.load(x, row), e.load(e.at(x, row), ir.Constant(WORD, e.lanes))
        taps += [e.shuffle(*pair, range(first, 2 * e.lanes, 2)) for first in (0, 1)]
    _put_largest(e, taps, y, winners, j, relu)


@vector_code(PAIRS_BYTES)
def share_pairs(e, dy, winners, j, dx, upper, lower):
    """As `share_line`, for neighbouring blocks of one image."""
    shares = list(_shares(e, dy, winners, j))
    for row, pair in ((upper, shares[:2]), (lower, shares[2:])):
        for half in (0, e.lanes // 2):
            lanes = [k for lane in range(half, half + e.lanes // 2) for k in (lane, lane + e.lanes)]
            e.store(e.shuffle(*pair, lanes), e.at(dx, row), ir.Constant(WORD, 2 * half))


@intrinsic
def choose(typing, condition, x, y):
    """x if the condition holds, else y: no branch, which would be guessed wrong."""

    def emit(context, builder, signature, args):
        return builder.select(*args)

    return x(types.boolean, x, x), emit
