"""Products of vectors and matrices. Each checks what it takes and then is `matmul` or `einsum`."""

from __future__ import annotations

import functools
import math
import string
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynet import ops
from tinynet.autograd import wrap
from tinynet.functions.common import array_of, named, one_dim, takes, takes_out
from tinynet.functions.indexing import diagonal, narrow
from tinynet.functions.pointwise import add, clamp, div, meet, mul, pow, sub
from tinynet.functions.reduction import diff, norm
from tinynet.ops import matrices
from tinynet.return_types import linalg_svd

if TYPE_CHECKING:
    from tinynet.tensor import Tensor

__all__ = [
    "addbmm", "addmm", "addmv", "addr", "baddbmm", "bmm", "cdist", "corrcoef", "cov", "dot",
    "einsum", "inner", "kron", "matmul", "matrix_exp", "mm", "mv", "outer", "tensordot",
    "trapezoid", "trapz", "vander", "vdot",
]  # fmt: skip

Data = Any


def _check(name: str, x: Data, y: Data, axes: tuple[int, int], what: str) -> None:
    takes(name, (len(x.shape), len(y.shape)) == axes, what, x, y)


@takes_out
def matmul(input: Data, other: Data) -> Tensor:
    """Matrix product: the last two axes multiply, those before broadcast."""
    return ops.matmul(*meet(input, other))


@takes_out
def mm(input: Data, mat2: Data) -> Tensor:
    """The product of two matrices."""
    _check("mm", input, mat2, (2, 2), "two matrices")
    return matmul(input, mat2)


def mv(input: Data, vec: Data) -> Tensor:
    """A matrix times a vector."""
    _check("mv", input, vec, (2, 1), "a matrix and a vector")
    return matmul(input, vec)


@takes_out
def bmm(input: Data, mat2: Data) -> Tensor:
    """Products of the matrices of two batches: (B, N, M), (B, M, P) -> (B, N, P)."""
    _check("bmm", input, mat2, (3, 3), "two batches of matrices")
    takes("bmm", input.shape[0] == mat2.shape[0], "batches of equally many", input, mat2)
    return matmul(input, mat2)


def dot(input: Data, tensor: Data) -> Tensor:
    """The sum of the products of two vectors. (np.dot multiplies matrices too.)"""
    _check("dot", input, tensor, (1, 1), "two vectors")
    return matmul(input, tensor)


def cdist(x1: Data, x2: Data, p: float = 2.0, compute_mode: Any = None) -> Tensor:
    """The p-norm between each vector of one set and each of another: (..., N, D), (..., M, D) ->
    (..., N, M). Of equal vectors it is 0, with gradient 0. compute_mode has no effect."""
    takes("cdist", x1.shape[-1] == x2.shape[-1], "vectors of one size", x1, x2)
    return norm(sub(ops.unsqueeze(x1, -2), ops.unsqueeze(x2, -3)), p, -1)


def outer(input: Data, vec2: Data) -> Tensor:
    """Each element of one vector times each of another: (N), (M) -> (N, M)."""
    _check("outer", input, vec2, (1, 1), "two vectors")
    return mul(ops.unsqueeze(input, 1), vec2)


