"""Operations that reduce axes: many numbers in, one out; and softmax, which is made of them.

The gradient of a reduction is spread back over the elements that were reduced. `_spread` puts
the reduced axes back so that NumPy's broadcasting can do the spreading.

axis: None for all axes, an int, or a tuple of ints, as in NumPy.
"""

from __future__ import annotations

import numpy as np

from tinynet.autograd import Array, differentiable
from tinynet.errors import ShapeError

Op = tuple[Array, ...]
Axis = int | tuple[int, ...] | None


def axes_of(name: str, x: Array, axis: Axis) -> tuple[int, ...]:
    """The reduced axes as a sorted tuple of non-negative ints; ShapeError if one does not exist."""
    if axis is None:
        return tuple(range(x.ndim))
    wanted = axis if isinstance(axis, tuple) else (axis,)
    for a in wanted:
        if not -x.ndim <= a < x.ndim:
            raise ShapeError(
                f"{name}: axis {a} does not exist in shape {x.shape}; "
                f"it has axes {-x.ndim} to {x.ndim - 1}"
            )
    return tuple(sorted({a % x.ndim for a in wanted}))


def _spread(reduced: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    """A reduced array with its reduced axes of size 1, ready to broadcast."""
    return reduced if keepdims else np.expand_dims(reduced, axes)


def _count(x: Array, axes: tuple[int, ...]) -> int:
    return int(np.prod([x.shape[a] for a in axes], dtype=int))


def _check_not_empty(name: str, x: Array, axes: tuple[int, ...]) -> None:
    if _count(x, axes) == 0:
        raise ShapeError(
            f"{name}: nothing to reduce, shape {x.shape} has no element along axis {axes}"
        )


@differentiable
def sum(x: Array, axis: Axis = None, keepdims: bool = False) -> Op:  # noqa: A001
    """Sum over `axis`. Gradient: each element gets dy, dx = dy spread over the axes."""
    axes = axes_of("sum", x, axis)
    shape = x.shape
    y = x.sum(axis=axes, keepdims=keepdims)
    return y, lambda dy: np.broadcast_to(_spread(dy, axes, keepdims), shape)


@differentiable
def mean(x: Array, axis: Axis = None, keepdims: bool = False) -> Op:
    """Mean over the n elements along `axis`. Gradient: dx = dy / n, spread. Integers give floats.

    Raises ShapeError if n = 0.
    """
    axes = axes_of("mean", x, axis)
    _check_not_empty("mean", x, axes)
    shape, n = x.shape, _count(x, axes)
    y = x.mean(axis=axes, keepdims=keepdims)
    return y, lambda dy: np.broadcast_to(_spread(dy / n, axes, keepdims), shape)


@differentiable
def var(x: Array, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Op:
    """Variance, y = sum((x - m)^2) / (n - ddof), m the mean of the n elements along `axis`.

    ddof: 0 divides by n (NumPy's default), 1 by n - 1 (PyTorch's default, "unbiased").
    Gradient: dx = dy * 2 (x - m) / (n - ddof). The part through m is the sum of x - m, which is
    0. Keeps x - m. Raises ShapeError if n <= ddof.
    """
    axes = axes_of("var", x, axis)
    centred, free = _centred("var", x, axes, ddof)
    y = (centred * centred).sum(axis=axes, keepdims=keepdims) / free
    return y, lambda dy: _spread(dy, axes, keepdims) * (2 / free) * centred


@differentiable
def std(x: Array, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Op:
    """Standard deviation, y = sqrt(var(x)); see `var` for ddof.

    Gradient: dx = dy * (x - m) / ((n - ddof) y), from (sqrt v)' = 1 / (2 sqrt v). At y = 0, a
    kink, it is 0. Keeps x - m and y.
    """
    axes = axes_of("std", x, axis)
    centred, free = _centred("std", x, axes, ddof)
    y = np.sqrt((centred * centred).sum(axis=axes, keepdims=keepdims) / free)

    def dx(dy: Array) -> Array:
        slope = dy / (np.where(y == 0, 1, y) * free)  # x - m is 0 wherever y is
        return _spread(slope, axes, keepdims) * centred

    return y, dx


def _centred(name: str, x: Array, axes: tuple[int, ...], ddof: int) -> tuple[Array, int]:
    """x minus its mean, and the degrees of freedom n - ddof."""
    n = _count(x, axes)
    if n - ddof <= 0:
        raise ShapeError(
            f"{name}: {n} elements along axis {axes} of shape {x.shape} with ddof={ddof} leave "
            f"{n - ddof} degrees of freedom; it takes at least {ddof + 1} elements"
        )
    return x - x.mean(axis=axes, keepdims=True), n - ddof


@differentiable
def max(x: Array, axis: Axis = None, keepdims: bool = False) -> Op:  # noqa: A001
    """The largest element along `axis`. Gradient: dy goes to the winner, the first one at a tie.

    Keeps the winners' places. Raises ShapeError if there is no element.
    """
    return _extreme("max", np.argmax, x, axis, keepdims)


@differentiable
def min(x: Array, axis: Axis = None, keepdims: bool = False) -> Op:  # noqa: A001
    """The smallest element along `axis`. Gradient: dy goes to the first winner, as for `max`."""
    return _extreme("min", np.argmin, x, axis, keepdims)


def _extreme(name: str, arg: Array, x: Array, axis: Axis, keepdims: bool) -> Op:
    axes = axes_of(name, x, axis)
    _check_not_empty(name, x, axes)
    kept = [a for a in range(x.ndim) if a not in axes]
    last = x.transpose(*kept, *axes)  # reduced axes last
    rows = last.reshape(*last.shape[: len(kept)], -1)  # (..., reduced)
    winner = np.expand_dims(arg(rows, axis=-1), -1)
    y = np.take_along_axis(rows, winner, -1)[..., 0]
    shape, spread_shape, rows_shape = x.shape, last.shape, rows.shape
    back = np.argsort([*kept, *axes])

    def dx(dy: Array) -> Array:
        if keepdims:
            dy = dy.reshape([shape[a] for a in kept])
        drows = np.zeros(rows_shape, dy.dtype)
        np.put_along_axis(drows, winner, np.expand_dims(dy, -1), -1)
        return drows.reshape(spread_shape).transpose(back)

    return _spread(y, axes, False) if keepdims else y, dx


@differentiable
def cumsum(x: Array, axis: int = 0) -> Op:
    """Running sum along `axis`, y_i = x_0 + ... + x_i.

    Gradient: x_i is in every y_j with j >= i, so dx is the running sum of dy from the end.
    """
    axes_of("cumsum", x, axis)
    return np.cumsum(x, axis), lambda dy: np.flip(np.cumsum(np.flip(dy, axis), axis), axis)


@differentiable
def logsumexp(x: Array, axis: Axis = None, keepdims: bool = False) -> Op:
    """y = log(sum(e^x)) along `axis`.

    Gradient: dx = dy * softmax(x), since d/dx_i log(sum e^x) = e^x_i / sum(e^x).
    Computed as m + log(sum(e^(x - m))) with m the maximum, so nothing overflows. Keeps x and y.
    """
    axes = axes_of("logsumexp", x, axis)
    _check_not_empty("logsumexp", x, axes)
    top = x.max(axis=axes, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):  # log(0) = -inf where every x is -inf
        y_kept = np.log(np.exp(x - top).sum(axis=axes, keepdims=True)) + top
    y = y_kept if keepdims else y_kept.squeeze(axes)
    return y, lambda dy: _spread(dy, axes, keepdims) * np.exp(x - y_kept)


@differentiable
def softmax(x: Array, axis: int = -1) -> Op:
    """y_i = e^x_i / sum_j e^x_j along `axis`: positive numbers that add up to 1.

    Gradient: dy_j/dx_i = y_j ([i = j] - y_i), so dx = y * (dy - sum(dy * y)).
    The maximum is taken off first, so nothing overflows. Keeps y.
    """
    axes_of("softmax", x, axis)
    y = np.exp(x - x.max(axis=axis, keepdims=True, initial=-np.inf))
    y /= y.sum(axis=axis, keepdims=True)
    return y, lambda dy: y * (dy - (dy * y).sum(axis=axis, keepdims=True))


@differentiable
def log_softmax(x: Array, axis: int = -1) -> Op:
    """y = x - logsumexp(x) along `axis`: the logarithm of softmax, without its underflow.

    Gradient: dx = dy - softmax(x) * sum(dy), with softmax(x) = e^y. Keeps y.
    """
    axes_of("log_softmax", x, axis)
    y = x - x.max(axis=axis, keepdims=True, initial=-np.inf)
    y = y - np.log(np.exp(y).sum(axis=axis, keepdims=True))
    return y, lambda dy: dy - np.exp(y) * dy.sum(axis=axis, keepdims=True)
