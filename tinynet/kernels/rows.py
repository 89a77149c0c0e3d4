"""Convolution row by row: a third of the unfolding, for batches.

Unfolding a 3x3 window copies every pixel nine times. But only the horizontal shifts need a copy.
Unfold along the width alone, and store the rows of the image one after the other:

    cols[h, (c, j), (q, n)] = x[c, h, q*stride + j, n]            each pixel copied KW times

The windows of output row p are rows p*stride ... p*stride + KH - 1 of the image. These lie one
after the other in cols, so they are, without any further copy, one matrix with KH*C*KW rows:

    y[:, p] = w (O, KH*C*KW)  cols[p*stride : p*stride + KH] (KH*C*KW, OW*N)

(Cho, Brand, "MEC: memory-efficient convolution", arXiv:1706.06873.) Rows of padding above and
below are no zeros to multiply: there the product just has fewer terms. The weight's gradient
multiplies the same matrices with dy. The input's gradient turns the plan round: the KH rows of dy
that a row of x met are one matrix already, their product with w is unfolded along the width
alone, and KW shifted additions fold it.

Here stride is (SH, SW); dilation is 1 and there is one group: others go to the plain kernels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynet.kernels import threads
from tinynet.kernels.geometry import Padding, Pair, output_size, strided

BLOCK_BYTES = 1 << 21
SMALL_PRODUCT = 1_000_000  # multiplications up to which OpenBLAS skips its packing of operands

Block = tuple[slice, slice]
"""(output rows, output columns)."""


def pieces(M: int, K: int, P: int) -> list[slice]:
    """Columns of a product (M, K) (K, P) to compute at a time, where small products are faster."""
    step = SMALL_PRODUCT // max(1, M * K)
    if step >= P or step < 200:
        return [slice(0, P)]
    step = -(-P // -(-P // step))
    return [slice(start, start + step) for start in range(0, P, step)]


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


def unfold_width(
    x: np.ndarray, rows: slice, columns: slice, KW: int, stride: int, left: int
) -> np.ndarray:
    """cols (rows*C*KW, columns*N) of an image x (C, H, W, N) padded by `left` columns."""
    C, _, W, N = x.shape
    count = columns.stop - columns.start
    cols = np.empty((rows.stop - rows.start, C, KW, count, N), x.dtype)
    source = x[:, rows].transpose(1, 0, 2, 3)  # (rows, C, W, N)
    for j in range(KW):
        shift = j - left  # output column q sees column q*stride + shift, if it exists
        first = min(max(columns.start, -(shift // stride)), columns.stop)
        end = max(first, min(columns.stop, (W - 1 - shift) // stride + 1))
        target = cols[:, :, j]
        target[:, :, : first - columns.start] = 0
        target[:, :, end - columns.start :] = 0
        if end > first:
            seen = slice(first * stride + shift, (end - 1) * stride + shift + 1, stride)
            target[:, :, first - columns.start : end - columns.start] = source[:, :, seen]
    return cols.reshape(len(cols) * C * KW, count * N)


class _Plan:
    """Which rows of the image the windows of each output row see, in a block of output rows.

    seen: the image rows that the block's windows reach. Row i of a window that starts at row
    `start` of the image is outside of it for i < first or i >= end; such rows are left out.
    """

    def __init__(self, output: slice, H: int, KH: int, stride: int, top: int) -> None:
        self.output, self.H, self.KH, self.stride, self.top = output, H, KH, stride, top
        first = min(H, max(0, output.start * stride - top))
        last = min(H, (output.stop - 1) * stride - top + KH)
        self.seen = slice(first, max(first, last))

    def groups(self) -> list[tuple[slice, int, int, int]]:
        """(output rows, first, end, place of row `first` among those seen): all rows whose
        windows are whole in one group, each other row in one of its own."""
        whole = range(-(-self.top // self.stride), (self.H - self.KH + self.top) // self.stride + 1)
        start = min(max(whole.start, self.output.start), self.output.stop)
        stop = max(start, min(whole.stop, self.output.stop))
        alone = [*range(self.output.start, start), *range(stop, self.output.stop)]
        groups = [slice(p, p + 1) for p in alone] + [slice(start, stop)] * (stop > start)
        found = []
        for rows in groups:
            row = rows.start * self.stride - self.top
            first, end = max(0, -row), max(0, min(self.KH, self.H - row))
            found.append((rows, first, max(first, end), row + first - self.seen.start))
        return found

    def windows(self, flat: np.ndarray, height: int, group: tuple[slice, int, int, int]) -> Any:
        """The matrices (rows of the group, (end - first) * height, P) of unfolded rows.

        flat (rows seen * height, P), contiguous. They overlap: a view, no element is copied.
        """
        rows, first, end, place = group
        down, across = flat.strides
        return strided(
            flat[place * height :],
            (rows.stop - rows.start, (end - first) * height, flat.shape[1]),
            (self.stride * height * down, down, across),
        )


def conv2d(
    x: np.ndarray, w: np.ndarray, b: np.ndarray | None, stride: Pair, padding: Padding
) -> np.ndarray:
    """x (C, H, W, N), w (O, C, KH, KW) -> y (O, OH, OW, N)."""
    C, H, W, N = x.shape
    O, _, KH, KW = w.shape
    OH, OW = output_size((H, W), (KH, KW), stride, padding, (1, 1))
    filters = w.transpose(0, 2, 1, 3).reshape(O, KH * C * KW)
    y = np.empty((O, OH, OW * N), x.dtype)

    def work(block: Block) -> None:
        output, columns = block
        plan = _Plan(output, H, KH, stride[0], padding[0][0])
        cols = unfold_width(x, plan.seen, columns, KW, stride[1], padding[1][0])
        y_rows = y[:, :, columns.start * N : columns.stop * N].transpose(1, 0, 2)  # (OH, O, P)
        for group in plan.groups():
            rows, first, end, _ = group
            seen = plan.windows(cols, C * KW, group)
            used = filters[:, first * C * KW : end * C * KW]
            for piece in pieces(O, seen.shape[1], seen.shape[2]):
                np.matmul(used, seen[:, :, piece], out=y_rows[rows, :, piece])
        if b is not None:
            y_rows[output] += b[:, None]

    bytes_per_place = (C * KW + O) * N * x.itemsize
    multiplications = w.size * OH * OW * N
    blocks = cut(OH, OW, N, bytes_per_place, KH - 1, multiplications)
    threads.run(work, blocks, multiplications)
    return y.reshape(O, OH, OW, N)


def conv2d_dw(
    dy: np.ndarray, x: np.ndarray, kernel: Pair, stride: Pair, padding: Padding
) -> np.ndarray:
    """dy (O, OH, OW, N), x (C, H, W, N) -> dw (O, C, KH, KW)."""
    C, H, _, N = x.shape
    O, OH, OW, _ = dy.shape
    KH, KW = kernel
    dy_rows = dy.reshape(O, OH, OW * N).transpose(1, 2, 0)  # (OH, OW*N, O)

    def work(block: Block) -> np.ndarray:
        output, columns = block
        plan = _Plan(output, H, KH, stride[0], padding[0][0])
        cols = unfold_width(x, plan.seen, columns, KW, stride[1], padding[1][0])
        slopes = dy_rows[:, columns.start * N : columns.stop * N]
        dfilters = np.zeros((KH * C * KW, O), x.dtype)
        for group in plan.groups():
            rows, first, end, _ = group
            seen = plan.windows(cols, C * KW, group)
            for piece in pieces(O, seen.shape[1], seen.shape[2]):
                products = seen[:, :, piece] @ slopes[rows, piece]
                dfilters[first * C * KW : end * C * KW] += products.sum(0)
        return dfilters

    bytes_per_place = (C * KW + O) * N * x.itemsize
    multiplications = O * C * KH * KW * OH * OW * N
    blocks = cut(OH, OW, N, bytes_per_place, KH - 1, multiplications)
    parts = threads.run(work, blocks, multiplications)
    dfilters: Any = sum(parts[1:], parts[0])
    return np.ascontiguousarray(dfilters.reshape(KH, C, KW, O).transpose(3, 1, 0, 2))


def conv2d_dx(dy: np.ndarray, w: np.ndarray, size: Pair, padding: Padding) -> np.ndarray:
    """dy (O, OH, OW, N), w (O, C, KH, KW), stride 1 -> dx (C, H, W, N)."""
    O, OH, OW, N = dy.shape
    _, C, KH, KW = w.shape
    H, W = size
    top, left = padding[0][0], padding[1][0]
    # row r of x meets dy's rows r + top - KH + 1 + a, for a = 0 ... KH - 1, by kernel row KH-1-a
    filters = w[:, :, ::-1].transpose(1, 3, 2, 0).reshape(C * KW, KH * O)
    dx = np.zeros((C, H, W, N), dy.dtype)

    def work(block: Block) -> None:
        output, _ = block
        plan = _Plan(output, OH, KH, 1, KH - 1 - top)
        met = dy[:, plan.seen].transpose(1, 0, 2, 3)  # (rows, O, OW, N)
        met = np.ascontiguousarray(met).reshape(len(met) * O, OW * N)
        dcols = np.empty((output.stop - output.start, C * KW, OW * N), dy.dtype)
        for group in plan.groups():
            rows, first, end, _ = group
            here = slice(rows.start - output.start, rows.stop - output.start)
            seen = plan.windows(met, O, group)
            used = filters[:, first * O : end * O]
            for piece in pieces(C * KW, seen.shape[1], seen.shape[2]):
                np.matmul(used, seen[:, :, piece], out=dcols[here, :, piece])
        shares = dcols.reshape(len(dcols), C, KW, OW, N).transpose(2, 1, 0, 3, 4)  # (KW, C, ...)
        for j in range(KW):
            first, end = max(0, left - j), max(0, min(OW, W + left - j))  # the q inside the image
            if end > first:
                dx[:, output, first + j - left : end + j - left] += shares[j, :, :, first:end]

    bytes_per_row = (C * KW + O) * OW * N * dy.itemsize
    multiplications = w.size * OH * OW * N
    blocks = cut(H, 1, OW * N, bytes_per_row, KH - 1, multiplications)
    threads.run(work, blocks, multiplications)
    return dx
