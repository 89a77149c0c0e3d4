"""Losses under PyTorch's names.

Those that training lives on are operations with a gradient derived by hand, in `tinynet.ops.loss`;
the others are compositions, written here as the formula of one element, which `_loss` reduces.
reduction is "mean", "sum" or "none" in all of them. PyTorch's old `size_average` and `reduce` are
taken by name, and so is what stands behind them there, so that nothing takes its place.
"""

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any, ParamSpec

import numpy as np

from tinynet import ops
from tinynet.errors import ShapeError
from tinynet.nn.functional.activation import logsigmoid
from tinynet.nn.functional.arguments import Data, name_reduction, named, tensor_of
from tinynet.nn.functional.vectors import pairwise_distance
from tinynet.ops.checks import check_finite, check_float
from tinynet.ops.loss import check_reduction, labels_of
from tinynet.tensor import Tensor

P = ParamSpec("P")

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cosine_embedding_loss",
    "cross_entropy", "gaussian_nll_loss", "hinge_embedding_loss", "huber_loss", "kl_div",
    "l1_loss", "margin_ranking_loss", "mse_loss", "multi_margin_loss",
    "multilabel_margin_loss", "multilabel_soft_margin_loss", "nll_loss", "poisson_nll_loss",
    "smooth_l1_loss", "soft_margin_loss", "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]  # fmt: skip


