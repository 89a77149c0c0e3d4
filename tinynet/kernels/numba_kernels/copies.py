# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
"""Moving numbers from place to place: lines, runs, and the pixels of a tile.

A loop over NumPy elements in Numba asks of each index whether it counts from the end, which hides
from the compiler that neighbours are copied. These intrinsics (see `tiles.py`) do not ask.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from tinynet.kernels.numba_kernels.tiles import LINE_BYTES, WORD, Emitter


@intrinsic
def copy_line(typing, source, i, target, j):
    """target[j : j + lanes] = source[i : i + lanes]."""

    def emit(context, builder, signature, args):
        e = Emitter(context, builder, source.dtype, LINE_BYTES)
        e.store(e.load(e.pointer(source, args[0], args[1])), e.pointer(target, args[2], args[3]))
        return context.get_dummy_value()

    return types.void(source, types.intp, target, types.intp), emit


@intrinsic
def add_line(typing, x, i, total, j):
    """total[j : j + lanes] += x[i : i + lanes]."""

    def emit(context, builder, signature, args):
        e = Emitter(context, builder, x.dtype, LINE_BYTES)
        place = e.pointer(total, args[2], args[3])
        e.store(builder.fadd(e.load(place), e.load(e.pointer(x, args[0], args[1]))), place)
        return context.get_dummy_value()

    return types.void(x, types.intp, total, types.intp), emit


@intrinsic
def copy_run(typing, source, i, target, j, count):
    """target[j : j + count] = source[i : i + count]."""

    def emit(context, builder, signature, args):
        e = Emitter(context, builder, source.dtype, LINE_BYTES)
        places = e.pointer(target, args[2], args[3]), e.pointer(source, args[0], args[1])
        cgutils.raw_memcpy(builder, *places, args[4], e.size)
        return context.get_dummy_value()

    return types.void(source, types.intp, target, types.intp, types.intp), emit


@intrinsic
def clear_run(typing, target, j, count):
    """target[j : j + count] = 0."""

    def emit(context, builder, signature, args):
        e = Emitter(context, builder, target.dtype, LINE_BYTES)
        cgutils.memset(builder, e.pointer(target, args[0], args[1]), e.times(args[2], e.size), 0)
        return context.get_dummy_value()

    return types.void(target, types.intp, types.intp), emit


def _window(side, inwards):
    """An intrinsic that copies `side` x `side` pixels between an image and one lane of lines.

    The pixel in row i, column j lies at image[place + i*row + j*pixel] on the one side, at
    lines[lane + (i*side + j)*lanes] on the other. inwards: from the image to the lines.
    """

    @intrinsic
    def copy_window(typing, image, place, row, pixel, lines, lane):
        def emit(context, builder, signature, args):
            e = Emitter(context, builder, image.dtype, LINE_BYTES)
            image_, place, row, pixel, lines_, lane = args
            corner, first = e.pointer(image, image_, place), e.pointer(lines, lines_, lane)
            for i in range(side):
                for j in range(side):
                    there = builder.add(e.times(row, i), e.times(pixel, j))
                    here = ir.Constant(WORD, (i * side + j) * e.lanes)
                    source, target = builder.gep(corner, [there]), builder.gep(first, [here])
                    if not inwards:
                        source, target = target, source
                    builder.store(builder.load(source), target)
            return context.get_dummy_value()

        i = types.intp
        return types.void(image, i, i, i, lines, i), emit

    return copy_window


def window_in(side):
    """copy(image, place, row, pixel, lines, lane) from the image to the lines; see `_window`."""
    return _window(side, True)


def window_out(side):
    """The same from the lines to the image."""
    return _window(side, False)
