# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
# mypy: disable-error-code=call-arg
"""3x3 convolutions with 2.25 multiplications an output in place of 9.

Winograd's minimal filtering F(4x4, 3x3) computes a 4x4 tile of outputs from the 6x6 pixels d that
it sees, and one filter g, as

    y = A^T [ (G g G^T) * (B^T d B) ] A        (* is elementwise)

The sums over channels move inside the brackets, so for each of the 36 places of the bracket there
is a matrix product: (O, C) times (C, tiles). That is 36 multiplications for 16 outputs, where
the definition needs 144. Everything is bilinear, so the gradient of the weight follows by
transposition:

    dg = G^T [ sum over tiles of (A dy A^T) * (B^T d B) ] G

A task is a few tiles in a row of B images, B the lanes of a line. Its 36 transformed planes stay
in the second-level cache, one cache line apart from a power of two, since equal distances would
put all 36 into the same places of it. In each plane all filters are multiplied before the next
plane: its pixels (8 KB) are then in the first-level cache for every filter.

The matrices are those of one dimension, `tinynet/kernels/minimal_filtering.py`. The error stays at
that of the direct sum.

Source: Lavin, Gray, "Fast algorithms for convolutional neural networks", arXiv:1509.09308.
"""

import numpy as np

from tinynet.kernels.geometry import Geometry, Pair
from tinynet.kernels.minimal_filtering import A_T, B_T, G, M, S
from tinynet.kernels.numba_kernels.compiled import compiled, inner
from tinynet.kernels.numba_kernels.direct import (
    FILTERS,
    add_products,
    multiply_run,
    pack_block,
    tile_height,
)
from tinynet.kernels.numba_kernels.shape import SHAPE
from tinynet.kernels.numba_kernels.team import begin, finish
from tinynet.kernels.numba_kernels.tiles import (
    LINE_BYTES,
    add_line,
    copy_line,
    lanes,
    two_sided_transform,
)

PLANES = S * S
LINES_IN_PLANES = 256 if SHAPE.register_bytes == 64 else 128  # of 36 planes: 590 KB and 295 KB
pixels_in = two_sided_transform(B_T)
dy_in = two_sided_transform(A_T.T)
outputs_out = two_sided_transform(A_T)


