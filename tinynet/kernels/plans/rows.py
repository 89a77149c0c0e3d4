"""Convolution row by row: a third of the unfolding, for batches.

Unfolding a 3x3 window copies every pixel nine times. But only the horizontal shifts need a copy.
Unfold along the width alone, and store the rows of the image one after the other:

    cols[h, (c, j), (q, n)] = x[c, h, q*stride + j, n]            each pixel copied KW times

The windows of output row p are rows p*stride ... p*stride + KH - 1 of the image. These lie one
after the other in cols, so they are, without any further copy, one matrix with KH*C*KW rows:

    y[:, p] = w (O, KH*C*KW)  cols[p*stride : p*stride + KH] (KH*C*KW, OW*N)

(Cho, Brand, "MEC: memory-efficient convolution", arXiv:1706.06873.) The weight's gradient
multiplies the same matrices with dy. The input's gradient reverses the plan: the KH rows of dy
that a row of x met are one matrix already, their product with w is unfolded along the width
alone, and a sum over KW shifted views folds it.

A row of ones under the pixels, which meets the bias in place of a weight, adds the bias in the
product, and sums dy up in that of the gradient: no pass over y and dy of their own.

The threads share the blocks. A block is few calls, each of them long: between two calls a thread
needs the interpreter's lock, and to find it taken costs as much as a small product.

Arrays are (C, H, W, N) and contiguous. The dilation is 1 and there is one group; in `conv2d_dx` the
stride is 1 too.
"""

import functools

import numpy as np

from tinynet.kernels import threads
from tinynet.kernels.geometry import ONE, Array, Geometry, strided
from tinynet.kernels.layout import cutout

BLOCK_BYTES = 1 << 22
ONES_FROM = 8  # rows of cols from which one more, of ones, is cheaper than to add or sum up apart

Block = tuple[slice, slice]
"""(output rows, output columns)."""


