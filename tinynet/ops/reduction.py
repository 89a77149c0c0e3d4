"""Operations that reduce axes: many numbers in, one out; and softmax, which is made of them.

The gradient of a reduction is spread back over the elements that were reduced. `_spread` puts
the reduced axes back so that NumPy's broadcasting can do the spreading.

axis: None for all axes, an int, or a tuple of ints, as in NumPy. A wrong one is a ShapeError.
"""

import math

import numpy as np

from tinynet.autograd import Array, Op, differentiable
from tinynet.errors import ShapeError, no_such_axis
from tinynet.ops.checks import may_underflow
from tinynet.ops.kinks import winners

__all__ = [
    "cumprod", "cumsum", "log_softmax", "logsumexp", "max", "mean", "min", "prod", "softmax",
    "std", "sum", "var",
]  # fmt: skip

Axis = int | tuple[int, ...] | None


def axes_of(name: str, x: Array, axis: Axis) -> tuple[int, ...]:
    """The reduced axes as a sorted tuple of non-negative ints; ShapeError if one does not exist."""
    if axis is None:
        return tuple(range(x.ndim))
    wanted = axis if isinstance(axis, tuple) else (axis,)
    for a in wanted:
        if not -(x.ndim or 1) <= a < (x.ndim or 1):  # a single value has, as in PyTorch, axis 0
            raise no_such_axis(name, a, x.shape)
    return tuple(sorted({a % x.ndim for a in wanted})) if x.ndim else ()


def _spread(reduced: Array, axis: Axis, keepdims: bool) -> Array:
    """A reduced array with its reduced axes of size 1, ready to broadcast."""
    return reduced if keepdims or axis is None else np.expand_dims(reduced, axis)


def _count(name: str, x: Array, axis: Axis) -> int:
    """How many elements of x make one element of its reduction."""
    if axis is None:
        return int(x.size)
    return math.prod(x.shape[a] for a in axes_of(name, x, axis))


def _rows(x: Array, axis: Axis) -> np.ndarray:
    """x with the axes that are reduced as one, the last."""
    axes = axes_of("max", x, axis)
    last = np.moveaxis(x, axes, range(-len(axes), 0))
    return np.asarray(last.reshape(*last.shape[: x.ndim - len(axes)], -1))


def _check_not_empty(name: str, x: Array, axis: Axis) -> None:
    if x.size == 0 and _count(name, x, axis) == 0:
        raise ShapeError(
            f"{name}: nothing to reduce, shape {x.shape} has no element along axis {axis}"
        )


@differentiable(rule="y = sum of x, dy/dx = 1")
def sum(x: Array, axis: Axis = None, keepdims: bool = False) -> Op:
    """Sum over `axis`; over no element at all it is 0.

    Gradient: y grows as much as any of its elements does, so dx = dy, spread over the axes.
    Shapes: x (N, C), axis=1 -> y (N), with keepdims (N, 1). Keeps nothing.
    """
    shape = x.shape
    y = x.sum(axis=axis, keepdims=keepdims)
    return y, lambda dy: np.broadcast_to(_spread(dy, axis, keepdims), shape)


@differentiable(rule="y = sum of x / n, dy/dx = 1 / n")
@may_underflow
def mean(x: Array, axis: Axis = None, keepdims: bool = False) -> Op:
    """Mean over the n elements along `axis`, y = sum(x) / n. Integers give floats.

    Gradient: dx = dy / n, spread over the axes. Keeps nothing. Raises ShapeError if n = 0.
    """
    shape, n = x.shape, _count("mean", x, axis)
    _check_not_empty("mean", x, axis)
    y = x.sum(axis=axis, keepdims=keepdims) / n
    return y, lambda dy: np.broadcast_to(_spread(dy / n, axis, keepdims), shape)


