"""Convolution row by row with half of the multiplications, for kernels of 3 columns and batches.

Winograd's minimal filtering F(4, 3) computes 4 neighbouring outputs of a row from the 6 pixels d
that they see and a filter's row g, with 6 multiplications where the definition needs 12:

    y = A^T [ (G g) * (B^T d) ]        (* is elementwise)

The sums over channels and over the kernel's rows move inside the brackets, so each of the 6 places
of the bracket is a convolution along the height alone. That is a matrix product without any
unfolding, as in `rows.py`: the KH rows that a row of outputs sees lie one after the other.

    V[k, h, c, (t, n)]   = sum over j of B^T[k, j] x[c, h, 4t + j, n]
    M[k, p]              = U[k] (O, KH*C)  V[k, p : p + KH] (KH*C, T*N)
    y[o, p, 4t + i, n]   = sum over k of A^T[i, k] M[k, p, o, (t, n)] + b[o]

Both sums over pixels are products too, of a matrix of 6 or 4 rows and all the numbers of a block.
V holds each pixel 1.5 times, where the windows in `rows.py` hold it 3 times.

Everything is bilinear, so the gradient of the weight follows by transposition:

    dg = G^T [ sum over places of (A dy) * (B^T d) ]

and that of the input is the same convolution of dy by the flipped filters.

The transforms move memory, and it takes channels to make up for them: with 32 the convolution and
the gradient of its input gain, that of the weight only with 64 (`docs/kernels.md` has the figures).

The points, the matrices and their error are those of `minimal_filtering.py`.

Sources: Winograd, "Arithmetic complexity of computations" (SIAM, 1980); Lavin, Gray, "Fast
algorithms for convolutional neural networks", arXiv:1509.09308.

Arrays are (C, H, W, N) and contiguous. The stride and the dilation are 1, and there is one group.
"""

import functools

import numpy as np

from tinynet.kernels import threads
from tinynet.kernels.geometry import Array, Geometry, strided
from tinynet.kernels.layout import cutout
from tinynet.kernels.minimal_filtering import A_T, B_T, G, M, S

BLOCK_BYTES = 1 << 22
COLUMNS = 256  # of a product
LEAST_COLUMNS = 128  # fewer make it slow
ROWS = 8  # of outputs in a block
LEAST, LEAST_DW = 32, 64  # channels and filters that make up for the transforms
IMAGES = 16  # likewise

Block = tuple[slice, slice]
"""(output rows, tiles of M output columns)."""


