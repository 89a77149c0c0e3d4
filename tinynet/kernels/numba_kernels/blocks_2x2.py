# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
"""Vector code for pools of 2x2 blocks: which of four pixels wins, and its share of the gradient.

Intrinsics as in `tiles`. A line holds one pixel of as many images as there are lanes; of a single
image a short vector holds neighbouring pixels, which are taken apart in pairs. It is short since
small nets end in maps of 5 or 7 outputs a row.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tinynet.kernels.numba_kernels.shape import SHAPE
from tinynet.kernels.numba_kernels.tiles import LINE_BYTES, WORD, Emitter

PAIRS_BYTES = 16  # of outputs of one image at a time


def _numbers(e):
    """A type for as many integers as a register holds elements, and of their width."""
    return ir.VectorType(ir.IntType(8 * e.size), e.lanes)


def _bytes_at(e, array_type, array, index):
    """The address of as many bytes as a register holds elements."""
    place = e.pointer(array_type, array, index)
    return e.builder.bitcast(place, ir.VectorType(ir.IntType(8), e.lanes).as_pointer())


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


def _put_largest(e, taps, y_type, y, winners_type, winners, j, relu):
    best, winner = _largest(e, taps)
    flag = ir.VectorType(ir.IntType(1), e.lanes)
    undefined = ir.Constant(flag, ir.Undefined)
    first = e.builder.insert_element(undefined, relu, ir.Constant(ir.IntType(32), 0))
    relu = e.shuffle(first, undefined, [0] * e.lanes)
    loses = e.builder.and_(relu, e.builder.fcmp_ordered("<=", best, e.zero()))
    best = e.builder.select(loses, e.zero(), best)
    winner = e.builder.select(loses, ir.Constant(_numbers(e), [4] * e.lanes), winner)
    e.store(best, e.pointer(y_type, y, j))
    winner = e.builder.trunc(winner, ir.VectorType(ir.IntType(8), e.lanes))
    e.builder.store(winner, _bytes_at(e, winners_type, winners, j)).align = 1


def _shares(e, dy_type, dy, winners_type, winners, j):
    """dy[j ...] where winners[j ...] is 0, and 0 elsewhere; likewise for 1, 2 and 3."""
    share = e.load(e.pointer(dy_type, dy, j))
    winner = e.builder.load(_bytes_at(e, winners_type, winners, j))
    winner.align = 1
    winner = e.builder.zext(winner, _numbers(e))
    for k in range(4):
        wins = e.builder.icmp_unsigned("==", winner, ir.Constant(_numbers(e), [k] * e.lanes))
        yield e.builder.select(wins, share, e.zero())


@intrinsic
def pool_line(typing, x, a, b, c, d, y, winners, j, relu):
    """Lane by lane the largest of the lines of x at a, b, c, d, and which it was: 0, 1, 2 or 3.

    Into y[j ...] and winners[j ...]; relu as in `pooling.pool_2x2`. In a loop over elements LLVM
    would have to prove that y overlaps no input, and to mix two widths.
    """

    def emit(context, builder, signature, args):
        e = Emitter(context, builder, x.dtype, SHAPE.register_bytes)
        x_, *places, y_, winners_, j, relu = args
        for start in range(0, LINE_BYTES // e.size, e.lanes):
            here = [builder.add(place, ir.Constant(WORD, start)) for place in (*places, j)]
            taps = [e.load(e.pointer(x, x_, place)) for place in here[:-1]]
            _put_largest(e, taps, y, y_, winners, winners_, here[-1], relu)
        return context.get_dummy_value()

    i = types.intp
    return types.void(x, i, i, i, i, y, winners, i, types.boolean), emit


@intrinsic
def share_line(typing, dy, winners, j, dx, a, b, c, d):
    """dy[j ...] to the winners among the lines of dx at a, b, c, d, 0 to the others."""

    def emit(context, builder, signature, args):
        e = Emitter(context, builder, dx.dtype, SHAPE.register_bytes)
        dy_, winners_, j, dx_, *places = args
        for start in range(0, LINE_BYTES // e.size, e.lanes):
            here = [builder.add(place, ir.Constant(WORD, start)) for place in (*places, j)]
            shares = _shares(e, dy, dy_, winners, winners_, here[-1])
            for share, place in zip(shares, here):
                e.store(share, e.pointer(dx, dx_, place))
        return context.get_dummy_value()

    i = types.intp
    return types.void(dy, winners, i, dx, i, i, i, i), emit


@intrinsic
def pool_pairs(typing, x, upper, lower, y, winners, j, relu):
    """As `pool_line`, for neighbouring blocks of one image, whose pixels lie in pairs."""

    def emit(context, builder, signature, args):
        e = Emitter(context, builder, x.dtype, PAIRS_BYTES)
        x_, upper, lower, y_, winners_, j, relu = args
        taps = []
        for row in (upper, lower):
            place = e.pointer(x, x_, row)
            pair = e.load(place), e.load(place, ir.Constant(WORD, e.lanes))
            taps += [e.shuffle(*pair, range(first, 2 * e.lanes, 2)) for first in (0, 1)]
        _put_largest(e, taps, y, y_, winners, winners_, j, relu)
        return context.get_dummy_value()

    i = types.intp
    return types.void(x, i, i, y, winners, i, types.boolean), emit


@intrinsic
def share_pairs(typing, dy, winners, j, dx, upper, lower):
    """As `share_line`, for neighbouring blocks of one image."""

    def emit(context, builder, signature, args):
        e = Emitter(context, builder, dx.dtype, PAIRS_BYTES)
        dy_, winners_, j, dx_, upper, lower = args
        shares = list(_shares(e, dy, dy_, winners, winners_, j))
        for row, pair in ((upper, shares[:2]), (lower, shares[2:])):
            place = e.pointer(dx, dx_, row)
            for half in (0, e.lanes // 2):
                places = [
                    k for lane in range(half, half + e.lanes // 2) for k in (lane, lane + e.lanes)
                ]
                e.store(e.shuffle(pair[0], pair[1], places), place, ir.Constant(WORD, 2 * half))
        return context.get_dummy_value()

    i = types.intp
    return types.void(dy, winners, i, dx, i, i), emit


@intrinsic
def choose(typing, condition, x, y):
    """x if the condition holds, else y: no branch, which would be guessed wrong."""

    def emit(context, builder, signature, args):
        return builder.select(*args)

    return x(types.boolean, x, x), emit
