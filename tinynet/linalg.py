"""PyTorch's `torch.linalg`: products, norms, inverse, determinant, decompositions.

What is NumPy's answers to tensors by NumPy's protocol, and refuses one that requires a gradient;
all else has one.
"""

import functools
import math
from typing import Any

import numpy as np
from numpy.linalg import eigh, eigvalsh, matrix_power, matrix_rank, qr, slogdet

from tinynet import ops
from tinynet.autograd import wrap
from tinynet.functions import (
    amax,
    amin,
    log,
    movedim,
    mul,
    pow,
    roll,
    square,
    squeeze,
    sub,
    sum,
)
from tinynet.functions import norm as _norm
from tinynet.functions.algebra import matmul, matrix_exp, svd
from tinynet.functions.common import Dim, all_dims, array_of, named, takes
from tinynet.ops import matrices, unsqueeze
from tinynet.ops.checks import check_float, one_of
from tinynet.ops.matrices import det, inv
from tinynet.return_types import linalg_lstsq
from tinynet.tensor import Tensor

__all__ = [
    "cholesky", "cross", "det", "eigh", "eigvalsh", "inv", "inverse", "logdet", "lstsq",
    "matmul", "matrix_exp", "matrix_norm", "matrix_power", "matrix_rank", "multi_dot", "norm",
    "pinv", "pinverse", "qr", "slogdet", "solve", "svd", "svdvals", "vander", "vector_norm",
]  # fmt: skip

inverse = inv
chain_matmul = named("chain_matmul", "As multi_dot.", lambda *matrices: multi_dot(matrices))


def vector_norm(
    x: Any, ord: float = 2, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """(sum |x|^ord)^(1/ord) of the elements along `dim`, by default of all."""
    return _norm(x, float(ord), dim, keepdim, dtype=dtype)


def matrix_norm(
    A: Any, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """A norm of matrices, whose rows and columns are the two axes of `dim`.

    "fro": the root of the sum of squares. 2 or "nuc": the largest singular value, or the sum of
    them. 1: the largest sum of |x| in a column, inf: in a row. -1, -2, -inf: the smallest.
    """
    row, column = all_dims("matrix_norm", A, dim) or ()
    if ord == "fro":
        return vector_norm(A, 2, (row, column), keepdim, dtype=dtype)
    A = movedim(A if dtype is None else ops.astype(A, np.dtype(dtype)), (row, column), (-2, -1))
    if ord == "nuc":
        y = sum(svdvals(A), -1)
    elif ord in _OF_MATRICES:
        parts = svdvals(A) if abs(ord) == 2 else sum(ops.abs(A), -2 if abs(ord) == 1 else -1)
        y = (amax if ord > 0 else amin)(parts, -1)
    else:
        raise ValueError(
            f"matrix_norm: ord must be one of {_OF_MATRICES}, 'fro' or 'nuc', got {ord!r}"
        )
    for axis in sorted((row, column)) if keepdim else ():
        y = unsqueeze(y, axis)
    return y


_OF_MATRICES = (1, -1, 2, -2, math.inf, -math.inf)


def norm(
    A: Any, ord: Any = None, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """`vector_norm` without ord or along one axis, `matrix_norm` otherwise."""
    axes = len(dim) if isinstance(dim, (tuple, list)) else len(A.shape) if dim is None else 1
    if ord is None or (axes == 1 and not isinstance(ord, str)):
        return vector_norm(A, 2 if ord is None else ord, dim, keepdim, dtype=dtype)
    return matrix_norm(A, ord, (-2, -1) if dim is None else dim, keepdim, dtype=dtype)


def svdvals(A: Any) -> Tensor:
    """The singular values, the largest first."""
    return svd(A, False).S  # type: ignore[no-any-return]


def cholesky(A: Any, upper: bool = False) -> Tensor:
    """The lower triangle L with L L^T = A, or its transpose; ValueError if A is not symmetric."""
    _check_symmetric("cholesky", array_of(A))
    lower = matrices.cholesky(A)
    return lower.mT if upper else lower


def _check_symmetric(name: str, a: np.ndarray) -> None:
    near = np.sqrt(np.finfo(a.dtype).eps) * np.abs(a).max(initial=0) if a.dtype.kind == "f" else 0
    if a.ndim < 2 or not np.allclose(a, np.swapaxes(a, -1, -2), 0, near):
        raise ValueError(f"{name}: takes symmetric matrices; use (A + A.mT) / 2")


def pinv(
    A: Any, *, atol: float | None = None, rtol: float | None = None, hermitian: bool = False
) -> Tensor:
    """The pseudo-inverse, with singular values up to atol, or to rtol times the largest, as 0.

    rtol: unless it or atol is given, the rounding of the dtype times the larger size. hermitian:
    whether A must be symmetric, or it is a ValueError.
    """
    check_float("pinv", A)
    x = array_of(A)
    if hermitian:
        _check_symmetric("pinv", x)
    if rtol is None:
        rtol = 0 if atol else np.finfo(x.dtype).eps * max(x.shape[-2:])
    largest = np.linalg.svd(x, compute_uv=False).max(-1, initial=np.finfo(x.dtype).tiny)
    return matrices.pinv(A, np.maximum(rtol, (atol or 0) / largest))


def pinverse(input: Any, rcond: float = 1e-15) -> Tensor:
    """`pinv` with rtol = rcond."""
    return pinv(input, rtol=rcond)


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
    return pow(unsqueeze(x, -1), wrap(np.arange(x.shape[-1] if N is None else N)))


def lstsq(A: Any, B: Any, rcond: float | None = None, *, driver: str = "gelsy") -> Any:
    """The X of the least |A X - B|, and of those the smallest; B: vectors or columns as in `solve`.

    driver: all compute the same; as in PyTorch "gelsd" and "gelss" also give the singular values,
    these and "gels" the residuals (if A has full rank and more rows than columns), but "gels" no
    rank.
    Gradient: that of X = P B, P the pseudo-inverse of A.
    """
    driver = one_of("lstsq", "driver", driver or "gelsy", ("gels", "gelsd", "gelss", "gelsy"))
    takes("lstsq", len(A.shape) > 1, "matrices A", A)
    is_vector = len(B.shape) == 1 or tuple(B.shape) == tuple(A.shape[:-1])
    columns = unsqueeze(B, -1) if is_vector else B
    takes("lstsq", A.shape[-2] == columns.shape[-2], "A and B with equally many rows", A, B)
    a, none = array_of(A), np.zeros(0, array_of(A).dtype)
    small = np.finfo(a.dtype).eps * max(a.shape[-2:]) if rcond is None else rcond
    x = matmul(pinv(A, rtol=small), columns)
    values = np.linalg.svd(a, compute_uv=False)
    rank = np.asarray((values > small * values.max(-1, keepdims=True, initial=0)).sum(-1))
    over = a.shape[-2] > a.shape[-1] and (rank == a.shape[-1]).all() and driver != "gelsy"
    return linalg_lstsq(
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