def _old_names(function: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """The loss, which also takes PyTorch's old `size_average` and `reduce`."""

    @functools.wraps(function)
    def loss(*args: P.args, **settings: P.kwargs) -> Tensor:
        if settings:
            name_reduction(settings)
        return function(*args, **settings)

    return loss


def _of_op(op: Callable[P, Tensor], names: str) -> Callable[P, Tensor]:
    """An operation that is a loss, under PyTorch's names."""
    return _old_names(named(op, names))


def _loss(function: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """The losses that `function` returns reduced, as its argument `reduction` says.

    FloatingPointError if the result is not finite because an input is not.
    """
    op, signature = function.__name__, inspect.signature(function)

    @functools.wraps(function)
    def reduced(*args: P.args, **settings: P.kwargs) -> Tensor:
        losses, given = function(*args, **settings), signature.bind(*args, **settings)
        given.apply_defaults()
        reduction = given.arguments["reduction"]
        if op == "kl_div" and reduction == "batchmean":
            y = losses.sum() / (losses.shape or (1,))[0]
        else:
            check_reduction(op, reduction)
            y = losses if reduction == "none" else getattr(losses, reduction)()
        inputs = {k: x for k, x in given.arguments.items() if isinstance(x, (Tensor, np.ndarray))}
        check_finite(op, y.array, **{name: tensor_of(x).array for name, x in inputs.items()})
        return y

    return _old_names(reduced)


# ----- operations ---------------------------------------------------------------------------------

cross_entropy = _of_op(
    ops.cross_entropy, "input target weight * ignore_index reduction label_smoothing"
)
nll_loss = _of_op(ops.nll_loss, "input target weight * ignore_index reduction")
mse_loss = _of_op(ops.mse_loss, "input target * reduction")
l1_loss = _of_op(ops.l1_loss, "input target * reduction")
smooth_l1_loss = _of_op(ops.smooth_l1_loss, "input target * reduction beta")
huber_loss = _of_op(ops.huber_loss, "input target reduction delta")
binary_cross_entropy = _of_op(ops.binary_cross_entropy, "input target weight * reduction")
binary_cross_entropy_with_logits = _of_op(
    ops.binary_cross_entropy_with_logits, "input target weight * reduction pos_weight"
)


# ----- classes ------------------------------------------------------------------------------------


@_loss
def multi_margin_loss(
    input: Data,
    target: Data,
    p: int = 1,
    margin: float = 1.0,
    weight: Data | None = None,
    *,
    reduction: str = "mean",
) -> Tensor:
    """By how much another class comes within `margin` of the label's own.

    sum over c that is not the label y of max(0, margin - x_y + x_c)^p w_y / C, for scores (N, C) or
    (C) and labels (N) or (); p is 1 or 2.
    """
    op, x, t = "multi_margin_loss", tensor_of(input), tensor_of(target)
    if p not in (1, 2):
        raise ValueError(f"{op}: p must be 1 or 2, got {p}")
    if x.ndim < 2:  # a single example
        x, t = x.reshape(-1), t.reshape(())
    axis = x.ndim - 1
    check_float(op, x)
    if axis > 1 or 0 in x.shape[axis:]:
        raise ShapeError(f"{op}: the input must have shape (N, C) or (C), got {x.shape}")
    if weight is not None and weight.shape != x.shape[axis:]:
        raise ShapeError(f"{op}: weight has shape {weight.shape}, it must have {x.shape[axis:]}")
    labels = labels_of(op, t.array, x.array, axis)[0][..., None]
    own = labels == np.arange(x.shape[axis])  # (N, C)
    surplus = ops.clip(margin - ops.where(own, x, 0.0).sum(-1, keepdims=True) + x, 0.0) ** p
    share = ~own if weight is None else ~own * tensor_of(weight).array[labels]
    return (surplus * share.astype(x.dtype)).mean(-1)  # type: ignore[no-any-return]


@_loss
def multilabel_margin_loss(input: Data, target: Data, *, reduction: str = "mean") -> Tensor:
    """By how much other classes come within 1 of any of the labels' own.

    sum over labels y and other classes c of max(0, 1 - x_y + x_c) / C, for scores (N, C) or (C) and
    labels of the same shape, which end at the first -1.
    """
    op, x, t = "multilabel_margin_loss", tensor_of(input), tensor_of(target).array
    if x.shape != t.shape or x.ndim > 2:
        raise ShapeError(
            f"{op}: takes scores and labels (N, C) or (C), got {x.shape} and {t.shape}"
        )
    if x.ndim == 0:  # of one class
        x, t = x.reshape(1), t.reshape(1)
    check_float(op, x)
    given = np.cumprod(t >= 0, -1, dtype=bool)
    labels = np.where(given, t, 0)
    labels_of(op, labels.reshape(-1), np.empty((t.size, t.shape[-1])), 1)
    one_hot = (labels[..., None] == np.arange(t.shape[-1])) & given[..., None]  # (..., label, C)
    own = ops.where(one_hot, x.unsqueeze(-2), 0.0).sum(-1, keepdims=True)
    surplus = ops.clip(1 - own + x.unsqueeze(-2), 0.0)
    counted = given[..., None] & ~one_hot.any(-2, keepdims=True)
    return ops.where(counted, surplus, 0.0).sum((-2, -1)) / t.shape[-1]  # type: ignore[no-any-return]


# ----- numbers ------------------------------------------------------------------------------------


@_loss
def poisson_nll_loss(
    input: Data,
    target: Data,
    log_input: bool = True,
    full: bool = False,
    *,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Tensor:
    """Negative log-likelihood of counts under Poisson's distribution, without log(target!).

    e^x - t x, or x - t log(x + eps) if the input is no logarithm; full adds Stirling's formula for
    log(t!) where t > 1.
    """
    x, t = tensor_of(input), tensor_of(target)
    losses = ops.exp(x) - t * x if log_input else x - t * ops.log(x + eps)
    if full:
        counts = ops.where(t > 1, t, 1.0)
        stirling = counts * ops.log(counts) - counts + 0.5 * ops.log(2 * math.pi * counts)
        losses = losses + ops.where(t > 1, stirling, 0.0)
    return losses


@_loss
def gaussian_nll_loss(
    input: Data,
    target: Data,
    var: Data | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """Negative log-likelihood under a normal distribution of mean `input` and variance `var`.

    (log v + (x - t)^2 / v) / 2 with v = max(var, eps), whose gradient is as if it was not limited;
    full adds log(2 pi) / 2. var: of the shape of the input, or with one axis of size 1 or without
    the last axis, which is then the same for all.
    """
    op, x, v = "gaussian_nll_loss", tensor_of(input), tensor_of(var)
    if isinstance(var, (int, float)):
        v = ops.expand(tensor_of(np.asarray(var, x.dtype)), x.shape)
    if (v.array < 0).any():
        raise ValueError(f"{op}: var must be 0 or more, got {v.array.min():g}")
    if v.shape != x.shape and v.shape == x.shape[:-1]:
        v = v.unsqueeze(-1)
    if v.ndim != x.ndim or [n for n, m in zip(v.shape, x.shape) if n != m] not in ([], [1]):
        raise ShapeError(
            f"{op}: var has shape {v.shape}; for an input of shape {x.shape} it must have this "
            f"shape, {x.shape[:-1]}, or one axis of size 1"
        )
    v = v + (np.maximum(v.array, eps) - v.array)
    losses: Tensor = 0.5 * (ops.log(v) + (x - target) ** 2 / v)
    return losses + full * 0.5 * math.log(2 * math.pi)


# ----- yes or no, probabilities -------------------------------------------------------------------


@_loss
def multilabel_soft_margin_loss(
    input: Data, target: Data, weight: Data | None = None, *, reduction: str = "mean"
) -> Tensor:
    """Cross entropy of a yes-or-no answer for each class, from logits; the mean over the classes.

    weight: a factor for each class.
    """
    x, t = tensor_of(input), tensor_of(target)
    losses = -(t * logsigmoid(x) + (1 - t) * logsigmoid(-x))
    return (losses if weight is None else losses * weight).mean(-1)


@_loss
def kl_div(
    input: Data, target: Data, *, reduction: str = "mean", log_target: bool = False
) -> Tensor:
    """Kullback-Leibler divergence t (log t - x) from log-probabilities x to probabilities t.

    It is 0 where t is 0. log_target: the target is log t. reduction: also "batchmean", the sum
    divided by the first size, which is the divergence as it is defined.
    """
    x, t = tensor_of(input), tensor_of(target)
    log_t = t if log_target else ops.log(ops.where(t > 0, t, 1.0))
    return (ops.exp(t) if log_target else t) * (log_t - x)


@_loss
def soft_margin_loss(input: Data, target: Data, *, reduction: str = "mean") -> Tensor:
    """log(1 + e^(-t x)) for scores x and targets t of 1 and -1."""
    return ops.softplus(-(tensor_of(target) * input))


# ----- pairs and triplets; targets are 1 and -1 ---------------------------------------------------


@_loss
def hinge_embedding_loss(
    input: Data, target: Data, margin: float = 1.0, *, reduction: str = "mean"
) -> Tensor:
    """The distance x itself where the target is 1, max(0, margin - x) where it is -1."""
    x, t = tensor_of(input), tensor_of(target)
    near, far = ops.where(t != -1, x, 0.0), ops.where(t != 1, ops.clip(margin - x, 0.0), 0.0)
    return near + far


@_loss
def margin_ranking_loss(
    input1: Data, input2: Data, target: Data, margin: float = 0, *, reduction: str = "mean"
) -> Tensor:
    """max(0, margin - t (x1 - x2)): the first is to be larger where t is 1, smaller where -1."""
    op, x1, x2, t = "margin_ranking_loss", *map(tensor_of, (input1, input2, target))
    _same_axes(op, input1=x1, input2=x2, target=t)
    return ops.clip(margin - t * (x1 - x2), 0.0)


@_loss
def cosine_embedding_loss(
    input1: Data, input2: Data, target: Data, margin: float = 0, *, reduction: str = "mean"
) -> Tensor:
    """1 - cos of the angle where the target is 1, max(0, cos - margin) where it is -1.

    Shapes: inputs (N, D) with a target (N), or (D) with a target ().
    """
    op, x1, x2, t = "cosine_embedding_loss", *map(tensor_of, (input1, input2, target))
    if t.ndim > 1 or not x1.ndim == x2.ndim == t.ndim + 1:
        raise ShapeError(
            f"{op}: a target of shape (N,) needs inputs (N, D), a target () inputs (D,); got a "
            f"target {t.shape} and inputs {x1.shape} and {x2.shape}"
        )
    squares = [(x * x).sum(-1) + 1e-12 for x in (x1, x2)]
    cos = (x1 * x2).sum(-1) / ops.sqrt(squares[0] * squares[1])
    unlike = ops.where(t == -1, ops.clip(cos - margin, 0.0), 0.0)
    return ops.where(t == 1, 1 - cos, 0.0) + unlike


@_old_names
def triplet_margin_loss(
    anchor: Data,
    positive: Data,
    negative: Data,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    *,
    reduction: str = "mean",
) -> Tensor:
    """max(0, margin + d(anchor, positive) - d(anchor, negative)), d the `pairwise_distance`.

    swap: the negative's distance to the positive counts if it is smaller than to the anchor.
    """
    settings: Any = {"margin": margin, "swap": swap, "reduction": reduction}
    settings["distance_function"] = functools.partial(pairwise_distance, p=p, eps=eps)
    return triplet_margin_with_distance_loss(anchor, positive, negative, **settings)


@_loss
def triplet_margin_with_distance_loss(
    anchor: Data,
    positive: Data,
    negative: Data,
    *,
    distance_function: Callable[[Any, Any], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """`triplet_margin_loss` with a distance of one's own; by default `pairwise_distance`."""
    op, a, near, far = "triplet_margin_loss", *map(tensor_of, (anchor, positive, negative))
    _same_axes(op, anchor=a, positive=near, negative=far)
    if not margin > 0:
        raise ValueError(f"{op}: margin must be more than 0, got {margin}")
    d = distance_function or pairwise_distance
    apart = ops.minimum(d(a, far), d(near, far)) if swap else d(a, far)
    return ops.clip(margin + d(a, near) - apart, 0.0)


def _same_axes(op: str, **inputs: Tensor) -> None:
    """ShapeError unless they have equally many axes: broadcasting hides mistakes."""
    if len({x.ndim for x in inputs.values()}) > 1:
        shapes = ", ".join(f"{name} {x.shape}" for name, x in inputs.items())
        raise ShapeError(f"{op}: the inputs must have equally many axes, got {shapes}")
