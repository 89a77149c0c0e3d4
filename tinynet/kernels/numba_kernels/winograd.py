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

A task is a row of tiles of LANES images. Its 36 transformed planes stay in the cache, one cache
line apart from a power of two, since equal distances would put all 36 into the same places of it.

Error: the usual points 0, 1, -1, 2, -2 lose two bits. With 0, +-1/sqrt(2), +-sqrt(2) the largest
error over the outputs of 32 to 64 channels is 5.6e-6 to 7.4e-6, that of the direct sum 5.5e-6 to
8.1e-6 (outputs of variance 1, float32); that of dw is 8e-7 of the largest element against 5e-7.

Speed against `direct`, one thread, batch 128: 1.9 to 2.6 times (32 channels at 32x32 38 -> 17 ms,
64 at 16x16 27 -> 10 ms), the weight gradient 1.5 to 2 times. F(2x2, 3x3) reached 1.4 to 1.8.

Sources: Lavin, Gray, "Fast algorithms for convolutional neural networks", arXiv:1509.09308;
points: Alam et al., "Winograd convolution for deep neural networks: efficient point selection",
ACM Transactions on Embedded Computing Systems 21 (2022), doi:10.1145/3524069.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from tinynet.kernels.geometry import Pair
from tinynet.kernels.numba_kernels.direct import FILTERS, VECTORS, pack_block
from tinynet.kernels.numba_kernels.tiles import (
    copy_vector,
    dot_tile,
    lanes,
    multiply_tile,
    sandwich,
)

M = 4  # outputs along the side of a tile
S = M + 2  # pixels along its side
PLANES = S * S
POINTS = (0, 2**-0.5, -(2**-0.5), 2**0.5, -(2**0.5))


