"""The length of vectors, from which distances and angles are made."""

import math

import numpy as np

from tinynet.autograd import Array, Op, differentiable
from tinynet.ops.checks import check_float, may_underflow
from tinynet.ops.kinks import Branch, Kinks
from tinynet.ops.reduction import axes_of


def _branch(
    x: Array, p: float = 2.0, axis: int | tuple[int, ...] | None = None, keepdims: bool = False
) -> Branch:
    """The signs for p = 1 (and p below), the winners for an infinite p; else there is one piece."""
    size = np.abs(x)
    if math.isinf(p):
        axes = axes_of("vector_norm", x, axis)
        best = size.max(axes, keepdims=True) if p > 0 else size.min(axes, keepdims=True)
        return np.sign(x) * (size == best), int((x == 0).sum())
    return np.sign(x) if p <= 1 else np.zeros(0), int((size.sum(axis) == 0).sum())


@differentiable(
    kinks=Kinks(_branch, "has gradient 0 at its kinks"),
    rule="y = (sum |x|^p)^(1/p), dy/dx = sign(x) (|x| / y)^(p - 1)",
)
@may_underflow
def vector_norm(
    x: Array, p: float = 2.0, axis: int | tuple[int, ...] | None = None, keepdims: bool = False
) -> Op:
    """The p-norm of the vectors along `axis`: y = (sum |x|^p)^(1/p).

    p = inf is the largest |x|, p = -inf the smallest, p = 0 counts what is not 0.
    Shapes: x (N, C), axis=1 -> y (N), with keepdims (N, 1).
    Gradient: dy/dx_i = sign(x_i) |x_i|^(p-1) y^(1-p), by the chain rule; for p = 2, x_i / y. For
    p = +-inf those that are as large as y share dy. Where y is 0, at its kink, and for p = 0 the
    gradient is 0. Keeps x and y. Raises ShapeError for a wrong axis, TypeError for integers.
    """
    check_float("vector_norm", x)
    axes = axes_of("vector_norm", x, axis)
    size = np.abs(x)
    if p == 0:
        y = (x != 0).sum(axes, keepdims=True).astype(x.dtype)
    elif math.isinf(p):
        y = size.max(axes, keepdims=True) if p > 0 else size.min(axes, keepdims=True)
    elif p == 2:
        y = np.sqrt((x * x).sum(axes, keepdims=True))
    else:
        y = (size**p).sum(axes, keepdims=True) ** (1 / p)

    def dx(dy: Array) -> Array:
        dy = dy.reshape(y.shape)
        safe = np.where(y == 0, 1, y)
        if p == 0:
            return np.zeros_like(x)
        if math.isinf(p):
            winners = size == y
            return dy * np.sign(x) * winners / winners.sum(axes, keepdims=True)
        if p == 2:
            return dy * np.where(y == 0, 0, x / safe)
        slope = (np.where(x == 0, 1, size) / safe) ** (p - 1)
        return dy * np.sign(x) * slope

    return y if keepdims else y.squeeze(axes), dx