def is_faster(N: int, C: int, O: int, g: Geometry, dtype: np.dtype) -> bool:
    """Whether a convolution is covered here and saves more than the transforms cost."""
    tiles = -(-g.out[0] // M) * -(-g.out[1] // M)
    return (
        g.kernel == (3, 3)
        and g.dilation == (1, 1)
        and dtype == np.float32
        and lanes(dtype) <= N
        and min(C, O) >= 8
        and PLANES * tiles <= 5 * g.out[0] * g.out[1]  # products, of the 9 an output needs
    )


def chunk(channels: int, least: int, size: Pair) -> Pair:
    """(rows, columns) of tiles in a task: their planes stay in the second-level cache.

    least: tiles for which the inner products of a weight gradient get long enough.
    """
    tall, wide = -(-size[0] // M), -(-size[1] // M)
    fitting = max(least, LINES_IN_PLANES // channels)
    columns = -(-wide // -(-wide // min(wide, fitting)))
    return min(tall, max(1, fitting // columns)), columns


def tasks(N: int, size: Pair, chunk: Pair) -> int:
    """How many tasks of `chunk` tiles there are."""
    rows, columns = (-(-length // (M * tiles)) for length, tiles in zip(size, chunk))
    return -(-N // lanes(np.dtype(np.float32))) * rows * columns


@inner
def transform_filters(w, flipped, o0, count):
    """Filters o0 .. o0 + count - 1 of w (O, C, 3, 3), flipped as in `pack_filters` if so.

    -> flat (36, count*C), in its order.
    """
    C = w.shape[0] if flipped else w.shape[1]
    kernel = w.shape[2]  # 3, and the next line 6; known to the compiler, it would unroll all loops
    side = kernel + M - 1
    packed = np.empty((PLANES, count * C), w.dtype)
    taps, halves = np.empty((3, 3, FILTERS * C)), np.empty((S, 3, FILTERS * C))
    o = 0
    while o < count:
        height = tile_height(count - o)
        for c in range(C):
            for t in range(height):
                f = o0 + o + t
                for i in range(kernel):
                    for j in range(kernel):
                        taps[i, j, c * height + t] = (
                            w[c, f, 2 - i, 2 - j] if flipped else w[f, c, i, j]
                        )
        for r in range(side):
            for j in range(kernel):
                for k in range(C * height):
                    halves[r, j, k] = (
                        G[r, 0] * taps[0, j, k] + G[r, 1] * taps[1, j, k] + G[r, 2] * taps[2, j, k]
                    )
        for r in range(side):
            for s in range(side):
                for k in range(C * height):
                    packed[S * r + s, o * C + k] = (
                        G[s, 0] * halves[r, 0, k]
                        + G[s, 1] * halves[r, 1, k]
                        + G[s, 2] * halves[r, 2, k]
                    )
        o += height
    return packed.reshape(packed.size)


@inner
def weights_back(planes, dw, c0):
    """dw (O, C, 3, 3) of the channels from c0 on = G^T planes G; planes (S, S, channels, >= O)."""
    O, kernel, side = len(dw), dw.shape[2], len(planes)
    halves, total = np.empty((3, S, O)), np.empty(O)
    for c in range(planes.shape[2]):
        halves[:] = 0
        for i in range(kernel):
            for s in range(side):
                for r in range(side):
                    factor = G[r, i]
                    for o in range(O):
                        halves[i, s, o] += factor * planes[r, s, c, o]
        for i in range(kernel):
            for j in range(kernel):
                total[:] = 0
                for s in range(side):
                    factor = G[s, j]
                    for o in range(O):
                        total[o] += halves[i, s, o] * factor
                for o in range(O):
                    dw[o, c0 + c, i, j] = total[o]


@compiled
def weights_out(planes, dw):
    """dw (O, C, 3, 3) = G^T planes G; planes (S, S, C, O)."""
    weights_back(planes, dw, 0)


@inner
def _transform_pixels(x, n0, top, left, tiles, zero, block, planes, pitch, start, length):
    """planes (36, pitch), each (C, length, B): a row of tiles, from row `top` and column `left` on.

    The row of tiles takes the places start .. start + tiles - 1 of each channel.
    """
    C = len(x)
    B = LINE_BYTES // x.itemsize
    width = M * tiles + S - M
    pack_block(x, n0, B, top, S, left, width, block)
    for c in range(C):
        for q in range(tiles):
            pixels_in(
                block, (c * S * width + M * q) * B, width * B, B,
                planes, (c * length + start + q) * B, S * pitch, pitch, zero, 0,
            )  # fmt: skip


@inner
def _transform_dy(dy, n0, p, q, counted, tiles, zero, block, planes, pitch, start, length, db):
    """planes (36, pitch), each (O, length, B): a row of tiles of dy, from (p, q) on.

    The first `counted` images are taken as zeros. Places as for pixels. db (O, B): the sums of
    dy, lane by lane, are added to it.
    """
    O = len(dy)
    B = LINE_BYTES // dy.itemsize
    width = M * tiles
    pack_block(dy, n0, B, p, M, q, width, block)
    if counted:
        for place in range(0, O * M * width * B, B):
            block[place : place + counted] = 0
    for o in range(O):
        for place in range(o * M * width * B, (o + 1) * M * width * B, B):
            add_line(block, place, db, o * B)
        for q in range(tiles):
            dy_in(
                block, (o * width + q) * M * B, width * B, B,
                planes, (o * length + start + q) * B, S * pitch, pitch, zero, 0,
            )  # fmt: skip


@compiled
def correlate_part(team, part, first, last, columns, flipped, corner, x, w, b, y):
    """Tasks first .. last - 1 of a 3x3 convolution; a task is a row of `columns` tiles of B images.

    x (C, H, W, N), w (O, C, 3, 3) or, flipped, (C, O, 3, 3), y (O, OH, OW, N), contiguous.
    """
    begin(team)
    C, _, _, N = x.shape
    O, OH, OW, _ = y.shape
    B = LINE_BYTES // x.itemsize
    wide, strips = -(-OW // M), -(-OH // M)
    across = -(-wide // columns)
    filters = transform_filters(w, flipped, 0, O)
    pitch = C * columns * B + B
    sums_pitch = O * columns * B + B
    block = np.empty(C * S * (M * columns + S - M) * B, x.dtype)
    planes = np.empty(PLANES * pitch, x.dtype)
    sums = np.empty(PLANES * sums_pitch, x.dtype)
    edge = np.empty(M * M * B, x.dtype)
    zeros = np.zeros(O, x.dtype)
    offsets = np.arange(C) * (columns * B)
    flat = y.reshape(y.size)
    for task in range(first, last):
        n0 = min(task // (strips * across) * B, N - B)
        p, q0 = task // across % strips * M, task % across * columns
        tiles = min(columns, wide - q0)
        _transform_pixels(
            x, n0, p - corner[0], M * q0 - corner[1], tiles, zeros, block,
            planes, pitch, 0, columns,
        )  # fmt: skip
        for plane in range(PLANES):
            multiply_run(
                planes, plane * pitch, B, offsets, 0, C, filters, plane * O * C, 0, zeros,
                tiles, sums, plane * sums_pitch, columns * B, B,
            )  # fmt: skip
        for o in range(O):
            for tile in range(tiles):
                x0, q = (o * columns + tile) * B, M * (q0 + tile)
                place = ((o * OH + p) * OW + q) * N + n0
                target, start, row, pixel = flat, place, OW * N, N
                whole = p + M <= OH and q + M <= OW
                if not whole:
                    target, start, row, pixel = edge, 0, M * B, B
                outputs_out(sums, x0, S * sums_pitch, sums_pitch, target, start, row, pixel, b, o)
                if whole:
                    continue
                for r in range(min(M, OH - p)):
                    for s in range(min(M, OW - q)):
                        copy_line(edge, (r * M + s) * B, flat, place + (r * OW + s) * N)
    finish(team)


@compiled
def weight_gradient_part(team, part, first, last, rows, columns, corner, x, dy, sums, db):
    """Add the share of tasks first .. last - 1 to sums[part] (36 * C*O), and of dy to db[part].

    A task is `rows` rows of `columns` tiles of B images. x (C, H, W, N), dy (O, OH, OW, N).
    """
    begin(team)
    products, lane_sums = sums[part], db[part]
    C, N = x.shape[0], x.shape[3]
    O, OH, OW, _ = dy.shape
    B = LINE_BYTES // x.itemsize
    strips, across = -(-OH // (M * rows)), -(-OW // (M * columns))
    length = rows * columns
    pitch, dy_pitch = C * length * B + B, O * length * B + B
    block = np.empty(max(C * S * (M * columns + S - M), O * M * M * columns) * B, x.dtype)
    planes, dy_planes = np.empty(PLANES * pitch, x.dtype), np.empty(PLANES * dy_pitch, x.dtype)
    zeros = np.zeros(1, x.dtype)
    offsets = np.arange(C) * (length * B)
    for task in range(first, last):
        images = task // (strips * across) * B
        n0 = min(images, N - B)
        q = task % across * columns * M
        for r in range(rows):
            p = (task // across % strips * rows + r) * M
            _transform_pixels(
                x, n0, p - corner[0], q - corner[1], columns, zeros, block,
                planes, pitch, r * columns, length,
            )  # fmt: skip
            _transform_dy(  # without the images that the block before has counted
                dy, n0, p, q, images - n0, columns, zeros, block,
                dy_planes, dy_pitch, r * columns, length, lane_sums,
            )  # fmt: skip
        for plane in range(PLANES):
            add_products(
                planes, plane * pitch, 0, offsets, dy_planes, plane * dy_pitch, length * B, 0,
                1, length * B, products, plane * O * C, O,
            )  # fmt: skip
    finish(team)
