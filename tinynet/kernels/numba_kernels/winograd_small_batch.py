# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
# mypy: disable-error-code=call-arg
"""Winograd's filtering for fewer images than a line has lanes: a line holds tiles in their place.

In `winograd.py` the lanes of a line are 16 images, of which each load brings the same pixel. With
one image there is nothing to load so; but its tiles are many, and once 16 of them are gathered,
pixel by pixel, into (S, S, 16), the rest is the same: transform, multiply plane by plane, transform
back, and scatter. Tiles are numbered from left to right and from top to bottom, the images of a
batch one beside the other: tile t is image t % N of place t // N.

The gradient of the weight is different. Its sums go over the tiles, of which there may be no more
than the 16 of one line, too few for inner products. So it is made of outer products: of x and of
dy the channels lie in the lanes, (tiles, channels), and each number of x meets a line of dy.
"""

import numpy as np

from tinynet.kernels.geometry import Geometry, Pair
from tinynet.kernels.minimal_filtering import M, S
from tinynet.kernels.numba_kernels.compiled import compiled, inner
from tinynet.kernels.numba_kernels.direct import multiply_run, pack_block
from tinynet.kernels.numba_kernels.team import begin, finish
from tinynet.kernels.numba_kernels.tiles import lanes, window
from tinynet.kernels.numba_kernels.winograd import (
    LINES_IN_PLANES,
    PLANES,
    dy_in,
    outputs_out,
    pixels_in,
    transform_filters,
    weights_back,
)

LANES = lanes(np.dtype(np.float32))

pixels_of_tile, dy_of_tile, outputs_of_tile = window(S, True), window(M, True), window(M, False)

FILTERS_COST = 600
"""What transforming a filter and its pixels costs, in multiplications."""


