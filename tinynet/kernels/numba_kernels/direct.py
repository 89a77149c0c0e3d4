# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
# mypy: disable-error-code=call-arg
"""Convolution of stride 1 and its weight gradient as matrix products that never unfold.

The unfolded windows (C*KH*KW rows, a column for each place) need not exist: in a padded image
that lies flat in memory, tap (c, i, j) of every window is the same image shifted by

    offsets[c, i, j] = c*plane + i*row + j*pixel

so a row of the unfolded matrix is a place to start reading. The image is padded and copied in
blocks of B images and a few rows, (C, rows, W + padding, B) in memory, which stay in the cache
while every filter passes over them. B is the number of lanes of a line, and a line holds one
pixel of B images. With fewer images than lanes B = N, and a line runs on into the next
pixels and rows; what it computes for the columns between two rows of outputs is thrown away.
"""

import numpy as np

from tinynet.kernels.numba_kernels.compiled import compiled, inner
from tinynet.kernels.numba_kernels.shape import SHAPE
from tinynet.kernels.numba_kernels.team import begin, finish
from tinynet.kernels.numba_kernels.tiles import (
    LINE_BYTES,
    add_line,
    clear_run,
    copy_line,
    copy_run,
    dot_tile,
    multiply_tile,
)

FILTERS, LINES = SHAPE.filters, SHAPE.lines
REGISTER_BYTES, DOT_FILTERS, DOT_TAPS = SHAPE.register_bytes, SHAPE.dot_filters, SHAPE.dot_taps


@inner
def tap_offsets(C, KH, KW, plane, row, pixel):
    """offsets (C*KH*KW) of the taps in a padded block of images."""
    offsets = np.empty(C * KH * KW, np.int64)
    for c in range(C):
        for i in range(KH):
            for j in range(KW):
                offsets[(c * KH + i) * KW + j] = c * plane + i * row + j * pixel
    return offsets


