"""Inverses, determinants and decompositions of matrices, along the last two axes.

Source of the gradients of decompositions: Giles, "An extended collection of matrix derivative
results for forward and reverse mode algorithmic differentiation", 2008.
"""

import numpy as np

from tinynet.autograd import Array, Op, differentiable
from tinynet.ops.checks import check_float, may_underflow


@differentiable(rule="y = x^-1, dx = -y^T dy y^T")
@may_underflow
def inv(x: Array) -> Op:
    """The matrix y with x y = 1.

    Shapes: x (..., N, N) -> y (..., N, N).
    Gradient: x y = 1 varied gives dx y + x dy = 0, so y changes by -y (change of x) y; the
    transpose of that map takes dy to -y^T dy y^T. Keeps y. Raises TypeError for integers,
    numpy.linalg.LinAlgError for matrices that are not square or have no inverse.
    """
    check_float("inv", x)
    y = np.linalg.inv(x)
    return y, lambda dy: -(_turned(y) @ dy @ _turned(y))


@differentiable(rule="y = det x, dx = dy y x^-T")
@may_underflow
def det(x: Array) -> Op:
    """The determinant.

    Shapes: x (..., N, N) -> y (...).
    Gradient: by Jacobi's formula, dy/dx_ij is the cofactor of x_ij, which is y (x^-1)_ji. Keeps x
    and y. Raises as `inv`, for a matrix without an inverse in the backward pass.
    """
    check_float("det", x)
    y = np.linalg.det(x)
    return y, lambda dy: (dy * y)[..., None, None] * _turned(np.linalg.inv(x))


@differentiable(rule="y = x^+, dx = -y^T dy y^T, and more where x is not square")
@may_underflow
def pinv(x: Array, rcond: Array) -> Op:
    """The pseudo-inverse y, for which x y x = x and y x y = y, with x y and y x symmetric.

    Singular values up to rcond times the largest count as 0.
    Shapes: x (..., M, N) -> y (..., N, M).
    Gradient, where the rank of x stays: x changed by c changes y by -y c y + y y^T c^T (1 - x y) +
    (1 - y x) c^T y^T y (Golub & Pereyra 1973), and so dx = -y^T dy y^T + (1 - x y) dy^T y y^T +
    y^T y dy^T (1 - y x). Keeps x and y. Raises TypeError for integers.
    """
    check_float("pinv", x)
    y = np.linalg.pinv(x, rcond)

    def dx(dy: Array) -> Array:
        left, right = dy @ _turned(y), _turned(y) @ dy  # (..., N, N) and (..., M, M)
        beside, below = y @ right, left @ y  # (..., N, M)
        turned = beside - beside @ x @ y + below - y @ x @ below
        return _turned(turned) - right @ _turned(y)

    return y, dx


@differentiable(rule="x = y y^T")
@may_underflow
def cholesky(x: Array) -> Op:
    """The lower triangle y with y y^T = x, for a symmetric x whose eigenvalues are positive.

    Shapes: x (..., N, N) -> y (..., N, N). What x lacks in symmetry it gets as (x + x^T) / 2.
    Gradient: y y^T = x varied by c gives y^-1 (change of y) + (that)^T = y^-1 c y^-T, so y^-1
    (change of y) is the lower triangle of the right side with half its diagonal; dx is the
    transpose of that map. Keeps y. Raises as `inv`.
    """
    check_float("cholesky", x)
    y = np.linalg.cholesky((x + _turned(x)) / 2)

    def dx(dy: Array) -> Array:
        half = np.tri(x.shape[-1]) - np.eye(x.shape[-1]) / 2
        inverse, lower = np.linalg.inv(y), half.astype(x.dtype) * (_turned(y) @ dy)
        return _turned(inverse) @ (lower + _turned(lower)) @ inverse / 2

    return y, dx


@differentiable(rule="x = U diag(s) V^T")
@may_underflow
def svd(x: Array) -> Op:
    """The singular value decomposition x = U diag(s) V^T, s from the largest to the smallest.

    Shapes: x (..., M, N), K the smaller of M and N -> one array of the rows of U, s and V,
    (..., M + 1 + N, K).
    Gradient: with the antisymmetric A = U^T dU - dU^T U and B = V^T dV - dV^T V, both divided by
    s_k^2 - s_j^2 at (j, k), dx = U (A diag(s) + diag(s) B + diag(ds)) V^T. Where U is not square,
    what its columns do not span turns too, by (1 - U U^T) dU diag(1 / s) V^T; V likewise. Infinite
    where equal singular values, or one of 0, leave the vectors undetermined and they are used.
    Keeps U, s and V. Raises TypeError for integers.
    """
    check_float("svd", x)
    M, N = x.shape[-2:]
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    v, row, column = _turned(vt), s[..., None, :], s[..., None]

    def dx(dy: Array) -> Array:
        du, ds, dv = dy[..., :M, :], dy[..., M, :], dy[..., M + 1 :, :]
        gaps, along_u, along_v = row**2 - column**2, _turned(u) @ du, _turned(v) @ dv
        inner = _ratio(along_u - _turned(along_u), gaps) * row
        inner = inner + column * _ratio(along_v - _turned(along_v), gaps)
        dx = u @ (inner + ds[..., None] * np.eye(s.shape[-1], dtype=x.dtype)) @ vt
        if M > N:
            dx = dx + _ratio(du - u @ along_u, row) @ vt
        if N > M:
            dx = dx + u @ _turned(_ratio(dv - v @ along_v, row))
        return dx

    return np.concatenate([u, row, v], -2), dx


def _turned(x: Array) -> Array:
    """Matrices with rows and columns swapped."""
    return np.swapaxes(x, -1, -2)


def _ratio(x: Array, y: Array) -> Array:
    """x / y, where 0 / 0 is 0."""
    return x / np.where((x == 0) & (y == 0), 1, y)