def cut(rows: int, columns: int, N: int, bytes_per_place: int, halo: int, work: int) -> list[Block]:
    """Blocks of output places whose arrays fit into BLOCK_BYTES.

    A block as high as the image needs no row twice, so the width is cut first, down to products
    of 512 columns, and the height only then. halo: rows that a block needs beyond its own.
    work: multiplications in all; if they are many, there is a block for each thread at least.
    """
    wide = max(BLOCK_BYTES // max(1, (rows + halo) * bytes_per_place), -(-512 // max(1, N)))
    parts = threads.get_num_threads() if work >= threads.PARALLEL_FROM else 1
    strips = max(-(-columns // wide), min(parts, columns))
    wide = -(-columns // strips)
    high = max(1, BLOCK_BYTES // max(1, wide * bytes_per_place) - halo)
    high = -(-rows // -(-rows // high))
    return [
        (slice(p, min(p + high, rows)), slice(q, min(q + wide, columns)))
        for q in range(0, columns, wide)
        for p in range(0, rows, high)
    ]


def unfold_width(x: Array, block: Block, g: Geometry, ones: int = 0) -> Array:
    """The rows that a block of output places sees, unfolded along the width.

    x (C, H, W, N) -> cols (rows seen, C*KW + ones, columns*N). ones: how many rows of ones.
    """
    rows, columns = block
    (KH, KW), (SH, SW) = g.kernel, g.stride
    height = (rows.stop - rows.start - 1) * SH + KH
    count = columns.stop - columns.start
    top, left = rows.start * SH - g.corner[0], columns.start * SW - g.corner[1]
    image, place = cutout(x, top, height, left, (count - 1) * SW + KW)
    C, _, _, N = image.shape
    c, h, w, n = image.strides
    cols = np.empty((height, C * KW + ones, count * N), x.dtype)
    cols[:, C * KW :] = 1
    taps = cols[:, : C * KW].reshape(height, C, KW, count, N)
    taps[...] = strided(image, taps.shape, (h, c, w, w * SW, n), place)
    return cols


def stacked(cols: Array, first: int, count: int, height: int, stride: int) -> Array:
    """`height` rows of cols (rows, K, P) as one matrix for each output row: (count, height*K, P).

    The first matrix starts at row `first`, each next one `stride` rows on. They overlap: a view,
    no element is copied.
    """
    _, K, P = cols.shape
    row, down, across = cols.strides
    return strided(cols, (count, height * K, P), (stride * row, down, across), first * row)


def conv2d(x: Array, w: Array, b: Array | None, g: Geometry) -> Array:
    """x (C, H, W, N), w (O, C, KH, KW) -> y (O, OH, OW, N)."""
    C, _, _, N = x.shape
    (O, _, KH, KW), (OH, OW) = w.shape, g.out
    ones = int(b is not None and C * KW >= ONES_FROM)
    by_rows = np.zeros((O, KH, C * KW + ones), x.dtype)
    by_rows[:, :, : C * KW] = w.transpose(0, 2, 1, 3).reshape(O, KH, C * KW)
    if ones:
        by_rows[:, 0, -1] = b
    filters = by_rows.reshape(O, -1)
    y = np.empty((O, OH, OW * N), x.dtype)

    def work(block: Block) -> None:
        rows, columns = block
        cols = unfold_width(x, block, g, ones)
        y_rows = y[:, rows, columns.start * N : columns.stop * N].transpose(1, 0, 2)  # (OH, O, P)
        np.matmul(filters, stacked(cols, 0, len(y_rows), KH, g.stride[0]), out=y_rows)
        if b is not None and not ones:
            y_rows += b[:, None]

    bytes_per_place = (C * KW + O) * N * x.itemsize
    multiplications = w.size * OH * OW * N
    blocks = cut(OH, OW, N, bytes_per_place, KH - 1, multiplications)
    threads.run(work, blocks, multiplications)
    return y.reshape(O, OH, OW, N)


def conv2d_dw_db(dy: Array, x: Array, g: Geometry) -> tuple[Array, Array]:
    """dy (O, OH, OW, N), x (C, H, W, N) -> dw (O, C, KH, KW), db (O)."""
    C, _, _, N = x.shape
    (O, OH, OW, _), (KH, KW) = dy.shape, g.kernel
    ones = int(C * KW >= ONES_FROM)
    planes = dy.reshape(O, OH, OW * N)

    def work(block: Block) -> tuple[Array, Array]:
        rows, columns = block
        cols = unfold_width(x, block, g, ones)
        dy_rows = planes[:, rows, columns.start * N : columns.stop * N]
        products = stacked(cols, 0, dy_rows.shape[1], KH, g.stride[0]) @ dy_rows.transpose(1, 2, 0)
        dfilters = products.sum(0).reshape(KH, -1, O)  # of (OH, KH*(C*KW + ones), O)
        if ones:
            return dfilters[:, :-1], dfilters[0, -1]
        return dfilters, (dy_rows @ np.ones(dy_rows.shape[2], dy.dtype)).sum(1)  # faster than sum

    bytes_per_place = (C * KW + O) * N * x.itemsize
    multiplications = O * C * KH * KW * OH * OW * N
    blocks = cut(OH, OW, N, bytes_per_place, KH - 1, multiplications)
    parts = threads.run(work, blocks, multiplications)
    dfilters, db = (functools.reduce(np.add, sums) for sums in zip(*parts))
    return np.ascontiguousarray(dfilters.reshape(KH, C, KW, O).transpose(3, 1, 0, 2)), db


def met_groups(rows: slice, H: int, KH: int, top: int) -> list[tuple[slice, int, int]]:
    """(rows, first, end): what each row r of `rows` meets of an image of H rows.

    Of r - top + 0 ... KH - 1 only the rows r - top + first ... end - 1 exist. All rows that meet
    KH are one group, each other row that meets any is one of its own.
    """
    whole = slice(min(max(rows.start, top), rows.stop), min(rows.stop, H - KH + top + 1))
    groups = [(whole, 0, KH)] if whole.stop > whole.start else []
    for r in range(rows.start, rows.stop):
        first, end = max(0, top - r), min(KH, H + top - r)
        if first < end < KH or 0 < first < end:
            groups.append((slice(r, r + 1), first, end))
    return groups


def conv2d_dx(dy: Array, w: Array, g: Geometry) -> Array:
    """dy (O, OH, OW, N), w (O, C, KH, KW) -> dx (C, H, W, N)."""
    O, OH, OW, N = dy.shape
    (_, C, KH, KW), (H, W), (top, left) = w.shape, g.size, g.back.corner
    # row r of x meets dy's rows r - top + a, for a = 0 ... KH - 1, by kernel row KH-1-a
    filters = w[:, :, ::-1].transpose(1, 3, 2, 0).reshape(C * KW, KH * O)
    dx = np.empty((C, H, W, N), dy.dtype)

    def work(block: Block) -> None:
        rows, _ = block
        groups = met_groups(rows, OH, KH, top)
        seen = slice(max(0, rows.start - top), min(OH, rows.stop - top + KH - 1))
        met = unfold_width(dy, (seen, slice(0, OW)), Geometry.of(g.out, ONE))
        # dcols[r, (c, j), q] is a share of pixel q + j of an image padded so that every j fits
        before, after = max(0, left), max(0, W - OW - left + KW - 1)
        dcols = np.empty((rows.stop - rows.start, C * KW, (before + OW + after) * N), dy.dtype)
        if sum(group.stop - group.start for group, _, _ in groups) < len(dcols):
            dcols[:] = 0  # padding so wide that some rows met nothing
        dcols[:, :, : before * N] = 0
        dcols[:, :, (before + OW) * N :] = 0
        inside = dcols[:, :, before * N : (before + OW) * N]
        for group, first, end in groups:
            here = slice(group.start - rows.start, group.stop - rows.start)
            start, count = group.start - top + first - seen.start, group.stop - group.start
            shown = stacked(met, start, count, end - first, 1)
            np.matmul(filters[:, first * O : end * O], shown, out=inside[here])
        shares = dcols.reshape(-1, C, KW, before + OW + after, N).transpose(2, 1, 0, 3, 4)
        start = before - left + KW - 1
        shifted = [share[:, :, start - j : start - j + W] for j, share in enumerate(shares)]
        if KW == 1:
            dx[:, rows] = shifted[0]
            return
        np.add(shifted[0], shifted[1], out=dx[:, rows])
        for share in shifted[2:]:
            dx[:, rows] += share

    bytes_per_row = (C * KW + O) * OW * N * dy.itemsize
    multiplications = w.size * OH * OW * N
    blocks = cut(H, 1, OW * N, bytes_per_row, KH - 1, multiplications)
    threads.run(work, blocks, multiplications)
    return dx