@inner
def inside(start, kernel, dilation, length):
    """(first, end) of the taps of a window at `start` that lie in an axis of `length`."""
    first = max(0, -(start // dilation))
    return first, max(first, min(kernel, -((start - length) // dilation)))


@inner
def pack_block(x, n0, B, top, rows, left, width, block):
    """block (C, rows, width, B) = the images n0 .. n0 + B - 1 from row `top` and column `left` on.

    x (C, H, W, N); what lies outside of the image is zero.
    """
    C, H, W, N = x.shape
    flat = x.reshape(x.size)
    first = min(max(0, -left), width)  # columns first .. end - 1 of the block are in the image
    end = max(first, min(width, W - left))
    for c in range(C):
        for r in range(rows):
            h = top + r
            start = (c * rows + r) * width * B
            if h < 0 or h >= H:
                clear_run(block, start, width * B)
                continue
            clear_run(block, start, first * B)
            inner = start + first * B
            source = ((c * H + h) * W + left + first) * N + n0
            if B * x.itemsize == LINE_BYTES:
                for q in range(end - first):
                    copy_line(flat, source + q * N, block, inner + q * B)
            else:  # B = N
                copy_run(flat, source, block, inner, (end - first) * B)
            clear_run(block, start + end * B, (width - end) * B)


@inner
def tile_height(rest):
    """Filters of the next tile, of `rest` that are left: as many as fit, but 4 + 4 for 6 + 2."""
    if rest >= FILTERS and rest != FILTERS + 2:
        return FILTERS
    if rest >= 4 and FILTERS >= 4:
        return 4
    return 2 if rest >= 2 else 1


@inner
def pack_filters(w, flipped, o0, count):
    """Filters o0 .. o0 + count - 1 of w (O, C, KH, KW), in the order in which tiles read them.

    The filters of a tile lie side by side, tap by tap: row by row, then channel by channel, so
    that the taps of some rows of the kernel are one run.
    flipped: the filters of the input's gradient, w[c, o, KH-1-i, KW-1-j] in place of w[o, c, i, j].
    """
    O, C, KH, KW = w.shape
    if flipped:
        O, C = C, O
    taps = KH * KW
    flat, packed = w.reshape(w.size), np.empty(count * C * taps, w.dtype)
    o = 0
    while o < count:
        height = tile_height(count - o)
        for t in range(height):  # filter by filter, which reads neighbours
            for c in range(C):
                first, step = ((o0 + o + t) * C + c) * taps, 1
                if flipped:  # from the last tap to the first
                    first, step = (c * O + o0 + o + t + 1) * taps - 1, -1
                for i in range(KH):
                    place = o * C * taps + (i * C + c) * KW * height + t
                    for j in range(KW):
                        packed[place + j * height] = flat[first + (i * KW + j) * step]
        o += height
    return packed


@inner
def multiply_run(x, x0, x_step, offsets, k0, K, w, w0, w_step, b, lines, y, y0, y_pitch, y_step):
    """All filters at a run of `lines` lines of places; see `multiply_tile`.

    Taps k0 .. k0 + K - 1 of w (O*taps) as `pack_filters` lays it, from w0 on. Or, with w_step > 0,
    of w as (taps, w_step).
    """
    O, v = b.size, 0
    while v < lines:
        wide, o = LINES if v + LINES <= lines else 1, 0
        while o < O:
            height = tile_height(O - o)
            column, step = w0 + o, w_step
            if not w_step:
                column, step = w0 + o * offsets.size, height
            multiply_tile(
                height, wide, x, x0 + v * x_step, x_step, offsets, k0, K, w, column + k0 * step,
                step, b, o, y, y0 + v * y_step + o * y_pitch, y_pitch, y_step,
            )  # fmt: skip
            o += height
        v += wide


@compiled
def correlate_part(team, part, first, last, rows, flipped, dilation, corner, width, x, w, b, y):
    """Tasks first .. last - 1, each `rows` output rows of B images; or those filters, of all rows.

    The latter with fewer images than lanes. x (C, H, W, N), w (O, C, KH, KW) or, flipped, (C, O,
    KH, KW), b (O), y (O, OH, OW, N), all contiguous. corner: padding (top, left). width: of the
    padded image.
    """
    begin(team)
    C, H, _, N = x.shape
    lanes = LINE_BYTES // x.itemsize
    B = min(lanes, N)
    o0, o1 = 0, len(y)
    if lanes > B:
        o0, o1, first, last = first, last, 0, -(-y.shape[1] // rows)
    y, b = y[o0:o1], b[o0:o1]
    O, OH, OW, _ = y.shape
    KH, KW = w.shape[2], w.shape[3]
    reach = rows + (KH - 1) * dilation[0]
    row, plane = width * B, reach * width * B
    block = np.empty(C * plane + lanes, x.dtype)
    whole = lanes == B  # else a line has pixels of several columns
    # the kernel's rows first: it is taken for KH channels of C rows
    offsets = tap_offsets(KH, C, KW, row * dilation[0], plane, B * dilation[1])
    filters = pack_filters(w, flipped, o0, O)
    flat = y.reshape(y.size)
    run = -(-((rows - 1) * row + OW * B) // lanes)  # lines, where they run across rows
    junk = np.empty(0 if whole else O * run * lanes, x.dtype)
    target, step, pitch, y_step = flat, B, OH * OW * N, N
    if not whole:
        target, step, pitch, y_step = junk, lanes, run * lanes, lanes
    strips = -(-OH // rows)
    for task in range(first, last):
        n0, p0 = min(task // strips * B, N - B), task % strips * rows
        count = min(rows, OH - p0)
        pack_block(x, n0, B, p0 - corner[0], reach, -corner[1], width, block)
        for p in range(count if whole else 1):
            i0, i1 = inside(p0 + p - corner[0], KH, dilation[0], H) if whole else (0, KH)
            if i0 == i1:  # the window stands outside: it sees zeros
                i0, i1 = 0, KH
            lines, place = (OW, (p0 + p) * OW * N + n0) if whole else (run, 0)
            multiply_run(
                block, p * row, step, offsets, i0 * C * KW, (i1 - i0) * C * KW, filters, 0, 0, b,
                lines, target, place, pitch, y_step,
            )  # fmt: skip
        for o in range(0 if whole else O):
            for p in range(count):
                start = o * run * lanes + p * row
                place = ((o * OH + p0 + p) * OW) * N
                copy_run(junk, start, flat, place, OW * N)
    finish(team)


@inner
def add_products(x, x0, x_pitch, offsets, dy, dy0, dy_plane, dy_pitch, runs, length, dw, dw0, O):
    """Add the inner products of all filters with all taps; see `dot_tile`, length in elements."""
    K, k = offsets.size, 0
    length //= REGISTER_BYTES // x.itemsize
    while k < K:
        wide = DOT_TAPS if k + DOT_TAPS <= K else 3 if k + 3 <= K else 1
        o = 0
        while o < O:
            height = DOT_FILTERS if o + DOT_FILTERS <= O else 2 if o + 2 <= O else 1
            dot_tile(
                height, wide, x, x0, x_pitch, offsets, k, dy, dy0 + o * dy_plane, dy_plane,
                dy_pitch, runs, length, dw, dw0 + k * O + o, O,
            )  # fmt: skip
            o += height
        k += wide


@compiled
def weight_gradient_part(
    team, part, first, last, rows, kernel, dilation, corner, width, x, dy, dw, db
):
    """The share of tasks first .. last - 1 in the gradients; tasks as in a convolution.

    x (C, H, W, N), dy (O, OH, OW, N), contiguous. With fewer images than lanes, the filters' own
    dw (1, O * C*KH*KW) and db (1, O) are written. Otherwise what the tasks bring is added to
    dw[part] (C*KH*KW * O), and to db[part] (O * B), lane by lane.
    """
    begin(team)
    C, N = x.shape[0], x.shape[3]
    lanes = LINE_BYTES // x.itemsize
    B = min(lanes, N)
    small_batch, o0 = lanes > B, 0
    if small_batch:
        dy = dy[first:last]
        o0, first, last = first, 0, -(-dy.shape[1] // rows)
    O, OH, OW, _ = dy.shape
    K = C * kernel[0] * kernel[1]
    sums = np.zeros(O * K, x.dtype) if small_batch else dw[part]
    lane_sums = np.zeros(O * lanes, x.dtype) if small_batch else db[part]
    reach = rows + (kernel[0] - 1) * dilation[0]
    row, plane = width * B, reach * width * B
    # a run across rows ends up to a line, and the last tap begins up to a window, further on
    block = np.zeros(C * plane + lanes + (kernel[1] - 1) * dilation[1] * B, x.dtype)
    offsets = tap_offsets(C, kernel[0], kernel[1], plane, row * dilation[0], B * dilation[1])
    columns = OW if lanes == B else width  # a run across rows meets zeros between them
    dy_plane = -(-rows * columns * B // lanes) * lanes
    dy_block = np.zeros(O * dy_plane, x.dtype)
    flat = dy.reshape(dy.size)
    strips = -(-OH // rows)
    for task in range(first, last):
        n0, p0 = min(task // strips * B, N - B), task % strips * rows
        count = min(rows, OH - p0)
        repeated = task // strips * B - n0  # images that the block before has counted
        pack_block(x, n0, B, p0 - corner[0], reach, -corner[1], width, block)
        for o in range(O):
            for p in range(rows):
                start = o * dy_plane + p * columns * B
                place = ((o * OH + p0 + p) * OW) * N + n0
                if p >= count:
                    clear_run(dy_block, start, columns * B)
                elif lanes == B:
                    for q in range(OW):
                        copy_line(flat, place + q * N, dy_block, start + q * B)
                        for n in range(repeated):
                            dy_block[start + q * B + n] = 0
                        add_line(dy_block, start + q * B, lane_sums, o * B)
                else:
                    copy_run(flat, place, dy_block, start, OW * B)
            for v in range(dy_plane // lanes if small_batch else 0):
                add_line(dy_block, o * dy_plane + v * lanes, lane_sums, o * lanes)
        runs, length = (count, OW * B) if lanes == B else (1, dy_plane)
        add_products(
            block, 0, row, offsets, dy_block, 0, dy_plane, columns * B, runs, length, sums, 0, O
        )
    if small_batch:
        for o in range(O):
            for k in range(K):
                dw[0, (o0 + o) * K + k] = sums[k * O + o]
            total = lane_sums[o * lanes]
            for lane in range(1, lanes):
                total += lane_sums[o * lanes + lane]
            db[0, o0 + o] = total
    finish(team)
