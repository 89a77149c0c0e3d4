# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
"""Vector code for the inner loops: what a loop over NumPy elements cannot tell the compiler.

A matrix product is fast when a *tile* of the result stays in registers while the sum runs: each
number that is loaded then serves a whole row or column of the tile. A compiler does not find
tiles in a triple loop, so these functions write them down, as instructions on vectors.

There are two lengths of vector. A *line* of 64 bytes is what the cache moves, and the kernels
cut their work into lines, whatever the processor. A *register* holds 64 bytes with AVX-512, 32
with AVX2, 16 otherwise: LLVM makes several registers of a line. The tiles have as many sums as
the registers hold beside the numbers that are multiplied; one sum too many, and the compiler
moves sums to memory and back at each step.

What is decorated with `vector_code` runs while a kernel is compiled: its `for` loops unroll, and
what it emits through the `Emitter` becomes part of the compiled kernel.
"""

import contextlib
import functools

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from tinynet.kernels.numba_kernels.shape import SHAPE

LINE_BYTES = 64

WORD = ir.IntType(64)

TILE_FILTERS = [T for T in (SHAPE.filters, 4, 2, 1) if SHAPE.filters >= T]
TILE_LINES = sorted({SHAPE.lines, 1})
DOT_FILTERS, DOT_TAPS = (SHAPE.dot_filters, 2, 1), sorted({SHAPE.dot_taps, 3, 1})
"""Sizes of the tiles of which whatever is multiplied is put together."""


def vector_code(length):
    """Make of a function that emits instructions one that compiled code calls.

    It is given an Emitter for vectors of `length` bytes of its first array's elements, and then its
    arguments: of an array, which is contiguous, the address of its first element; an integer as it
    is at run time.
    """

    def decorate(write):
        @intrinsic
        @functools.wraps(write)
        def code(typing, *kinds):
            first = next(kind for kind in kinds if isinstance(kind, types.Array))

            def emit(context, builder, signature, args):
                e = Emitter(context, builder, first.dtype, length)
                write(e, *(e.address(*pair) for pair in zip(signature.args, args)))
                return context.get_dummy_value()

            own = (types.intp if isinstance(kind, types.Integer) else kind for kind in kinds)
            return types.void(*own), emit

        return code

    return decorate