def is_faster(N: int, C: int, O: int, g: Geometry, dtype: np.dtype) -> bool:
    """Whether a convolution is covered here and saves more than the transforms cost."""
    tiles = -(-g.out[0] // M) * -(-g.out[1] // M) * N
    products = PLANES * LANES * -(-tiles // LANES)
    return (
        g.kernel == (3, 3)
        and g.dilation == (1, 1)
        and dtype == np.float32
        and N < LANES
        and min(C, O) >= 32
        and products + FILTERS_COST <= 7 * N * g.out[0] * g.out[1]  # of the 9 an output needs
    )


def rows_in_task(channels: int, N: int, size: Pair, parts: int) -> int:
    """Rows of tiles whose planes stay in the second-level cache, and some for each of the parts."""
    tall, wide = -(-size[0] // M), -(-size[1] // M)
    fitting = max(1, LINES_IN_PLANES * LANES // (channels * wide * N))
    strips = max(-(-tall // fitting), min(parts, tall))
    return -(-tall // strips)


def plan(C: int, O: int, N: int, size: Pair, threads: int) -> tuple[int, int, bool]:
    """(strips, rows of tiles in each, whether the threads share the filters and not the strips).

    What is not shared each of them transforms: the pixels, or the filters.
    """
    tall, wide = -(-size[0] // M), -(-size[1] // M)
    by_filters = tall * wide * N <= O or tall < threads
    rows = rows_in_task(C, N, size, 1 if by_filters else threads)
    return -(-tall // rows), rows, by_filters


@inner
def tile_corners(rows, wide, N, width):
    """Where the tiles of a strip of `rows` rows begin in a plane of images (rows*M + .., width, N).

    As many as lines hold; those that do not exist are where the first is.
    """
    corners = np.zeros(-(-rows * wide * N // LANES) * LANES, np.int64)
    for t in range(rows * wide * N):
        place = t // N
        corners[t] = (place // wide * M * width + place % wide * M) * N + t % N
    return corners


@inner
def write_part(block, lane, y, o, p, q, n):
    """The outputs (M, M) in a lane of the block go to y (O, OH, OW, N) at (p, q), if inside."""
    _, OH, OW, _ = y.shape
    for i in range(min(M, OH - p)):
        for j in range(min(M, OW - q)):
            y[o, p + i, q + j, n] = block[(i * M + j) * LANES + lane]


@compiled
def correlate_part(team, part, first, last, by_filters, rows, flipped, corner, x, w, b, y):
    """Tasks first .. last - 1 of a 3x3 convolution; a task is a strip of `rows` rows of tiles.

    Or, by_filters, those filters of all strips. x (C, H, W, N), w (O, C, 3, 3) or, flipped,
    (C, O, 3, 3), b (O), y (O, OH, OW, N), all contiguous.
    """
    begin(team)
    o0, o1 = 0, len(y)
    if by_filters:
        o0, o1, first, last = first, last, 0, -(-y.shape[1] // (M * rows))
    y, b = y[o0:o1], b[o0:o1]
    C, N = x.shape[0], x.shape[3]
    O, OH, OW, _ = y.shape
    wide = -(-OW // M)
    width, height = M * wide + S - M, M * rows + S - M
    corners, ends = tile_corners(rows, wide, N, width), tile_corners(rows, wide, N, OW)
    lines = len(corners) // LANES
    filters = transform_filters(w, flipped, o0, O)
    strip = np.empty(C * height * width * N, x.dtype)
    pitch, sums_pitch = C * lines * LANES + LANES, O * lines * LANES + LANES
    planes, sums = np.empty(PLANES * pitch, x.dtype), np.empty(PLANES * sums_pitch, x.dtype)
    block, zeros = np.empty(PLANES * LANES, x.dtype), np.zeros(O, x.dtype)
    offsets = np.arange(C) * (lines * LANES)
    flat, whole = y.reshape(y.size), np.zeros(len(corners), np.bool_)
    for task in range(first, last):
        top = task * rows * M
        count = min(rows, -(-(OH - top) // M)) * wide * N
        for t in range(count):
            place = t // N
            whole[t] = top + (place // wide + 1) * M <= OH and (place % wide + 1) * M <= OW
        pack_block(x, 0, N, top - corner[0], height, -corner[1], width, strip)
        for c in range(C):
            for v in range(lines):
                for lane in range(len(block) // PLANES):  # LANES, but the compiler would unroll it
                    place = c * height * width * N + corners[v * LANES + lane]
                    pixels_of_tile(strip, place, width * N, N, block, lane)
                pixels_in(
                    block, 0, S * LANES, LANES,
                    planes, (c * lines + v) * LANES, S * pitch, pitch, zeros, 0,
                )  # fmt: skip
        for plane in range(PLANES):
            multiply_run(
                planes, plane * pitch, LANES, offsets, 0, C, filters, plane * O * C, 0, zeros,
                lines, sums, plane * sums_pitch, lines * LANES, LANES,
            )  # fmt: skip
        for o in range(O):
            for v in range(lines):
                x0 = (o * lines + v) * LANES
                outputs_out(sums, x0, S * sums_pitch, sums_pitch, block, 0, M * LANES, LANES, b, o)
                for t in range(v * LANES, min(count, (v + 1) * LANES)):
                    lane, place = t - v * LANES, (o * OH + top) * OW * N + ends[t]
                    if whole[t]:
                        outputs_of_tile(flat, place, OW * N, N, block, lane)
                    else:
                        p, q = top + t // N // wide * M, t // N % wide * M
                        write_part(block, lane, y, o, p, q, t % N)
    finish(team)


@compiled
def weight_gradient_part(team, part, c0, c1, rows, corner, x, dy, dw):
    """dw (O, C, 3, 3) of the channels c0 .. c1 - 1; `rows` rows of tiles a time.

    x (C, H, W, N), dy (O, OH, OW, N), contiguous.
    """
    begin(team)
    x = x[c0:c1]
    C, N = x.shape[0], x.shape[3]
    O, OH, OW, _ = dy.shape
    wide = -(-OW // M)
    width, height = M * wide + S - M, M * rows + S - M
    corners, ends = tile_corners(rows, wide, N, width), tile_corners(rows, wide, N, M * wide)
    count = rows * wide * N
    strip = np.empty(max(C * height * width, O * M * rows * M * wide) * N, x.dtype)
    x_pitch, dy_pitch = -(-C // LANES) * LANES, -(-O // LANES) * LANES  # of a tile
    pitch, dy_planes_pitch = count * x_pitch + LANES, count * dy_pitch + LANES
    planes = np.empty(PLANES * pitch, x.dtype)
    dy_planes = np.empty(PLANES * dy_planes_pitch, x.dtype)
    block, zeros = np.zeros(PLANES * LANES, x.dtype), np.zeros(C, x.dtype)
    size = C * dy_pitch  # of a plane of dw
    sums, product = np.empty(PLANES * size, x.dtype), np.empty(size, x.dtype)
    offsets = np.arange(count) * dy_pitch
    for top in range(0, OH, M * rows):
        pack_block(x, 0, N, top - corner[0], height, -corner[1], width, strip)
        for t in range(count):
            for c in range(0, C, LANES):
                for lane in range(min(LANES, C - c)):
                    place = (c + lane) * height * width * N + corners[t]
                    pixels_of_tile(strip, place, width * N, N, block, lane)
                pixels_in(
                    block, 0, S * LANES, LANES,
                    planes, t * x_pitch + c, S * pitch, pitch, zeros, 0,
                )  # fmt: skip
        pack_block(dy, 0, N, top, M * rows, 0, M * wide, strip)
        for t in range(count):
            for o in range(0, O, LANES):
                for lane in range(min(LANES, O - o)):
                    place = (o + lane) * M * rows * M * wide * N + ends[t]
                    dy_of_tile(strip, place, M * wide * N, N, block, lane)
                dy_in(
                    block, 0, M * LANES, LANES,
                    dy_planes, t * dy_pitch + o, S * dy_planes_pitch, dy_planes_pitch, zeros, 0,
                )  # fmt: skip
        for plane in range(PLANES):
            target, place = (product, 0) if top else (sums, plane * size)
            multiply_run(
                dy_planes, plane * dy_planes_pitch, LANES, offsets, 0, offsets.size, planes,
                plane * pitch, x_pitch, zeros, dy_pitch // LANES, target, place, dy_pitch, LANES,
            )  # fmt: skip
            if top:
                for k in range(size):
                    sums[plane * size + k] += product[k]
    weights_back(sums.reshape((S, S, C, dy_pitch)), dw, c0)
    finish(team)
