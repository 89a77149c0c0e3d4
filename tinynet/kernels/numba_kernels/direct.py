# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
# mypy: disable-error-code=call-arg
"""Convolution of stride 1 and its weight gradient as matrix products that never unfold.

The unfolded windows (C*KH*KW rows, a column for each place) need not exist: in a padded image
that lies flat in memory, tap (c, i, j) of every window is the same image shifted by

    offsets[c, i, j] = c*plane + i*row + j*pixel

so a row of the unfolded matrix is a place to start reading. The image is padded and copied in
blocks of B images and a few rows, (C, rows, W + padding, B) in memory, which stay in the cache
while every filter passes over them. B is the number of lanes of a vector, and a vector holds one
pixel of B images. With fewer images than lanes B = N, and a vector runs on into the next
pixels and rows; what it computes for the columns between two rows of outputs is thrown away.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from tinynet.kernels.numba_kernels.tiles import copy_vector, dot_tile, multiply_tile

FILTERS = 8  # filters and vectors of places in a tile: 24 sums in 32 registers
VECTORS = 3


@njit(cache=True)
def tap_offsets(C, KH, KW, plane, row, pixel):
    """offsets (C*KH*KW) of the taps in a padded block of images."""
    offsets = np.empty(C * KH * KW, np.int64)
    for c in range(C):
        for i in range(KH):
            for j in range(KW):
                offsets[(c * KH + i) * KW + j] = c * plane + i * row + j * pixel
    return offsets


@njit(cache=True)
def pack_block(x, n0, B, first, rows, left, width, vector, block):
    """block (C, rows, width, B) = image rows first, first + 1, ... of B images, zeros around.

    x (C, H, W, N). Column `left` of the block is column 0 of the image; rows outside are zeros.
    """
    C, H, W, N = x.shape
    flat = x.reshape(x.size)
    for c in range(C):
        for r in range(rows):
            h = first + r
            start = (c * rows + r) * width * B
            if h < 0 or h >= H:
                block[start : start + width * B] = 0
                continue
            block[start : start + left * B] = 0
            inner = start + left * B
            source = (c * H + h) * W * N + n0
            if vector:
                for q in range(W):
                    copy_vector(flat, source + q * N, block, inner + q * B)
            else:
                for s in range(W * B):
                    block[inner + s] = flat[source + s]
            block[inner + W * B : start + width * B] = 0


def _column_of_tiles(V):
    """The kernel that computes all filters at V vectors of places."""

    @njit(cache=True)
    def multiply(x, x0, x_step, offsets, w, b, y, y0, y_pitch, y_step):
        """w (O*K) as `pack_filters` lays it; see `multiply_tile` for the rest."""
        K, O = offsets.size, b.size
        o = 0
        while o + FILTERS <= O:
            multiply_tile(
                FILTERS, V, x, x0, x_step, offsets, K, w, o * K, b, o,
                y, y0 + o * y_pitch, y_pitch, y_step,
            )  # fmt: skip
            o += FILTERS
        if o + 4 <= O:
            multiply_tile(
                4, V, x, x0, x_step, offsets, K, w, o * K, b, o,
                y, y0 + o * y_pitch, y_pitch, y_step,
            )  # fmt: skip
            o += 4
        if o + 2 <= O:
            multiply_tile(
                2, V, x, x0, x_step, offsets, K, w, o * K, b, o,
                y, y0 + o * y_pitch, y_pitch, y_step,
            )  # fmt: skip
            o += 2
        if o < O:
            multiply_tile(
                1, V, x, x0, x_step, offsets, K, w, o * K, b, o,
                y, y0 + o * y_pitch, y_pitch, y_step,
            )  # fmt: skip

    return multiply


_three_vectors, _one_vector = _column_of_tiles(VECTORS), _column_of_tiles(1)


@njit(cache=True)
def multiply_run(x, x0, x_step, offsets, w, b, vectors, y, y0, y_pitch, y_step):
    """All filters at a run of `vectors` vectors of places."""
    v = 0
    while v + VECTORS <= vectors:
        place = y0 + v * y_step
        _three_vectors(x, x0 + v * x_step, x_step, offsets, w, b, y, place, y_pitch, y_step)
        v += VECTORS
    while v < vectors:
        place = y0 + v * y_step
        _one_vector(x, x0 + v * x_step, x_step, offsets, w, b, y, place, y_pitch, y_step)
        v += 1


@njit(cache=True)
def pack_filters(w):
    """w (O, K) -> flat: 8 filters side by side, tap by tap, then the next 8; 4, 2, 1 at the end."""
    O, K = w.shape
    packed = np.empty(O * K, w.dtype)
    o, height = 0, FILTERS
    while o < O:
        while o + height > O:
            height //= 2
        for k in range(K):
            for t in range(height):
                packed[o * K + k * height + t] = w[o + t, k]
        o += height
    return packed


@njit(cache=True, nogil=True)
def correlate_part(first, last, rows, x, w, b, kernel, dilation, corner, width, y):
    """Tasks first .. last - 1 of a convolution; a task is `rows` rows of outputs of B images.

    x (C, H, W, N), w flat from `pack_filters`, y (O, OH, OW, N), all contiguous.
    corner: padding (top, left). width: of the padded image.
    """
    C, N = x.shape[0], x.shape[3]
    O, OH, OW, _ = y.shape
    LANES = 64 // x.itemsize
    B = min(LANES, N)
    reach = rows + (kernel[0] - 1) * dilation[0]
    row, plane = width * B, reach * width * B
    block = np.empty(C * plane + LANES, x.dtype)
    offsets = tap_offsets(C, kernel[0], kernel[1], plane, row * dilation[0], B * dilation[1])
    flat = y.reshape(y.size)
    run = -(-((rows - 1) * row + OW * B) // LANES)  # vectors, where they run across rows
    junk = np.empty(O * run * LANES if B < LANES else 0, x.dtype)
    strips = -(-OH // rows)
    for task in range(first, last):
        n0, p0 = min(task // strips * B, N - B), task % strips * rows
        count = min(rows, OH - p0)
        pack_block(x, n0, B, p0 - corner[0], reach, corner[1], width, B == LANES, block)
        if B == LANES:
            for p in range(count):
                place = (p0 + p) * OW * N + n0
                multiply_run(block, p * row, B, offsets, w, b, OW, flat, place, OH * OW * N, N)
            continue
        multiply_run(block, 0, LANES, offsets, w, b, run, junk, 0, run * LANES, LANES)
        for o in range(O):
            for p in range(count):
                start = o * run * LANES + p * row
                place = ((o * OH + p0 + p) * OW) * N
                for s in range(OW * N):
                    flat[place + s] = junk[start + s]


def _dot_columns(V):
    """The kernel that adds the inner products of all filters with V taps."""

    @njit(cache=True)
    def add(x, x_pitch, offsets, k, dy, dy_plane, dy_pitch, runs, length, dw, O):
        K = offsets.size
        o = 0
        while o + 4 <= O:
            dot_tile(
                4, V, x, 0, x_pitch, offsets, k, dy, o * dy_plane, dy_plane, dy_pitch,
                runs, length, dw, o * K + k, K,
            )  # fmt: skip
            o += 4
        while o < O:
            dot_tile(
                1, V, x, 0, x_pitch, offsets, k, dy, o * dy_plane, dy_plane, dy_pitch,
                runs, length, dw, o * K + k, K,
            )  # fmt: skip
            o += 1

    return add


_dot_six, _dot_three, _dot_one = _dot_columns(6), _dot_columns(3), _dot_columns(1)


@njit(cache=True, nogil=True)
def weight_gradient_part(first, last, rows, x, dy, kernel, dilation, corner, width, dw):
    """Add the share of tasks first .. last - 1 to dw (O * C*KH*KW); tasks as in a convolution.

    x (C, H, W, N), dy (O, OH, OW, N), contiguous.
    """
    C, N = x.shape[0], x.shape[3]
    O, OH, OW, _ = dy.shape
    LANES = 64 // x.itemsize
    B = min(LANES, N)
    reach = rows + (kernel[0] - 1) * dilation[0]
    row, plane = width * B, reach * width * B
    # a run across rows ends up to a vector, and the last tap begins up to a window, further on
    block = np.zeros(C * plane + LANES + (kernel[1] - 1) * dilation[1] * B, x.dtype)
    offsets = tap_offsets(C, kernel[0], kernel[1], plane, row * dilation[0], B * dilation[1])
    K = offsets.size
    columns = OW if B == LANES else width  # a run across rows meets zeros between them
    slopes_plane = -(-rows * columns * B // LANES) * LANES
    slopes = np.zeros(O * slopes_plane, x.dtype)
    flat = dy.reshape(dy.size)
    strips = -(-OH // rows)
    for task in range(first, last):
        n0, p0 = min(task // strips * B, N - B), task % strips * rows
        count = min(rows, OH - p0)
        repeated = task // strips * B - n0  # images that the block before has counted
        pack_block(x, n0, B, p0 - corner[0], reach, corner[1], width, B == LANES, block)
        for o in range(O):
            for p in range(rows):
                start = o * slopes_plane + p * columns * B
                place = ((o * OH + p0 + p) * OW) * N + n0
                if p >= count:
                    slopes[start : start + columns * B] = 0
                elif B == LANES:
                    for q in range(OW):
                        copy_vector(flat, place + q * N, slopes, start + q * B)
                        for n in range(repeated):
                            slopes[start + q * B + n] = 0
                else:
                    for s in range(OW * B):
                        slopes[start + s] = flat[place + s]
        if B == LANES:
            runs, length = count, OW
        else:
            runs, length = 1, slopes_plane // LANES
        k = 0
        while k + 6 <= K:
            _dot_six(block, row, offsets, k, slopes, slopes_plane, columns * B, runs, length, dw, O)
            k += 6
        while k + 3 <= K:
            _dot_three(
                block, row, offsets, k, slopes, slopes_plane, columns * B, runs, length, dw, O
            )
            k += 3
        while k < K:
            _dot_one(block, row, offsets, k, slopes, slopes_plane, columns * B, runs, length, dw, O)
            k += 1
