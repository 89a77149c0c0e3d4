"""PyTorch's `torch.linalg`: products, norms, inverse, determinant, decompositions.

`inv`, `det`, `solve` and the norms have gradients. What is NumPy's answers to tensors by NumPy's
protocol, and refuses one that requires a gradient.
"""

# ruff: noqa: A002 (the argument names are PyTorch's)

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from numpy.linalg import cholesky, eigh, eigvalsh, matrix_power, matrix_rank, pinv, qr, slogdet, svd

from tinynet.autograd import wrap
from tinynet.functions import add, log, mul, pow, roll, square, squeeze, sub, sum, swapaxes
from tinynet.functions import norm as _norm
from tinynet.functions.algebra import matmul, matrix_exp
from tinynet.functions.common import Dim, array_of, named, takes
from tinynet.ops import unsqueeze
from tinynet.ops.checks import one_of
from tinynet.ops.inverse import det, inv
from tinynet.tensor import Tensor
from tinynet.unrecorded import unrecorded

__all__ = [
    "cholesky", "cross", "det", "eigh", "eigvalsh", "inv", "inverse", "logdet", "lstsq",
    "matmul", "matrix_exp", "matrix_norm", "matrix_power", "matrix_rank", "multi_dot", "norm",
    "pinv", "pinverse", "qr", "slogdet", "solve", "svd", "svdvals", "vander", "vector_norm",
]  # fmt: skip

inverse, pinverse = inv, pinv
chain_matmul = named("chain_matmul", "As multi_dot.", lambda *matrices: multi_dot(matrices))


def vector_norm(
    x: Any, ord: float = 2, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """(sum |x|^ord)^(1/ord) of the elements along `dim`, by default of all."""
    return _norm(x, float(ord), dim, keepdim, dtype=dtype)


def matrix_norm(
    A: Any, ord: Any = "fro", dim: Dim = (-2, -1), keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """The root of the sum of the squares of matrices, "fro"; others have no gradient."""
    if ord != "fro":
        return unrecorded("matrix_norm", np.linalg.norm, A, ord, dim, keepdim)  # type: ignore[no-any-return]
    return vector_norm(A, 2, dim, keepdim, dtype=dtype)


def norm(
    A: Any, ord: Any = None, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """`vector_norm` without ord or along one axis, `matrix_norm` otherwise."""
    axes = len(dim) if isinstance(dim, (tuple, list)) else len(A.shape) if dim is None else 1
    if ord is None or axes == 1:
        return vector_norm(A, 2 if ord is None else ord, dim, keepdim, dtype=dtype)
    return matrix_norm(A, ord, (-2, -1) if dim is None else dim, keepdim, dtype=dtype)


def svdvals(A: Any) -> Tensor:
    """The singular values, the largest first."""
    return unrecorded("svdvals", np.linalg.svd, A, compute_uv=False)  # type: ignore[no-any-return]


def logdet(A: Any) -> Tensor:
    """The logarithm of the determinant."""
    return log(det(A))


def multi_dot(tensors: Any) -> Tensor:
    """The product of several matrices."""
    return functools.reduce(matmul, tensors)  # type: ignore[no-any-return]


def solve(A: Any, B: Any) -> Tensor:
    """The X with A X = B, by the inverse of A; B: a vector, or a matrix of columns."""
    is_vector = len(B.shape) == 1 or tuple(B.shape) == tuple(A.shape[:-1])
    return squeeze(matmul(inv(A), unsqueeze(B, -1)), -1) if is_vector else matmul(inv(A), B)


def vander(x: Any, *, N: int | None = None) -> Tensor:
    """Vandermonde's matrices: a column each of the powers of vectors, from x^0 to x^(N - 1)."""
    x = x if x.shape else unsqueeze(x, 0)
    return pow(unsqueeze(x, -1), np.arange(x.shape[-1] if N is None else N))


class LeastSquares(NamedTuple):
    """What `lstsq` gives; what it was not asked for is empty."""

    solution: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


def lstsq(A: Any, B: Any, rcond: float | None = None, *, driver: str = "gelsy") -> LeastSquares:
    """The X of the least |A X - B|, and of those the smallest; B: vectors or columns as in `solve`.

    driver: all compute the same; as in PyTorch "gelsd" and "gelss" also give the singular values,
    these and "gels" the residuals (if A has full rank and more rows than columns), but "gels" no
    rank.
    Gradient, of an A of full rank, by that of the pseudo-inverse P (Golub & Pereyra 1973):
    dX = P (dB - dA X) + P P^T dA^T (B - A X) + (1 - P A) dA^T P^T X. The same expression with A and
    B for dA and dB, whose terms are then 0, is added to X = P B.
    """
    driver = one_of("lstsq", "driver", driver or "gelsy", ("gels", "gelsd", "gelss", "gelsy"))
    takes("lstsq", len(A.shape) > 1, "matrices A", A)
    is_vector = len(B.shape) == 1 or tuple(B.shape) == tuple(A.shape[:-1])
    columns = unsqueeze(B, -1) if is_vector else B
    takes("lstsq", A.shape[-2] == columns.shape[-2], "A and B with equally many rows", A, B)
    a, b, turned = array_of(A), array_of(columns), swapaxes(A, -1, -2)
    small = np.finfo(a.dtype).eps * max(a.shape[-2:]) if rcond is None else rcond
    P = np.linalg.pinv(a, small)
    PT, start = np.swapaxes(P, -1, -2), P @ b
    x = add(start, matmul(P, sub(columns, matmul(A, start))))
    x = add(x, matmul(P @ PT, matmul(turned, b - a @ start)))
    x = add(x, matmul(np.eye(a.shape[-1], dtype=a.dtype) - P @ a, matmul(turned, PT @ start)))
    values, none = np.linalg.svd(a, compute_uv=False), np.zeros(0, a.dtype)
    rank = np.asarray((values > small * values.max(-1, keepdims=True, initial=0)).sum(-1))
    over = a.shape[-2] > a.shape[-1] and (rank == a.shape[-1]).all() and driver != "gelsy"
    return LeastSquares(
        squeeze(x, -1) if is_vector else x,
        sum(square(sub(matmul(A, x), columns)), -2) if over else wrap(none),
        wrap(np.zeros(0, int) if driver == "gels" else rank),
        wrap(values if driver in ("gelsd", "gelss") else none),
    )


def cross(input: Any, other: Any, *, dim: int = -1) -> Tensor:
    """The cross products of the vectors with three elements along `dim`."""
    fits = input.shape[dim] == other.shape[dim] == 3
    takes("cross", fits, f"vectors with 3 elements along dim={dim}", input, other)
    left = mul(roll(input, -1, dim), roll(other, -2, dim))
    return sub(left, mul(roll(input, -2, dim), roll(other, -1, dim)))
