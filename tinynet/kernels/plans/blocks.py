"""Convolution by unfolded windows, block by block: what `plain.py` does, within the cache.

The unfolded windows are KH*KW times larger than the image, so they are made and used a few rows of
outputs at a time, in a buffer of at most BLOCK_BYTES. It does every case, strides, dilation and
groups too.

Arrays are (C, H, W, N) and contiguous.
"""

import numpy as np

from tinynet.kernels.geometry import Array, Geometry, span, strided
from tinynet.kernels.layout import cutout

BLOCK_BYTES = 1 << 21


def cut(OH: int, bytes_per_row: int) -> list[slice]:
    """Blocks of output rows whose windows fit into BLOCK_BYTES."""
    step = max(1, BLOCK_BYTES // max(1, bytes_per_row))
    return [slice(p, min(p + step, OH)) for p in range(0, OH, step)]


def unfold(x: Array, block: slice, g: Geometry) -> Array:
    """The windows of a block of output rows as columns. x (C, H, W, N) -> (G, C/G*KH*KW, P)."""
    (KH, KW), (SH, SW), (DH, DW), OW = g.kernel, g.stride, g.dilation, g.out[1]
    count = block.stop - block.start
    height, width = (count - 1) * SH + span(KH, DH), (OW - 1) * SW + span(KW, DW)
    image, place = cutout(x, block.start * SH - g.corner[0], height, -g.corner[1], width)
    C, _, _, N = image.shape
    c, h, w, n = image.strides
    cols = np.empty((C, KH, KW, count, OW, N), x.dtype)
    cols[...] = strided(image, cols.shape, (c, h * DH, w * DW, h * SH, w * SW, n), place)
    return cols.reshape(g.groups, C // g.groups * KH * KW, count * OW * N)


def conv2d(x: Array, w: Array, b: Array | None, g: Geometry) -> Array:
    """x (C, H, W, N), w (O, C/G, KH, KW) -> y (O, OH, OW, N)."""
    (OH, OW), O, N, G = g.out, len(w), x.shape[3], g.groups
    y = np.empty((G, O // G, OH * OW * N), x.dtype)
    filters = w.reshape(G, O // G, -1)
    bias = None if b is None else b.reshape(G, O // G, 1)
    for block in cut(OH, w[0].size * G * OW * N * x.itemsize):
        part = y[:, :, block.start * OW * N : block.stop * OW * N]
        np.matmul(filters, unfold(x, block, g), out=part)
        if bias is not None:
            part += bias
    return y.reshape(O, OH, OW, N)


def conv2d_dx(dy: Array, w: Array, g: Geometry) -> Array:
    """dy (O, OH, OW, N), w (O, C/G, KH, KW) -> dx (C, H, W, N), scattered tap by tap."""
    (O, OH, OW, N), (KH, KW), G = dy.shape, g.kernel, g.groups
    C, (top, left), (H, W) = w.shape[1] * G, g.corner, g.size
    dx = np.zeros((C, *g.padded, N), dy.dtype)
    targets = [dx[:, rows, columns] for rows, columns in g.taps]
    dy_rows = dy.reshape(G, O // G, OH * OW * N)
    filters = np.ascontiguousarray(w.reshape(G, O // G, -1).transpose(0, 2, 1))
    for block in cut(OH, C * KH * KW * OW * N * dy.itemsize):
        dcols = filters @ dy_rows[:, :, block.start * OW * N : block.stop * OW * N]
        dcols = dcols.reshape(C, KH * KW, block.stop - block.start, OW, N)
        for k, target in enumerate(targets):  # within a tap no pixel repeats
            target[:, block] += dcols[:, k]
    return dx[:, top : top + H, left : left + W]


def flipped(w: Array, g: Geometry) -> Array:
    """The kernels of the way back: w (O, C/G, KH, KW) -> (C, O/G, KH, KW), flipped both ways."""
    O, C, KH, KW = w.shape
    by_group = w.reshape(g.groups, O // g.groups, C, KH, KW)[..., ::-1, ::-1]
    return by_group.swapaxes(1, 2).reshape(g.groups * C, O // g.groups, KH, KW)


def conv2d_dw_db(dy: Array, x: Array, g: Geometry) -> tuple[Array, Array]:
    """dy (O, OH, OW, N), x (C, H, W, N) -> dw (O, C/G, KH, KW), db (O)."""
    (O, OH, OW, N), G = dy.shape, g.groups
    C, K = len(x) // G, len(x) // G * g.kernel[0] * g.kernel[1]
    by_groups = dy.reshape(G, O // G, OH * OW * N).transpose(0, 2, 1)
    dw = np.zeros((G, K, O // G), x.dtype)
    for block in cut(OH, K * G * OW * N * x.itemsize):
        dw += unfold(x, block, g) @ by_groups[:, block.start * OW * N : block.stop * OW * N]
    dw = np.ascontiguousarray(dw.transpose(0, 2, 1)).reshape(O, C, *g.kernel)
    return dw, dy.sum((1, 2, 3))
