"""Normalisation: shift and scale activations to mean 0 and variance 1, then to learned values.

Batch normalisation takes its statistics per channel over the batch, layer normalisation per
example over its features. The mathematics is the same, only the axes of the sums differ:

    u = x - mean(x)     v = mean(u^2)     s = 1 / sqrt(v + eps)     h = u s     y = w h + b

The gradient passes through the mean and the variance too. With dh = dy w, over n elements:

    h reaches x directly, through v, and through the mean. Of v: dh/dv = -u s^3 / 2, and
    dv/dx_i = 2 u_i / n (the part through the mean is the sum of u, which is 0), so

    du_i = s dh_i - (s^3 / n) u_i sum(dh u)

    and of the mean: dx_i = du_i - mean(du), in which the second term has mean 0 once more:

    dx = s (dh - mean(dh) - h mean(dh h))

That is dh without its part along the constant and its part along h: the two directions in which
moving x does not move y.
"""

from collections.abc import Sequence

import numpy as np

from tinynet.autograd import Array, Op, differentiable, together
from tinynet.errors import ShapeError
from tinynet.ops.checks import check_float, may_underflow
from tinynet.protocol import one_step


@differentiable(rule="y = w h + b with h = (x - mean) / sqrt(var + eps), mean and var of the batch")
@may_underflow
def batch_norm(
    x: Array,
    w: Array = None,
    b: Array = None,
    running_mean: Array = None,
    running_var: Array = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Op:
    """Batch normalisation, y = w (x - mean) / sqrt(var + eps) + b for each channel.

    In training, mean and var are those of the batch: over all axes but the channel's, n = N H W
    elements, var divided by n. Then the running statistics move towards them, in place:
    running = (1 - momentum) running + momentum new, with the unbiased variance var n / (n - 1).
    In evaluation, mean and var are the running ones, and constants.

    Shapes: x (N, C), (N, C, L) or (N, C, H, W); w, b, running_mean, running_var (C) or None
    -> y as x. Gradients with h = (x - mean) / sqrt(var + eps), sums over all axes but C:
    dw = sum(dy h), db = sum(dy), and, as derived at the top of this file,
    dx = w / sqrt(var + eps) (dy - sum(dy) / n - h sum(dy h) / n);
    in evaluation dx = w / sqrt(var + eps) dy. Keeps x - mean (in evaluation x).
    Source: Ioffe, Szegedy, "Batch normalization", arXiv:1502.03167.
    Raises ShapeError where sizes do not fit, and in training with fewer than 2 values per
    channel; TypeError for integers; ValueError in evaluation without running statistics.
    """
    check_float("batch_norm", x)
    if x.ndim < 2:
        raise ShapeError(
            "batch_norm: the input must have shape (N, C), (N, C, L) or (N, C, H, W), got "
            f"{x.shape}"
        )
    check_per_channel(
        "batch_norm", x, weight=w, bias=b, running_mean=running_mean, running_var=running_var
    )
    if training:
        return _normalised_by_batch(x, w, b, running_mean, running_var, momentum, eps)
    if running_mean is None or running_var is None:
        raise ValueError(
            "batch_norm: evaluation (training=False) needs running_mean and running_var; pass "
            "both, or training=True to normalise by the batch"
        )
    return _normalised_by_running(x, w, b, running_mean, running_var, eps)


def _normalised_by_batch(
    x: np.ndarray,
    w: np.ndarray | None,
    b: np.ndarray | None,
    running_mean: np.ndarray | None,
    running_var: np.ndarray | None,
    momentum: float,
    eps: float,
) -> Op:
    n = x.size // max(x.shape[1], 1)  # values per channel
    if n < 2:
        raise ShapeError(
            "batch_norm: Expected more than 1 value per channel when training, got input size "
            f"{x.shape}. Use a larger batch (drop_last=True drops a last batch of 1), or "
            "model.eval() to normalise by the running statistics."
        )
    column = (-1,) + (1,) * (x.ndim - 2)  # (C) -> (C, 1, 1), to broadcast over x
    mean = _channel_sum(x) / n  # (C)
    centred = x - mean.reshape(column)
    var = _channel_sum(centred, centred) / n  # (C)
    inverse = _inverse_std(var, eps)  # (C)
    scale = inverse if w is None else inverse * w  # (C)
    y = _affine(centred, scale, b, column)
    if running_mean is not None:
        follow(mean, running_mean, momentum)
    if running_var is not None:
        follow(var * (n / (n - 1)), running_var, momentum)

    def gradients(dy: Array) -> Op:
        total, along = _channel_sum(dy), _channel_sum(dy, centred)  # (C), (C)
        dx = dy * scale.reshape(column)
        dx -= centred * (scale * inverse * inverse * along / n).reshape(column)
        dx -= (scale * total / n).reshape(column)
        return dx, along * inverse, total

    return y, *together(gradients, 3)


@one_step
def follow(new: Array, running: np.ndarray, momentum: float) -> None:
    """Move a running statistic towards a new value, in place."""
    running += momentum * (new - running)


def _normalised_by_running(
    x: np.ndarray,
    w: np.ndarray | None,
    b: np.ndarray | None,
    running_mean: np.ndarray,
    running_var: np.ndarray,
    eps: float,
) -> Op:
    column = (-1,) + (1,) * (x.ndim - 2)  # (C) -> (C, 1, 1)
    mean = running_mean.astype(x.dtype)  # a copy: training may move the running one before backward
    inverse = _inverse_std(running_var.astype(x.dtype), eps)  # (C)
    scale = inverse if w is None else inverse * w  # (C)
    shift = -mean * scale if b is None else b - mean * scale  # (C)

    def dw(dy: Array) -> Array:
        return _channel_sum(dy, x - mean.reshape(column)) * inverse

    y = _affine(x, scale, shift, column)
    return y, lambda dy: dy * scale.reshape(column), dw, lambda dy: _channel_sum(dy)


def _inverse_std(var: Array, eps: float) -> Array:
    """1 / sqrt(var + eps), and NaN where the variance overflowed: 0 would hide it in every y."""
    return np.where(var < np.inf, 1 / np.sqrt(var + eps), np.nan)


def _affine(x: Array, scale: Array, shift: Array, column: tuple[int, ...]) -> Array:
    """scale x + shift by channel, in the memory order of x."""
    y = x * scale.reshape(column)
    if shift is not None:
        y += shift.reshape(column)
    return y


def _channel_sum(x: Array, factor: Array = None) -> Array:
    """The sum of x, or of x * factor, over every axis but the channel's: (N, C, ...) -> (C).

    As scalar products of long rows of memory, which is several times faster than a product
    followed by a sum; where such rows lie depends on the memory order.
    """
    C = x.shape[1]
    if x.ndim == 2 and not x.flags.f_contiguous:
        return x.sum(0) if factor is None else (x * factor).sum(0)
    last = x.transpose(*range(1, x.ndim), 0)  # (C, ..., N)
    if last.flags.c_contiguous:  # batch last in memory
        rows = last.reshape(C, -1)
        others = None if factor is None else factor.transpose(*range(1, x.ndim), 0).reshape(C, -1)
        return np.vecdot(rows, np.ones(rows.shape[-1:], x.dtype) if others is None else others)
    rows = x.reshape(len(x), C, -1)  # (N, C, H*W)
    others = np.ones(rows.shape[-1:], x.dtype) if factor is None else factor.reshape(rows.shape)
    return np.vecdot(rows, others).sum(0)


def check_per_channel(op: str, x: np.ndarray, **vectors: Array) -> None:
    """ShapeError unless each of the vectors has an element for each channel, axis 1 of x."""
    C = x.shape[1]
    for name, vector in vectors.items():
        if vector is not None and vector.shape != (C,):
            raise ShapeError(
                f"{op}: the input has {C} channels (shape {x.shape}), {name} has shape "
                f"{vector.shape} and must have ({C},). Use num_features={C}."
            )


@differentiable(
    rule="y = w h + b with h = (x - mean) / sqrt(var + eps), mean and var of the example"
)
@may_underflow
def layer_norm(
    x: Array,
    w: Array = None,
    b: Array = None,
    normalized_shape: int | Sequence[int] | None = None,
    eps: float = 1e-5,
) -> Op:
    """Layer normalisation, y = w (x - mean) / sqrt(var + eps) + b for each example.

    mean and var are over the last axes of x, whose sizes are `normalized_shape` (the last axis
    alone if None); var divides by their number n.

    Shapes: x (..., *normalized_shape); w, b normalized_shape or None -> y as x.
    Gradients with h = (x - mean) / sqrt(var + eps) and dh = dy w: dw = sum(dy h) and db = sum(dy)
    over the leading axes, and, as derived at the top of this file,
    dx = (dh - mean(dh) - h mean(dh h)) / sqrt(var + eps), means over the last axes. Keeps h.
    Source: Ba, Kiros, Hinton, "Layer normalization", arXiv:1607.06450.
    Raises ShapeError where sizes do not fit, TypeError for integers.
    """
    check_float("layer_norm", x)
    sizes = last_sizes("layer_norm", x, normalized_shape)
    for name, vector in (("weight", w), ("bias", b)):
        if vector is not None and vector.shape != sizes:
            raise ShapeError(f"layer_norm: {name} has shape {vector.shape}, it must have {sizes}")
    axes = tuple(range(x.ndim - len(sizes), x.ndim))
    h = x - x.mean(axis=axes, keepdims=True)
    inverse = _inverse_std((h * h).mean(axis=axes, keepdims=True), eps)  # (..., 1)
    h *= inverse
    y = h if w is None else h * w
    y = y if b is None else y + b

    def dx(dy: Array) -> Array:
        dh = dy if w is None else dy * w
        along = (dh * h).mean(axis=axes, keepdims=True)  # (..., 1)
        return inverse * (dh - dh.mean(axis=axes, keepdims=True) - h * along)

    return y, dx, lambda dy: dy * h, lambda dy: dy


def last_sizes(
    op: str, x: np.ndarray, normalized_shape: int | Sequence[int] | None
) -> tuple[int, ...]:
    """normalized_shape as a tuple; ShapeError unless x ends in it."""
    if normalized_shape is None:
        normalized_shape = x.shape[-1:]
    sizes = (
        tuple(normalized_shape) if isinstance(normalized_shape, Sequence) else (normalized_shape,)
    )
    if not sizes or x.shape[-len(sizes) :] != sizes or 0 in sizes:
        fitting = x.shape[-max(len(sizes), 1) :]
        raise ShapeError(
            f"{op}: normalized_shape={sizes} must name the last sizes, none of them 0, of "
            f"the input, whose shape is {x.shape}; use normalized_shape={fitting}"
        )
    return sizes