def is_faster(N: int, C: int, O: int, g: Geometry, least: int) -> bool:
    """Whether a convolution that `rows.py` covers is faster here.

    least: the channels and filters it takes, LEAST or LEAST_DW.
    """
    columns = g.out[1]
    return (
        g.kernel[1] == 3
        and g.stride == (1, 1)
        and N >= IMAGES
        and min(C, O) >= least
        and S * -(-columns // M) <= 2 * columns  # products, of the 3 that an output needs
    )


def cut(rows: int, columns: int, N: int, halo: int, bytes_per_place: int) -> list[Block]:
    """Blocks that the threads can share evenly; what one sees fits into BLOCK_BYTES.

    Unless one row of LEAST_COLUMNS products does not. halo: rows that a block sees beyond its
    own. bytes_per_place: of the planes of a tile, for all of the batch.
    """
    tiles = -(-columns // M)
    wide = -(-COLUMNS // N)
    if (ROWS + halo) * wide * bytes_per_place > BLOCK_BYTES:
        wide = -(-LEAST_COLUMNS // N)
    strips = -(-tiles // wide)
    wide = -(-tiles // strips)
    most = min(ROWS, max(1, BLOCK_BYTES // (wide * bytes_per_place) - halo))
    parts = -(-rows // most)
    while parts < rows and parts * strips % threads.get_num_threads():
        parts += 1
    return [
        (high, slice(t, min(t + wide, tiles)))
        for t in range(0, tiles, wide)
        for high in threads.shares(rows, parts)
    ]


def by_tiles(x: Array, top: int, left: int, out: Array) -> None:
    """out[j, c, h, t, n] = x[c, top + h, left + M*t + j, n], and 0 where that is outside of x."""
    J, _, height, T, _ = out.shape
    image, place = cutout(x, top, height, left, M * (T - 1) + J)
    c, h, w, n = image.strides
    out[...] = strided(image, out.shape, (w, c, h, M * w, n), place)


def add_tiles(outputs: Array, b: Array, y: Array, top: int, left: int) -> None:
    """y[o, top + p, left + M*t + i, n] = outputs[i, p, o, t, n] + b[o], where that is in y."""
    _, rows, O, T, N = outputs.shape
    o, h, w, n = y.strides
    outputs = outputs.transpose(2, 1, 3, 0, 4)
    within = min(T, (y.shape[2] - left) // M)  # whole tiles, in one call
    place = top * h + left * w
    tiles = strided(y, (O, rows, within, M, N), (o, h, M * w, w, n), place)
    np.add(outputs[:, :, :within], b.reshape(-1, 1, 1, 1, 1), out=tiles)
    if within < T:
        rest = y[:, top : top + rows, left + M * within :]
        np.add(outputs[:, :, within, : rest.shape[2]], b.reshape(-1, 1, 1, 1), out=rest)


def conv2d(x: Array, w: Array, b: Array | None, g: Geometry) -> Array:
    """x (C, H, W, N), w (O, C, KH, 3), b (O) or None -> y (O, OH, OW, N)."""
    C, _, _, N = x.shape
    (O, _, KH, _), (OH, OW) = w.shape, g.out
    U = np.tensordot(G.astype(x.dtype), w, (1, 3)).swapaxes(2, 3).reshape(S, 1, O, KH * C)
    pixels_in, outputs_out = B_T.astype(x.dtype), A_T.astype(x.dtype)
    bias = np.zeros(1, x.dtype) if b is None else b
    y = np.empty((O, OH, OW, N), x.dtype)

    def work(block: Block) -> None:
        rows, tiles = block
        count, T = rows.stop - rows.start, tiles.stop - tiles.start
        height, P = count + KH - 1, T * N
        top, left = rows.start - g.corner[0], M * tiles.start - g.corner[1]
        seen = np.empty((S, height, C, T, N), x.dtype)
        by_tiles(x, top, left, seen.swapaxes(1, 2))
        V = (pixels_in @ seen.reshape(S, -1)).reshape(S, height, C * P)
        k, h, p = V.strides
        products = U @ strided(V, (S, count, KH * C, P), (k, h, P * p, p))
        outputs = (outputs_out @ products.reshape(S, -1)).reshape(M, count, O, T, N)
        add_tiles(outputs, bias, y, rows.start, M * tiles.start)

    blocks = cut(OH, OW, N, KH - 1, S * max(C, O) * N * x.itemsize)
    threads.run(work, blocks, w.size * OH * OW * N)
    return y


def conv2d_dx(dy: Array, w: Array, g: Geometry) -> Array:
    """dy (O, OH, OW, N), w (O, C, KH, 3) -> dx (C, H, W, N)."""
    return conv2d(dy, w.swapaxes(0, 1)[..., ::-1, ::-1], None, g.back)


def conv2d_dw_db(dy: Array, x: Array, g: Geometry) -> tuple[Array, Array]:
    """dy (O, OH, OW, N), x (C, H, W, N) -> dw (O, C, KH, 3), db (O).

    The planes lie channel by channel here: then what a row of the kernel met is one long run of
    each channel, and a product sums over all rows of the block.
    """
    C, _, _, N = x.shape
    (O, OH, OW, _), KH = dy.shape, g.kernel[0]
    pixels_in, dy_in = B_T.astype(x.dtype), np.ascontiguousarray(A_T.T, x.dtype)

    def work(block: Block) -> tuple[Array, Array]:
        rows, tiles = block
        count, T = rows.stop - rows.start, tiles.stop - tiles.start
        height, P = count + KH - 1, T * N
        top, left = rows.start - g.corner[0], M * tiles.start - g.corner[1]
        seen = np.empty((S, C, height, T, N), x.dtype)
        by_tiles(x, top, left, seen)
        V = (pixels_in @ seen.reshape(S, -1)).reshape(S, C, height * P)
        given = np.empty((M, O, count, T, N), dy.dtype)
        by_tiles(dy, rows.start, M * tiles.start, given)
        D = (dy_in @ given.reshape(M, -1)).reshape(S, 1, O, count * P)
        k, c, p = V.strides
        met = strided(V, (S, KH, C, count * P), (k, P * p, c, p))
        db = given.reshape(M, O, count * P) @ np.ones(count * P, dy.dtype)
        return met @ D.swapaxes(2, 3), db.sum(0)

    blocks = cut(OH, OW, N, KH - 1, S * max(C, O) * N * x.itemsize)
    parts = threads.run(work, blocks, O * C * KH * 3 * OH * OW * N)
    products, db = (functools.reduce(np.add, sums) for sums in zip(*parts))  # (S, KH, C, O)
    dw = np.tensordot(G.astype(x.dtype), products, (0, 0))  # (3, KH, C, O)
    return np.ascontiguousarray(dw.transpose(3, 2, 1, 0)), db
