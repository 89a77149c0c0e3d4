"""Images of another size: each new row is a weighted mean of the old ones, and each column.

With a matrix A (OH, H) of weights for the rows and B (OW, W) for the columns, y = A x B^T for every
image and channel. Nearest neighbours, linear and cubic interpolation, and the mean over regions
differ in their matrices alone.
"""

import math
from collections.abc import Sequence

import numpy as np

from tinynet.autograd import Array, Op, differentiable
from tinynet.ops.checks import check_float, may_underflow
from tinynet.protocol import one_step


@differentiable(rule="y = A x B^T, dx = A^T dy B")
@may_underflow
def resample(x: Array, matrices: Sequence[np.ndarray]) -> Op:
    """A matrix product along each axis of the image: for two axes, y = A x B^T.

    Shapes: x (N, C, H, W), matrices [(OH, H), (OW, W)] -> y (N, C, OH, OW); likewise for one axis
    or three.
    Gradient: by the rule of the matrix product, dx = A^T dy B. Keeps the matrices.
    Raises TypeError for integers.
    """
    check_float("resample", x)
    matrices = [A.astype(x.dtype, copy=False) for A in matrices]
    return along_axes(x, matrices), lambda dy: along_axes(dy, [A.T for A in matrices])


@one_step
def along_axes(x: np.ndarray, matrices: Sequence[np.ndarray]) -> np.ndarray:
    """The product of each matrix with its axis of x (N, C, ...), on batch-last memory."""
    N, C, *sizes = x.shape
    y = np.moveaxis(x, 0, -1)  # (C, H, W, N)
    done = C
    for A, size in zip(matrices, sizes):
        y = _product(A, y.reshape(done, size, y.size // max(done * size, 1)))
        done *= len(A)
    return np.moveaxis(y.reshape(C, *map(len, matrices), N), -1, 0)


def _product(A: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A x for each matrix of x; what A has a 0 for plays no part, be it NaN or infinite."""
    with np.errstate(invalid="ignore"):
        y = A @ x
        if not math.isfinite(np.add.reduce(y, None)):
            for p, row in enumerate(A):
                y[:, p] = row[row != 0] @ x[:, row != 0]
    return np.asarray(y)


def averaging(length: int, parts: int) -> np.ndarray:
    """The matrix (parts, length) whose product with an axis is the mean of each region.

    Region p goes from floor(p L / parts) up to, not including, ceil((p + 1) L / parts).
    """
    first, end = regions(length, parts)
    places = np.arange(length)
    inside = (places >= first[:, None]) & (places < end[:, None])
    return np.asarray(inside / (end - first)[:, None])


def regions(length: int, parts: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each of `parts` regions that cover an axis begins, and where it ends."""
    p = np.arange(parts)
    return p * length // parts, -(-(p + 1) * length // parts)


def nearest(length: int, out: int, scale: float, exact: bool) -> np.ndarray:
    """The matrix (out, length) that takes the element nearest to each new place.

    The place p of the result is at p * scale, of which the whole part is taken, in float32 as in
    PyTorch; `exact`: its middle is at (p + 1/2) * scale.
    """
    at = (np.arange(out, dtype=np.float32) + np.float32(0.5 * exact)) * np.float32(scale)
    taken = np.minimum(np.floor(at).astype(int), length - 1)
    return np.asarray(taken[:, None] == np.arange(length), float)


def interpolation(
    length: int, out: int, scale: float, cubic: bool, align_corners: bool, antialias: bool = False
) -> np.ndarray:
    """The matrix (out, length) of linear or cubic interpolation.

    The middle of place p of the result is at (p + 1/2) scale - 1/2 among the old places; with
    align_corners the first and last places coincide. Beyond the edge the edge goes on; antialias:
    nothing is there, and where the result is smaller, the kernel is as much wider as a step is.
    Source: Keys, "Cubic convolution interpolation for digital image processing", 1981, a = -3/4,
    with antialias a = -1/2 as in Pillow.
    """
    p = np.arange(out)
    at = p * scale if align_corners and not antialias else (p + 0.5) * scale - 0.5
    narrow, a = (1 / max(scale, 1), -0.5) if antialias else (1.0, -0.75)
    return weights(at, length, a if cubic else None, narrow, antialias)


def weights(
    at: np.ndarray, length: int, a: float | None, narrow: float = 1.0, inside: bool = False
) -> np.ndarray:
    """The matrix (out, length) that gives an axis its values at the places `at`.

    a: of Keys' cubic kernel, None for the linear one. narrow: 1 / the width of the kernel. inside:
    beyond the edge there is nothing; else the edge goes on.
    """
    reach = math.ceil((1 if a is None else 2) / narrow)
    taps = np.floor(at)[:, None] + np.arange(1 - reach, 1 + reach)  # (out, taps)
    d = np.abs(at[:, None] - taps) * narrow
    weight = np.maximum(1 - d, 0)
    if a is not None:  # a cubic up to distance 1, another up to 2, which there has the slope a
        near = ((a + 2) * d - (a + 3)) * d * d + 1
        weight = np.where(d <= 1, near, np.where(d < 2, (((d - 5) * d + 8) * d - 4) * a, 0))
    if inside:
        weight = weight * ((taps >= 0) & (taps < length))
    matrix = np.zeros((len(at), length))
    where = np.arange(len(at))[:, None], np.clip(taps, 0, length - 1).astype(int)
    np.add.at(matrix, where, weight / weight.sum(1, keepdims=True))
    return matrix
