"""The inverse and the determinant of square matrices, along the last two axes."""

from __future__ import annotations

import numpy as np

from tinynet.autograd import Array, differentiable
from tinynet.ops.checks import check_float
from tinynet.ops.underflow import may_underflow

Op = tuple[Array, ...]


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
    transposed = np.swapaxes(y, -1, -2)
    return y, lambda dy: -(transposed @ dy @ transposed)


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
    return y, lambda dy: (dy * y)[..., None, None] * np.swapaxes(np.linalg.inv(x), -1, -2)