def _minimal_filtering() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(A^T, G, B^T) of F(4, 3) in one dimension.

    A filter and a row of outputs are polynomials of degree 2 and 3; their product is known from
    its values at 5 points and at infinity (the leading coefficient). G and A evaluate, the
    inverse of evaluation gives the coefficients, and transposing the whole turns the product of
    polynomials into the sliding of a filter.
    """

    def evaluate(coefficients: int) -> np.ndarray:
        powers = [[p**k for k in range(coefficients)] for p in POINTS]
        return np.array([*powers, [0] * (coefficients - 1) + [1]], np.float64)

    B_T = np.linalg.inv(evaluate(S)).T
    B_T[abs(B_T) < 1e-12] = 0
    largest = abs(B_T).max(1, keepdims=True)  # moved into G, so that no plane outgrows the others
    return evaluate(M).T, evaluate(3) * largest, B_T / largest


A_T, G, B_T = _minimal_filtering()
_pixels_in = sandwich(B_T)
_slopes_in = sandwich(A_T.T)
_outputs_out = sandwich(A_T)


def pays(N: int, C: int, O: int, kernel: Pair, dilation: Pair, size: Pair, dtype: np.dtype) -> bool:
    """Whether a convolution is covered here and saves more than the transforms cost."""
    tiles = -(-size[0] // M) * -(-size[1] // M)
    return (
        kernel == (3, 3)
        and dilation == (1, 1)
        and dtype == np.float32
        and lanes(dtype) <= N
        and C % 8 == 0
        and O % 8 == 0
        and PLANES * tiles <= 5 * size[0] * size[1]  # products, of the 9 an output needs
    )


def rows_per_task(size: Pair) -> int:
    """Rows of tiles for which the inner products of a weight gradient get long enough."""
    tall, wide = -(-size[0] // M), -(-size[1] // M)
    strips = -(-tall * wide // 16)
    return -(-tall // min(strips, tall))


def tasks(N: int, size: Pair, rows: int) -> int:
    """How many tasks of `rows` rows of tiles there are."""
    return -(-N // lanes(np.dtype(np.float32))) * -(-size[0] // (M * rows))


def transform_filters(w: np.ndarray) -> np.ndarray:
    """w (O, C, 3, 3) -> flat (16, O*C): in each plane 8 filters side by side, channel by channel.

    In the order of `pack_filters`, with C in the place of the taps.
    """
    O, C = w.shape[:2]
    planes = (G @ w @ G.T).transpose(2, 3, 0, 1).reshape(PLANES, O, C)
    blocks = []
    o, height = 0, FILTERS
    while o < O:
        while o + height > O:
            height //= 2
        blocks.append(planes[:, o : o + height].transpose(0, 2, 1).reshape(PLANES, -1))
        o += height
    packed: np.ndarray = np.concatenate(blocks, axis=1).astype(w.dtype).reshape(-1)
    return packed


@njit(cache=True)
def _transform_pixels(x, n0, first, left, tiles, zero, block, planes, pitch, start, length):
    """planes (36, pitch), each (C, length, B): one row of tiles, from image rows first .. + 5.

    The row of tiles takes the places start .. start + tiles - 1 of each channel.
    """
    C = len(x)
    B = 64 // x.itemsize
    width = M * tiles + S - M
    pack_block(x, n0, B, first, S, left, width, True, block)
    for c in range(C):
        for q in range(tiles):
            _pixels_in(
                block, (c * S * width + M * q) * B, width * B, B,
                planes, (c * length + start + q) * B, S * pitch, pitch, zero, 0,
            )  # fmt: skip


@njit(cache=True)
def _multiply_planes(o, O, C, tiles, planes, pitch, filters, zeros, sums, sums_pitch):
    """sums (16, 8, tiles, B): the product in every plane for filters o .. o + 7."""
    B = 64 // planes.itemsize
    offsets = np.arange(C) * (tiles * B)
    for plane in range(PLANES):
        w0 = (plane * O + o) * C
        q = 0
        while q + VECTORS <= tiles:
            multiply_tile(
                FILTERS, VECTORS, planes, plane * pitch + q * B, B, offsets, C, filters, w0,
                zeros, 0, sums, plane * sums_pitch + q * B, tiles * B, B,
            )  # fmt: skip
            q += VECTORS
        while q < tiles:
            multiply_tile(
                FILTERS, 1, planes, plane * pitch + q * B, B, offsets, C, filters, w0,
                zeros, 0, sums, plane * sums_pitch + q * B, tiles * B, B,
            )  # fmt: skip
            q += 1


@njit(cache=True, nogil=True)
def correlate_part(first, last, x, filters, b, corner, y):
    """Tasks first .. last - 1 of a 3x3 convolution; a task is a row of tiles of LANES images.

    x (C, H, W, N), filters from `transform_filters`, O divisible by 8, y (O, OH, OW, N).
    """
    C, _, _, N = x.shape
    O, OH, OW, _ = y.shape
    B = 64 // x.itemsize
    tiles, strips = -(-OW // M), -(-OH // M)
    pitch = C * tiles * B + B
    sums_pitch = FILTERS * tiles * B + B
    block = np.empty(C * S * (M * tiles + S - M) * B, x.dtype)
    planes = np.empty(PLANES * pitch, x.dtype)
    sums = np.empty(PLANES * sums_pitch, x.dtype)
    edge = np.empty(M * M * B, x.dtype)
    zeros = np.zeros(FILTERS, x.dtype)
    flat = y.reshape(y.size)
    for task in range(first, last):
        n0, p = min(task // strips * B, N - B), task % strips * M
        _transform_pixels(
            x, n0, p - corner[0], corner[1], tiles, zeros, block, planes, pitch, 0, tiles
        )
        for o in range(0, O, FILTERS):
            _multiply_planes(o, O, C, tiles, planes, pitch, filters, zeros, sums, sums_pitch)
            for t in range(FILTERS):
                for q in range(tiles):
                    place = (((o + t) * OH + p) * OW + M * q) * N + n0
                    x0 = (t * tiles + q) * B
                    if p + M <= OH and M * (q + 1) <= OW:
                        _outputs_out(
                            sums, x0, S * sums_pitch, sums_pitch,
                            flat, place, OW * N, N, b, o + t,
                        )  # fmt: skip
                        continue
                    _outputs_out(sums, x0, S * sums_pitch, sums_pitch, edge, 0, M * B, B, b, o + t)
                    for r in range(min(M, OH - p)):
                        for s in range(min(M, OW - M * q)):
                            copy_vector(edge, (r * M + s) * B, flat, place + (r * OW + s) * N)


@njit(cache=True)
def _transform_slopes(dy, n0, p, counted, tiles, zero, block, planes, pitch, start, length):
    """planes (36, pitch), each (O, length, B): one row of tiles, from rows p .. p + 3 of dy.

    The first `counted` images are taken as zeros. Places as for pixels.
    """
    O = len(dy)
    B = 64 // dy.itemsize
    width = M * tiles
    pack_block(dy, n0, B, p, M, 0, width, True, block)
    if counted:
        for place in range(0, O * M * width * B, B):
            block[place : place + counted] = 0
    for o in range(O):
        for q in range(tiles):
            _slopes_in(
                block, (o * width + q) * M * B, width * B, B,
                planes, (o * length + start + q) * B, S * pitch, pitch, zero, 0,
            )  # fmt: skip


@njit(cache=True, nogil=True)
def weight_gradient_part(first, last, rows, x, dy, corner, sums):
    """Add the share of tasks first .. last - 1 to sums (36 * O * C), O and C divisible by 4.

    A task is `rows` rows of tiles of LANES images. x (C, H, W, N), dy (O, OH, OW, N).
    """
    C, N = x.shape[0], x.shape[3]
    O, OH, OW, _ = dy.shape
    B = 64 // x.itemsize
    tiles = -(-OW // M)
    strips = -(-OH // (M * rows))
    length = rows * tiles
    pitch, slopes_pitch = C * length * B + B, O * length * B + B
    block = np.empty(max(C * S * (M * tiles + S - M), O * M * M * tiles) * B, x.dtype)
    planes, slopes = np.empty(PLANES * pitch, x.dtype), np.empty(PLANES * slopes_pitch, x.dtype)
    zeros = np.zeros(1, x.dtype)
    offsets = np.arange(C) * (length * B)
    for task in range(first, last):
        n0 = min(task // strips * B, N - B)
        counted = task // strips * B - n0  # images that the block before has counted
        for r in range(rows):
            p = (task % strips * rows + r) * M
            _transform_pixels(
                x, n0, p - corner[0], corner[1], tiles, zeros, block,
                planes, pitch, r * tiles, length,
            )  # fmt: skip
            _transform_slopes(
                dy, n0, p, counted, tiles, zeros, block, slopes, slopes_pitch, r * tiles, length
            )
        for plane in range(PLANES):
            for c in range(0, C, 4):
                for o in range(0, O, 4):
                    dot_tile(
                        4, 4, planes, plane * pitch, 0, offsets, c,
                        slopes, plane * slopes_pitch + o * length * B, length * B, 0,
                        1, length, sums, (plane * O + o) * C + c, C,
                    )  # fmt: skip


def transform_weights(sums: np.ndarray, O: int, C: int) -> np.ndarray:
    """sums (36 * O*C) in the planes -> dw (O, C, 3, 3)."""
    planes = sums.reshape(S, S, O, C).transpose(2, 3, 0, 1)
    return np.ascontiguousarray(G.T @ planes @ G, sums.dtype)