def addmm(input: Data, mat1: Data, mat2: Data, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta * input + alpha * mat1 @ mat2."""
    return _plus(input, mm(mat1, mat2), beta, alpha)


def addmv(input: Data, mat: Data, vec: Data, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta * input + alpha * mat @ vec."""
    return _plus(input, mv(mat, vec), beta, alpha)


def addr(input: Data, vec1: Data, vec2: Data, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta * input + alpha * outer(vec1, vec2)."""
    return _plus(input, outer(vec1, vec2), beta, alpha)


def baddbmm(
    input: Data, batch1: Data, batch2: Data, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """beta * input + alpha * batch1 @ batch2."""
    return _plus(input, bmm(batch1, batch2), beta, alpha)


def addbmm(input: Data, batch1: Data, batch2: Data, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta * input + alpha * the sum of the products batch1 @ batch2."""
    return _plus(input, ops.sum(bmm(batch1, batch2), 0), beta, alpha)


def _plus(input: Data, product: Tensor, beta: float, alpha: float) -> Tensor:
    product = product if alpha == 1 else mul(product, alpha)
    if beta == 0:  # whatever stands in the input, NaN included
        return add(product, ops.mul(ops.where(False, input, 0.0), 0))
    return add(product, input, alpha=beta)


def einsum(equation: str, *operands: Any) -> Tensor:
    """Sums of products of named axes: "ij,jk->ik" is a matrix product.

    >>> import numpy as np
    >>> einsum("ij,j->i", np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 10.0]))
    tensor([21., 43.], dtype=tinynet.float64)
    """
    if len(operands) == 1 and isinstance(operands[0], (tuple, list)):
        operands = tuple(operands[0])
    if not isinstance(equation, str):
        raise TypeError(f"einsum: first comes a text such as 'ij,jk->ik', got {equation!r:.40}")
    return ops.einsum(*operands, equation=equation)


def tensordot(a: Data, b: Data, dims: Any = 2) -> Tensor:
    """Products of two tensors summed over pairs of axes.

    dims: how many of the last axes of a and first of b; or two lists that name the axes.
    """
    if isinstance(dims, int):
        dims = (range(len(a.shape) - dims, len(a.shape)), range(dims))
    ours: Sequence[int] = [one_dim("tensordot", a, d) for d in dims[0]]
    theirs: Sequence[int] = [one_dim("tensordot", b, d) for d in dims[1]]
    sizes = [(a.shape[x], b.shape[y]) for x, y in zip(ours, theirs)]
    fits = len(ours) == len(theirs) and all(n == m or 1 in (n, m) for n, m in sizes)
    takes("tensordot", fits, f"axes of equal sizes to sum, not {ours} and {theirs}", a, b)
    left = list(string.ascii_letters[: len(a.shape)])
    right = list(string.ascii_letters[len(a.shape) : len(a.shape) + len(b.shape)])
    for x, y in zip(ours, theirs):
        right[y] = left[x]
    rest = [s for d, s in enumerate(left) if d not in ours]
    rest += [s for d, s in enumerate(right) if d not in theirs]
    return einsum(f"{''.join(left)},{''.join(right)}->{''.join(rest)}", a, b)


def inner(input: Data, other: Data) -> Tensor:
    """Sums of products over the last axes of two tensors."""
    if not input.shape or not other.shape:
        return mul(input, other)
    return tensordot(input, other, ([-1], [-1]))


TERMS = 15
"""So many terms of the series of e^A have all digits of float64 where no |A x| exceeds |x| / 2."""


def matrix_exp(input: Data) -> Tensor:
    """e^A = I + A + A^2 / 2! + A^3 / 3! + ... of square matrices (..., N, N).

    A is halved s times, until the series is short, and its sum squared s times: e^A is
    (e^(A / 2^s))^(2^s). Gradient: that of the products, which are recorded.
    """
    square = len(input.shape) > 1 and input.shape[-1] == input.shape[-2]
    takes("matrix_exp", square, "square matrices (..., N, N)", input)
    size = float(np.abs(array_of(input)).sum(-2).max(initial=0))
    halvings = math.ceil(math.log2(2 * size)) if 0.5 < size < math.inf else 0
    small = ops.mul(input, 0.5**halvings)
    one = np.eye(input.shape[-1], dtype=input.dtype)
    y: Any = one
    for k in range(TERMS, 0, -1):  # Horner's scheme
        y = ops.add(one, ops.div(ops.matmul(small, y), k))
    for _ in range(halvings):
        y = ops.matmul(y, y)
    return y  # type: ignore[no-any-return]


def svd(A: Any, full_matrices: bool = True) -> Any:
    """U, the singular values from the largest on, and V^T, with A = U diag(S) V^T.

    full_matrices: U and V are square, of as many more columns as that takes, without a gradient.
    """
    takes("svd", len(A.shape) > 1, "matrices", A)
    M, K = A.shape[-2], min(A.shape[-2:])
    y = matrices.svd(A)
    U, S, V = y[..., :M, :], y[..., M, :], y[..., M + 1 :, :]
    if full_matrices:
        left, _, right = np.linalg.svd(array_of(A))
        U = ops.cat([U, wrap(left[..., K:])], -1)
        V = ops.cat([V, wrap(np.swapaxes(right, -1, -2)[..., K:])], -1)
    return linalg_svd(U, S, V.mT)


def kron(input: Data, other: Data) -> Tensor:
    """The Kronecker product: each element of x times the whole of the other."""
    count = max(len(input.shape), len(other.shape))
    sizes = [(1,) * (count - len(x.shape)) + tuple(x.shape) for x in (input, other)]
    x = ops.reshape(input, [n for size in sizes[0] for n in (size, 1)])
    y = ops.reshape(other, [n for size in sizes[1] for n in (1, size)])
    return ops.reshape(mul(x, y), [n * m for n, m in zip(*sizes)])


def vander(x: Data, N: int | None = None, *, increasing: bool = False) -> Tensor:
    """Vandermonde's matrix: a column each of the powers of a vector, from x^(N - 1) to x^0."""
    takes("vander", len(x.shape) == 1, "a vector", x)
    powers = np.arange(x.shape[0] if N is None else N)
    return pow(ops.unsqueeze(x, 1), wrap(powers if increasing else powers[::-1]))


def cov(
    input: Data, *, correction: float = 1, fweights: Data = None, aweights: Data = None
) -> Tensor:
    """The covariances of variables, a row each, over observations, a column each.

    sum w (x - m)(y - m) / (n - correction), where m are weighted means and n is the sum of w.
    fweights: how often each observation counts; aweights: how much.
    """
    x = ops.reshape(input, (1, -1)) if len(input.shape) < 2 else input
    given = [weights for weights in (fweights, aweights) if weights is not None]
    w = functools.reduce(mul, given) if given else np.ones(x.shape[1], x.dtype)
    total = ops.sum(w)
    taken = 1 if aweights is None else ops.div(ops.sum(mul(w, aweights)), total)
    apart = sub(x, ops.div(ops.sum(mul(x, w), 1, True), total))
    products = matmul(mul(apart, w), ops.permute(apart, (1, 0)))
    return ops.squeeze(div(products, clamp(ops.sub(total, ops.mul(taken, correction)), 0)))


def corrcoef(input: Data) -> Tensor:
    """The covariances of variables divided by their standard deviations, from -1 to 1."""
    c = cov(input)
    deviations = ops.sqrt(diagonal(c)) if c.ndim else ops.sqrt(c)
    return clamp(ops.div(c, outer(deviations, deviations) if c.ndim else c), -1, 1)


def trapezoid(y: Data, x: Data = None, *, dx: float = 1.0, dim: int = -1) -> Tensor:
    """The integral along `dim` of values at the places `x`, or dx apart, joined by lines."""
    dim = one_dim("trapezoid", y, dim)
    n = y.shape[dim] if y.shape else 1
    means = ops.div(add(narrow(y, dim, 0, n - 1), narrow(y, dim, 1, n - 1)), 2)
    if x is not None and len(x.shape) == 1:
        x = ops.reshape(x, (-1, *(1,) * (len(y.shape) - 1 - dim)))
    return ops.sum(mul(means, dx if x is None else diff(x, 1, dim - len(y.shape))), dim)


trapz = trapezoid
vdot = named(
    "vdot", "`dot`, with another name of an argument.", lambda input, other: dot(input, other)
)
