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
from tinynet.kernels.geometry import Padding, Pair, output_size

BLOCK_BYTES = 1 << 22
SMALL_PRODUCT = 1_000_000  # multiplications up to which OpenBLAS skips its packing of operands

Block = tuple[slice, slice]
"""(output rows, output columns)."""


def multiply(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """out = a @ b, in pieces of few columns where the product of the pieces is faster.

    a (M, K), b (K, P), out (M, P).
    """
    M, K = a.shape
    P = b.shape[1]
    step = SMALL_PRODUCT // max(1, M * K)
    if step >= P or step < 200:
        np.matmul(a, b, out=out)
        return
    pieces = -(-P // step)
    step = -(-P // pieces)
    for start in range(0, P, step):
        piece = slice(start, start + step)
        np.matmul(a, b[:, piece], out=out[:, piece])


def cut(rows: int, columns: int, N: int, bytes_per_place: int, halo: int) -> list[Block]:
    """Blocks of output places whose unfolded rows fit into BLOCK_BYTES, at least one a thread.

    A block as high as the image needs no row twice, so the width is cut first, down to products
    of 512 columns, and the height only then.
    """
    parts = threads.get_num_threads()
    high = rows + halo
    wide = max(1, BLOCK_BYTES // max(1, high * bytes_per_place))
    wide = min(columns, max(wide, -(-512 // max(1, N))))
    wide = min(wide, -(-columns // parts)) if wide * N >= 1024 or columns == wide else wide
    strips = -(-columns // wide)
    wide = -(-columns // strips)
    high = max(1, BLOCK_BYTES // max(1, wide * bytes_per_place) - halo)
    layers = -(-rows // high)
    high = -(-rows // layers)
    return [
        (slice(p, min(p + high, rows)), slice(q, min(q + wide, columns)))
        for q in range(0, columns, wide)
        for p in range(0, rows, high)
    ]


def unfold_width(
    x: np.ndarray, rows: slice, columns: slice, KW: int, stride: int, left: int
) -> np.ndarray:
    """cols (rows, C*KW, columns*N) of an image x (C, H, W, N) padded by `left` columns."""
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
    return cols.reshape(rows.stop - rows.start, C * KW, count * N)


class _Plan:
    """Which rows of the image the windows of each output row see."""

    def __init__(self, H: int, KH: int, stride: int, top: int) -> None:
        self.H, self.KH, self.stride, self.top = H, KH, stride, top

    def taps(self, p: int) -> tuple[int, int, int]:
        """(first tap, end tap, image row of tap 0) of output row p."""
        start = p * self.stride - self.top
        return max(0, -start), max(0, min(self.KH, self.H - start)), start

    def rows(self, output: slice) -> slice:
        """The image rows that a block of output rows sees."""
        first = max(0, output.start * self.stride - self.top)
        last = (output.stop - 1) * self.stride - self.top + self.KH
        return slice(min(first, self.H), max(min(first, self.H), min(self.H, last)))


def conv2d(
    x: np.ndarray, w: np.ndarray, b: np.ndarray | None, stride: Pair, padding: Padding
) -> np.ndarray:
    """x (C, H, W, N), w (O, C, KH, KW) -> y (O, OH, OW, N)."""
    C, H, W, N = x.shape
    O, _, KH, KW = w.shape
    OH, OW = output_size((H, W), (KH, KW), stride, padding, (1, 1))
    plan = _Plan(H, KH, stride[0], padding[0][0])
    filters = w.transpose(0, 2, 1, 3).reshape(O, KH * C * KW)
    y = np.empty((O, OH, OW * N), x.dtype)

    def work(block: Block) -> None:
        output, columns = block
        rows = plan.rows(output)
        cols = unfold_width(x, rows, columns, KW, stride[1], padding[1][0]).reshape(
            (rows.stop - rows.start) * C * KW, -1
        )
        place = slice(columns.start * N, columns.stop * N)
        for p in range(output.start, output.stop):
            first, end, start = plan.taps(p)
            start = (start - rows.start) * C * KW
            multiply(
                filters[:, first * C * KW : end * C * KW],
                cols[start + first * C * KW : start + end * C * KW],
                y[:, p, place],
            )
        if b is not None:
            y[:, output, place] += b[:, None, None]

    threads.run(work, cut(OH, OW, N, C * KW * N * x.itemsize, KH - 1))
    return y.reshape(O, OH, OW, N)


def conv2d_dw(
    dy: np.ndarray, x: np.ndarray, kernel: Pair, stride: Pair, padding: Padding
) -> np.ndarray:
    """dy (O, OH, OW, N), x (C, H, W, N) -> dw (O, C, KH, KW)."""
    C, H, _, N = x.shape
    O, OH, OW, _ = dy.shape
    KH, KW = kernel
    plan = _Plan(H, KH, stride[0], padding[0][0])
    dy = dy.reshape(O, OH, OW * N)

    def work(block: Block) -> np.ndarray:
        output, columns = block
        rows = plan.rows(output)
        cols = unfold_width(x, rows, columns, KW, stride[1], padding[1][0]).reshape(
            (rows.stop - rows.start) * C * KW, -1
        )
        place = slice(columns.start * N, columns.stop * N)
        dfilters = np.zeros((KH * C * KW, O), x.dtype)
        for p in range(output.start, output.stop):
            first, end, start = plan.taps(p)
            start = (start - rows.start) * C * KW
            seen = cols[start + first * C * KW : start + end * C * KW]
            dfilters[first * C * KW : end * C * KW] += seen @ dy[:, p, place].T
        return dfilters

    parts = threads.run(work, cut(OH, OW, N, C * KW * N * x.itemsize, KH - 1))
    dfilters: Any = sum(parts[1:], parts[0])
    return np.ascontiguousarray(dfilters.reshape(KH, C, KW, O).transpose(3, 1, 0, 2))


def conv2d_dx(dy: np.ndarray, w: np.ndarray, size: Pair, padding: Padding) -> np.ndarray:
    """dy (O, OH, OW, N), w (O, C, KH, KW), stride 1 -> dx (C, H, W, N)."""
    O, OH, OW, N = dy.shape
    _, C, KH, KW = w.shape
    H, W = size
    top, left = padding[0][0], padding[1][0]
    # tap a of a row of x meets dy's row (row + top - KH + 1 + a) through kernel row KH - 1 - a
    filters = w[:, :, ::-1].transpose(1, 3, 2, 0).reshape(C * KW, KH * O)
    plan = _Plan(OH, KH, 1, KH - 1 - top)
    dx = np.zeros((C, H, W, N), dy.dtype)

    def work(block: Block) -> None:
        output, _ = block
        rows = plan.rows(output)
        met = dy[:, rows].transpose(1, 0, 2, 3).reshape((rows.stop - rows.start) * O, OW * N)
        dcols = np.empty((output.stop - output.start, C * KW, OW * N), dy.dtype)
        for r in range(output.start, output.stop):
            first, end, start = plan.taps(r)
            start = (start - rows.start) * O
            multiply(
                filters[:, first * O : end * O],
                met[start + first * O : start + end * O],
                dcols[r - output.start],
            )
        shares = dcols.reshape(len(dcols), C, KW, OW, N).transpose(2, 1, 0, 3, 4)  # (KW, C, ...)
        for j in range(KW):
            first, end = max(0, left - j), max(0, min(OW, W + left - j))  # the q inside the image
            if end > first:
                dx[:, output, first + j - left : end + j - left] += shares[j, :, :, first:end]

    threads.run(work, _cut_rows(H, C * KW * OW * N * dy.itemsize))
    return dx


def _cut_rows(rows: int, bytes_per_row: int) -> list[Block]:
    """Blocks of whole rows that fit into BLOCK_BYTES, at least one a thread."""
    step = max(1, min(BLOCK_BYTES // max(1, bytes_per_row), -(-rows // threads.get_num_threads())))
    return [(slice(p, min(p + step, rows)), slice(0)) for p in range(0, rows, step)]