@differentiable(rule="y = mean of (x - its mean)^2, dy/dx = 2 (x - mean) / n")
@may_underflow
def var(x: Array, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Op:
    """Variance, y = sum((x - m)^2) / (n - ddof), m the mean of the n elements along `axis`.

    ddof: 0 divides by n (NumPy's default), 1 by n - 1 (PyTorch's default, "unbiased").
    Gradient: dx = dy * 2 (x - m) / (n - ddof). The part through m is the sum of x - m, which is
    0. Keeps x - m. Raises ShapeError if n <= ddof.
    """
    centred, free = _centred("var", x, axis, ddof)
    y = (centred * centred).sum(axis=axis, keepdims=keepdims) / free
    return y, lambda dy: _spread(dy, axis, keepdims) * (2 / free) * centred


@differentiable(rule="y = square root of the variance, dy/dx = (x - mean) / (n y)")
@may_underflow
def std(x: Array, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Op:
    """Standard deviation, y = sqrt(var(x)); see `var` for ddof.

    Gradient: dx = dy * (x - m) / ((n - ddof) y), from (sqrt v)' = 1 / (2 sqrt v). At y = 0, a
    kink, it is 0. Keeps x - m and y. Raises ShapeError if n <= ddof.
    """
    centred, free = _centred("std", x, axis, ddof)
    y = np.sqrt((centred * centred).sum(axis=axis, keepdims=keepdims) / free)

    def dx(dy: Array) -> Array:
        share = dy / (np.where(y == 0, 1, y) * free)  # x - m is 0 wherever y is
        return _spread(share, axis, keepdims) * centred

    return y, dx


def _centred(name: str, x: Array, axis: Axis, ddof: int) -> tuple[Array, int]:
    """x minus its mean, and the degrees of freedom n - ddof."""
    n = _count(name, x, axis)
    if n - ddof <= 0:
        raise ShapeError(
            f"{name}: {n} elements along axis {axis} of shape {x.shape} with ddof={ddof} leave "
            f"{n - ddof} degrees of freedom; it takes at least {ddof + 1} elements"
        )
    return x - x.sum(axis=axis, keepdims=True) / n, n - ddof


@differentiable(
    kinks=winners(
        lambda x, axis=None, *_, **__: _rows(x, axis),
        "shares the gradient out among the winners of a tie",
    ),
    rule="y = the largest x, dy/dx = 1 for it, else 0",
)
def max(x: Array, axis: Axis = None, keepdims: bool = False) -> Op:
    """The largest element along `axis`.

    Gradient: only the winners are felt. At a tie each of the m winners gets dy / m, as in
    PyTorch's amax. Keeps x and y. Raises ShapeError if there is no element.
    """
    _check_not_empty("max", x, axis)
    y = x.max(axis=axis, keepdims=True)
    return _reduced(y, axis, keepdims), lambda dy: _to_winners(x == y, axis, keepdims, dy)


@differentiable(
    kinks=winners(
        lambda x, axis=None, *_, **__: -_rows(x, axis),
        "shares the gradient out among the winners of a tie",
    ),
    rule="y = the smallest x, dy/dx = 1 for it, else 0",
)
def min(x: Array, axis: Axis = None, keepdims: bool = False) -> Op:
    """The smallest element along `axis`. Gradient: dy goes to the winners, as for `max`."""
    _check_not_empty("min", x, axis)
    y = x.min(axis=axis, keepdims=True)
    return _reduced(y, axis, keepdims), lambda dy: _to_winners(x == y, axis, keepdims, dy)


def _reduced(y: Array, axis: Axis, keepdims: bool) -> Array:
    """A result with its reduced axes of size 1, without them unless they are kept."""
    return y if keepdims else y.squeeze(axis)


def _to_winners(winners: Array, axis: Axis, keepdims: bool, dy: Array) -> Array:
    """dy where `winners` holds, shared out evenly among those of one reduction, and 0 elsewhere."""
    share = _spread(dy, axis, keepdims) / winners.sum(axis=axis, keepdims=True)
    return winners * share.astype(dy.dtype)


@differentiable(rule="y = product of x, dy/dx = the product of the others")
def prod(x: Array, axis: Axis = None, keepdims: bool = False) -> Op:
    """Product over `axis`; of no element at all it is 1.

    Gradient: y grows with x_i by the product of the others, so dx_i = dy * (product before i) *
    (product after i), which is right where elements are 0. Keeps x.
    """
    y = x.prod(axis=axis, keepdims=keepdims)

    def dx(dy: Array) -> Array:
        reduced = axes_of("prod", x, axis)
        order = [a for a in range(x.ndim) if a not in reduced] + list(reduced)
        moved = x.transpose(order)  # the reduced axes last
        flat = moved.reshape(*moved.shape[: x.ndim - len(reduced)], -1)
        others = np.ones_like(flat)
        others[..., 1:] = np.cumprod(flat[..., :-1], -1)
        after = np.cumprod(flat[..., :0:-1], -1)[..., ::-1]
        others[..., :-1] = others[..., :-1] * after
        return _spread(dy, axis, keepdims) * others.reshape(moved.shape).transpose(
            np.argsort(order)
        )

    return y, dx


@differentiable(rule="y = product of x up to here, dy/dx = the others' product")
def cumprod(x: Array, axis: int) -> Op:
    """Running product along `axis`, y_i = x_0 * ... * x_i.

    Gradient: x_k is in every y_i with i >= k, whose slope is the product of the others, so
    dx_k = sum over i >= k of dy_i * y_i with a 1 in place of x_k: right where elements are 0.
    Keeps x.
    """

    def dx(dy: Array) -> Array:
        last, dy = np.moveaxis(x, axis, -1), np.moveaxis(dy, axis, -1)
        dx = np.empty_like(dy, shape=last.shape)
        for k in range(last.shape[-1]):
            others = last.copy()
            others[..., k] = 1
            dx[..., k] = (dy * others.cumprod(-1))[..., k:].sum(-1)
        return np.moveaxis(dx, -1, axis)

    return x.cumprod(axis), dx


@differentiable(rule="y = sum of x up to here, dy/dx = 1 for all that come before")
def cumsum(x: Array, axis: int = 0) -> Op:
    """Running sum along `axis`, y_i = x_0 + ... + x_i.

    Gradient: x_i is in every y_j with j >= i, so dx is the running sum of dy from the end.
    Keeps nothing.
    """
    return x.cumsum(axis), lambda dy: np.flip(np.flip(dy, axis).cumsum(axis), axis)


@differentiable(rule="y = log sum e^x, dy/dx = softmax(x)")
@may_underflow
def logsumexp(x: Array, axis: Axis = None, keepdims: bool = False) -> Op:
    """y = log(sum(e^x)) along `axis`.

    Gradient: dx = dy * softmax(x), since d/dx_i log(sum e^x) = e^x_i / sum(e^x).
    Computed as m + log(sum(e^(x - m))) with m the maximum, so nothing overflows. Keeps x and y.
    Raises ShapeError if there is no element.
    """
    _check_not_empty("logsumexp", x, axis)
    top = x.max(axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)  # inf - inf would be NaN
    with np.errstate(divide="ignore"):  # log(0) = -inf where every x is -inf
        y_kept = np.log(np.exp(x - top).sum(axis=axis, keepdims=True)) + top
    y = y_kept if keepdims else y_kept.squeeze(axes_of("logsumexp", x, axis))
    return y, lambda dy: _spread(dy, axis, keepdims) * np.exp(x - y_kept)


@differentiable(rule="y = e^x / sum e^x, dy_m/dx_k = y_m ([m = k] - y_k)")
@may_underflow
def softmax(x: Array, axis: int = -1) -> Op:
    """y_i = e^x_i / sum_j e^x_j along `axis`: positive numbers that add up to 1.

    Gradient: dy_j/dx_i = y_j ([i = j] - y_i), so dx = y * (dy - sum(dy * y)).
    The maximum is taken off first, so nothing overflows. Keeps y.
    """
    e = np.exp(_below_zero(x, axis))
    y = e / e.sum(axis=axis, keepdims=True)
    return y, lambda dy: y * (dy - (dy * y).sum(axis=axis, keepdims=True))


@differentiable(rule="y = x - log sum e^x, dy_m/dx_k = [m = k] - softmax(x)_k")
@may_underflow
def log_softmax(x: Array, axis: int = -1) -> Op:
    """y = x - logsumexp(x) along `axis`: the logarithm of softmax, without its underflow.

    Gradient: dx = dy - softmax(x) * sum(dy), with softmax(x) = e^y. Keeps y.
    """
    x = _below_zero(x, axis)
    y = x - np.log(np.exp(x).sum(axis=axis, keepdims=True))
    return y, lambda dy: dy - np.exp(y) * dy.sum(axis=axis, keepdims=True)


def _below_zero(x: Array, axis: int) -> Array:
    """x minus its maximum along `axis`, which changes no softmax."""
    return x - x.max(axis=axis, keepdims=True) if x.size else x
