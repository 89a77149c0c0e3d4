# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
"""Moving numbers from place to place: lines, runs, and the pixels of a tile.

A loop over NumPy elements in Numba asks of each index whether it counts from the end, which hides
from the compiler that neighbours are copied. This vector code (see `tiles.py`) does not ask.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils

from tinynet.kernels.numba_kernels.tiles import LINE_BYTES, WORD, vector_code


@vector_code(LINE_BYTES)
def copy_line(e, source, i, target, j):
    """target[j : j + lanes] = source[i : i + lanes]."""
    e.store(e.load(source, i), target, j)


@vector_code(LINE_BYTES)
def add_line(e, x, i, total, j):
    """total[j : j + lanes] += x[i : i + lanes]."""
    e.store(e.builder.fadd(e.load(total, j), e.load(x, i)), total, j)


@vector_code(LINE_BYTES)
def copy_run(e, source, i, target, j, count):
    """target[j : j + count] = source[i : i + count]."""
    cgutils.raw_memcpy(e.builder, e.at(target, j), e.at(source, i), count, e.size)


@vector_code(LINE_BYTES)
def clear_run(e, target, j, count):
    """target[j : j + count] = 0."""
    cgutils.memset(e.builder, e.at(target, j), e.times(count, e.size), 0)


def window(side, inwards):
    """Code that copies `side` x `side` pixels between an image and one lane of lines.

    The pixel in row i, column j lies at image[place + i*row + j*pixel] on the one side, at
    lines[lane + (i*side + j)*lanes] on the other. inwards: from the image to the lines.
    """

    @vector_code(LINE_BYTES)
    def copy_window(e, image, place, row, pixel, lines, lane):
        corner, first = e.at(image, place), e.at(lines, lane)
        for i in range(side):
            for j in range(side):
                there = e.at(corner, e.builder.add(e.times(row, i), e.times(pixel, j)))
                here = e.at(first, ir.Constant(WORD, (i * side + j) * e.lanes))
                source, target = (there, here) if inwards else (here, there)
                e.builder.store(e.builder.load(source), target)

    return copy_window