class Emitter:
    """Writes instructions on vectors of `length` bytes of one dtype at the builder's place."""

    def __init__(self, context, builder, dtype, length):
        self.context, self.builder = context, builder
        self.size = dtype.bitwidth // 8
        self.lanes = length // self.size
        self.scalar = context.get_value_type(dtype)
        self.vector = ir.VectorType(self.scalar, self.lanes)

    def address(self, kind, value):
        """Of an array the address of its elements; another value as it is."""
        if isinstance(kind, types.Array):
            return self.context.make_array(kind)(self.context, self.builder, value).data
        return value

    def at(self, pointer, index):
        """The address of pointer[index]."""
        return self.builder.gep(pointer, [index])

    def times(self, index, factor):
        """index * factor, for a factor known now."""
        return self.builder.mul(index, ir.Constant(WORD, factor))

    def load(self, pointer, index=None, kind=None):
        """A vector from pointer[index] on; of another kind than the Emitter's, if one is given."""
        place = pointer if index is None else self.at(pointer, index)
        value = self.builder.load(self.builder.bitcast(place, (kind or self.vector).as_pointer()))
        value.align = 1
        return value

    def store(self, value, pointer, index=None):
        """Write a vector from pointer[index] on."""
        place = pointer if index is None else self.at(pointer, index)
        place = self.builder.bitcast(place, value.type.as_pointer())
        self.builder.store(value, place).align = 1

    def add(self, pointer, value, count):
        """Add the first `count` of the four elements of `value` to those in memory."""
        share = self.shuffle(value, value, range(count))
        before = self.load(pointer, kind=share.type)
        self.store(self.builder.fadd(before, share), pointer)

    def element(self, pointer, index):
        """The one element pointer[index], for an index known now."""
        return self.builder.load(self.builder.gep(pointer, [ir.Constant(WORD, index)]))

    def splat(self, scalar):
        """The same value, an element or a flag, in every lane."""
        undefined = ir.Constant(ir.VectorType(scalar.type, self.lanes), ir.Undefined)
        first = self.builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), None)
        return self.builder.shuffle_vector(first, undefined, zeros)

    def zero(self):
        """A vector of zeros."""
        return ir.Constant(self.vector, None)

    def fma(self, x, y, z):
        """x * y + z, rounded once."""
        name = f"llvm.fma.v{self.lanes}f{8 * self.size}"
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, [x, y, z])

    def totals(self, vectors):
        """The sums over the lanes of up to four vectors, as a vector of four.

        Halves are added until four lanes are left; then neighbours: of two vectors the even
        lanes plus the odd ones make one vector, whose halves belong to the two.
        """
        lanes = self.lanes
        vectors = vectors + [self.zero()] * (4 - len(vectors))
        while lanes > 4:
            lanes //= 2
            low, high = range(lanes), range(lanes, 2 * lanes)
            vectors = [
                self.builder.fadd(self.shuffle(x, x, low), self.shuffle(x, x, high))
                for x in vectors
            ]
        even, odd = range(0, 2 * lanes, 2), range(1, 2 * lanes, 2)
        for _ in range(lanes // 2):
            vectors = [
                self.builder.fadd(self.shuffle(x, y, even), self.shuffle(x, y, odd))
                for x, y in zip(vectors[::2], vectors[1::2])
            ]
        return vectors[0] if lanes == 4 else self.shuffle(vectors[0], vectors[1], range(4))

    def shuffle(self, x, y, places):
        """The elements of x and y, numbered through, at `places`."""
        indices = ir.Constant(ir.VectorType(ir.IntType(32), len(places)), list(places))
        return self.builder.shuffle_vector(x, y, indices)

    def combination(self, factors, vectors):
        """The sum of factors times vectors, for factors known now; at least one is not 0."""
        total = None
        for factor, vector in zip(factors, vectors):
            if factor == 0:
                continue
            factor = ir.Constant(self.vector, [float(factor)] * self.lanes)
            total = self.fma(vector, factor, total) if total else self.builder.fmul(vector, factor)
        return total

    @contextlib.contextmanager
    def where(self, value, number):
        """What is emitted in the `with` block runs where `value` is this number."""
        with self.builder.if_then(self.builder.icmp_signed("==", value, ir.Constant(WORD, number))):
            yield

    def loop(self, count, start, body):
        """Run body(k, values) -> new values for k = 0 .. count - 1.

        The values live in registers, where LLVM puts them. Returns those after the last turn.
        """
        kept = [cgutils.alloca_once_value(self.builder, value) for value in start]
        with cgutils.for_range(self.builder, count) as turn:
            values = body(turn.index, [self.builder.load(place) for place in kept])
            for value, place in zip(values, kept):
                self.builder.store(value, place)
        return [self.builder.load(place) for place in kept]


@vector_code(LINE_BYTES)
def multiply_tile(
    e, T, V, x, x0, x_step, offsets, k0, K, w, w0, w_step, b, b0, y, y0, y_pitch, y_step
):
    """T filters at V lines of places, the sum over K taps (at least 1) held in T x V registers.

    T is one of TILE_FILTERS, V one of TILE_LINES.
    y[y0 + t*y_pitch + v*y_step + lane] = b[b0 + t]
        + sum over k of w[w0 + k*w_step + t] * x[x0 + offsets[k0 + k] + v*x_step + lane]
    """
    image, filters, shifts = e.at(x, x0), e.at(w, w0), e.at(offsets, k0)
    bias, result = e.at(b, b0), e.at(y, y0)

    def emit(T, V):
        def add_tap(k, values):
            *sums, column = values
            place = e.at(image, e.builder.load(e.at(shifts, k)))
            pixels = [e.load(place, e.times(x_step, v)) for v in range(V)]
            added = []
            for t in range(T):
                weight = e.splat(e.element(column, t))
                added += [e.fma(pixels[v], weight, sums[t * V + v]) for v in range(V)]
            return [*added, e.at(column, w_step)]

        start = [e.splat(e.element(bias, t)) for t in range(T) for _ in range(V)]
        *sums, _ = e.loop(K, [*start, filters], add_tap)
        for t in range(T):
            for v in range(V):
                place = e.builder.add(e.times(y_pitch, t), e.times(y_step, v))
                e.store(sums[t * V + v], result, place)

    for height in TILE_FILTERS:
        for lines in TILE_LINES:
            with e.where(T, height), e.where(V, lines):
                emit(height, lines)


@vector_code(SHAPE.register_bytes)
def dot_tile(
    e, T, V, x, x0, x_pitch, offsets, k0, dy, dy0, dy_plane, dy_pitch, runs, length, dw, dw0, O
):
    """T filters against V taps: T x V inner products of runs of pixels, added to dw.

    T is one of DOT_FILTERS, V one of DOT_TAPS.
    dw[dw0 + v*O + t] += sum over r < runs, s < length registers of
        dy[dy0 + t*dy_plane + r*dy_pitch + s] * x[x0 + offsets[k0 + v] + r*x_pitch + s]
    """
    image, given, result, shifts = e.at(x, x0), e.at(dy, dy0), e.at(dw, dw0), e.at(offsets, k0)

    def emit(T, V):
        taps = [e.at(image, e.element(shifts, v)) for v in range(V)]
        filters = [e.at(given, e.times(dy_plane, t)) for t in range(T)]

        def add_run(r, sums):
            pixel_row, dy_row = e.builder.mul(r, x_pitch), e.builder.mul(r, dy_pitch)

            def add_vector(s, sums):
                s = e.times(s, e.lanes)
                dys = [e.load(place, e.builder.add(dy_row, s)) for place in filters]
                pixels = [e.load(place, e.builder.add(pixel_row, s)) for place in taps]
                pairs = [(dy, pixel) for dy in dys for pixel in pixels]
                return [e.fma(*pair, total) for pair, total in zip(pairs, sums)]

            return e.loop(length, sums, add_vector)

        sums = e.loop(runs, [e.zero()] * (T * V), add_run)
        for v in range(V):
            e.add(e.at(result, e.times(O, v)), e.totals(sums[v::V]), T)

    for height in DOT_FILTERS:
        for wide in DOT_TAPS:
            with e.where(T, height), e.where(V, wide):
                emit(height, wide)


def lanes(dtype: np.dtype) -> int:
    """How many elements a line holds: the images that are worked on together."""
    return LINE_BYTES // dtype.itemsize


def two_sided_transform(A):
    """An intrinsic for tiles of pixels: Y = A X A^T, lane by lane, with A a constant matrix.

    X[r, s] is the line at x[x0 + r*x_row + s*x_pixel], Y likewise in y; b[b0] is added to Y.
    """

    many, few = range(len(A[0])), range(len(A))

    @vector_code(SHAPE.register_bytes)
    def transform(e, x, x0, x_row, x_pixel, y, y0, y_row, y_pixel, b, b0):
        source, target = e.at(x, x0), e.at(y, y0)
        bias = e.splat(e.builder.load(e.at(b, b0)))

        def at(r, row, s, pixel, start):
            return e.builder.add(e.builder.add(e.times(row, r), e.times(pixel, s)), start)

        registers = ir.Constant(WORD, LINE_BYTES // e.size // e.lanes)
        with cgutils.for_range(e.builder, registers) as loop:  # one register after the other
            start = e.times(loop.index, e.lanes)
            X = [[e.load(source, at(r, x_row, s, x_pixel, start)) for s in many] for r in many]
            AX = [[e.combination(A[r], [X[k][s] for k in many]) for s in many] for r in few]
            for r in few:
                for s in few:
                    total = e.builder.fadd(e.combination(A[s], AX[r]), bias)
                    e.store(total, target, at(r, y_row, s, y_pixel, start))

    return transform


# ----- moving numbers from place to place ---------------------------------------------------------
# A loop over NumPy elements in Numba asks of each index whether it counts from the end, which hides
# from the compiler that neighbours are copied. This code does not ask.


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
