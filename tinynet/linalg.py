"""PyTorch's `torch.linalg`: products, norms, inverse, determinant, decompositions.

`inv`, `det`, `solve` and the norms have gradients. What is NumPy's answers to tensors by NumPy's
protocol, and refuses one that requires a gradient.
"""

# ruff: noqa: A002 (the argument names are PyTorch's)

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.linalg import cholesky, eigh, eigvalsh, matrix_power, matrix_rank, pinv, qr, slogdet, svd

from tinynet.functions import log, matmul, mul, roll, squeeze, sub
from tinynet.functions import norm as _norm
from tinynet.functions.common import Dim, takes
from tinynet.ops import unsqueeze
from tinynet.ops.inverse import det, inv
from tinynet.tensor import Tensor
from tinynet.unrecorded import unrecorded

__all__ = [
    "cholesky", "cross", "det", "eigh", "eigvalsh", "inv", "inverse", "logdet", "matmul",
    "matrix_norm", "matrix_power", "matrix_rank", "multi_dot", "norm", "pinv", "pinverse", "qr",
    "slogdet", "solve", "svd", "vector_norm",
]  # fmt: skip

inverse, pinverse = inv, pinv


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


def cross(input: Any, other: Any, *, dim: int = -1) -> Tensor:
    """The cross products of the vectors with three elements along `dim`."""
    fits = input.shape[dim] == other.shape[dim] == 3
    takes("cross", fits, f"vectors with 3 elements along dim={dim}", input, other)
    left = mul(roll(input, -1, dim), roll(other, -2, dim))
    return sub(left, mul(roll(input, -2, dim), roll(other, -1, dim)))
