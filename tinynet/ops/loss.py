"""Losses: how far a prediction is from its target, in one number that training makes smaller.

A loss is computed for each element (or each label) by itself and then reduced. reduction:
"mean" divides the sum by their number n, "sum" adds them up, "none" returns them all. So every
gradient is the derivative of one element's loss, times the share of dy that this element feels:
dy / n, dy, or its own dy. `_reduced` gives both, the result and the share.

Where a result is not finite because an input is NaN or infinite, the loss says so: it is the
first place where a training gone wrong shows, and the last before it reaches every weight.
"""

import math
from collections.abc import Callable

import numpy as np

from tinynet import kernels
from tinynet.autograd import Array, Op, differentiable
from tinynet.errors import DataError, ShapeError, unknown_name
from tinynet.kernels.layout import places
from tinynet.ops.checks import as_array, check_finite, check_float, may_underflow, positive, within
from tinynet.ops.kinks import signs

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy", "huber_loss",
    "l1_loss", "mse_loss", "nll_loss", "smooth_l1_loss",
]  # fmt: skip

REDUCTIONS = ("mean", "sum", "none")
NO_INDEX = -(2**63)
"""An ignore_index that no label equals."""


# ----- classes ------------------------------------------------------------------------------------


@differentiable(rule="L = -log softmax(x)[label], dL/dx = (softmax(x) - [is the label]) / N")
def cross_entropy(
    x: Array,
    target: Array,
    class_weight: Array = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Op:
    """Cross entropy between the target and p = softmax(x), from the logits x.

    With log p = x - logsumexp(x) along the classes, the loss of a label c is -w_c log p_c, and
    that of a distribution t over the classes is -sum_c w_c t_c log p_c.

    Shapes: x (N, C), (N, C, ...) or (C). target: labels, ints from 0 to C - 1 of shape (N, ...),
    or probabilities, floats of the shape of x -> a number, or (N, ...) if reduction is "none".
    class_weight: w (C), or None for 1. ignore_index: labels with this value do not count.
    The mean divides by the sum of the labels' weights; for probabilities, by the number of them.
    label_smoothing: e mixes each target with the uniform distribution, (1 - e) t + e / C.

    Gradient: dlogsumexp(x) / dx_c = p_c, so dlog p_k / dx_c = [k = c] - p_c, and the loss
    -sum_k m_k log p_k, with m = w t, has dx_c = dy (p_c sum_k m_k - m_c). For a plain label that
    is dy (softmax(x) - onehot), divided by N for the mean. Of probabilities,
    dtarget_c = -dy (1 - e) w_c log p_c. Keeps p. The maximum is taken off first against overflow.
    Raises ShapeError where shapes do not fit or a mean is over nothing, DataError for labels that
    are no class, TypeError for wrong dtypes, FloatingPointError for NaN in the input.
    """
    op = "cross_entropy"
    target = as_array(target)
    axis = _class_axis(op, x)
    w = _class_weights(op, class_weight, x, axis)
    within(op, "label_smoothing", label_smoothing, 0, 1)
    soft = target.dtype.kind == "f" and target.shape == x.shape
    if soft or label_smoothing:
        return _soft_cross_entropy(x, target, w, axis, ignore_index, reduction, label_smoothing)
    labels, counted = labels_of(op, target, x, axis, ignore_index)
    row, number = _row_weights(labels, counted, w)
    losses, p = kernels.current.label_losses(x, labels, axis)  # (N, ...) and (N, C, ...)
    y, share = _reduced(op, _weighted(losses, row), reduction, number)
    check_finite(op, y, input=x)

    def dx(dy: Array) -> Array:
        d = _weighted(share(dy), row)  # () or (N, ...)
        dx = p * _beside_classes(d, axis)
        dx[places(labels)] -= d
        return dx

    return y, dx


@may_underflow  # of labels the loss is 0 or no smaller than rounding
def _soft_cross_entropy(
    x: np.ndarray,
    target: np.ndarray,
    w: np.ndarray | None,
    axis: int,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
) -> Op:
    """-sum_c m_c log p_c with m = w t, for a target t that is a distribution over the classes."""
    C = x.shape[axis]
    with np.errstate(invalid="ignore"):  # inf - inf is NaN, which is looked into at the end
        z = x - np.maximum.reduce(x, axis, keepdims=True)
    log_p = z - np.log(np.add.reduce(np.exp(z), axis, keepdims=True))
    counted = None
    number: float = x.size // C
    if target.dtype.kind == "f" and target.shape == x.shape:
        t = target
        finite = np.where(np.isfinite(t), t, 0)  # others are looked into at the end
        _check_probabilities("cross_entropy", "target", finite, "divide each row by its sum")
    else:  # smoothed labels
        labels, counted = labels_of("cross_entropy", target, x, axis, ignore_index)
        number = _row_weights(labels, counted, w)[1]
        t = np.zeros_like(x)
        t[places(labels)] = 1
    m = ((1 - label_smoothing) * t + label_smoothing / C) * (1 if w is None else w)  # (N, C, ...)
    if counted is not None:
        m *= np.expand_dims(counted, axis)
    with np.errstate(invalid="ignore"):  # 0 * -inf is NaN, which is looked into next
        losses = -(m * log_p).sum(axis=axis)  # (N, ...)
    y, share = _reduced("cross_entropy", losses, reduction, number)
    check_finite("cross_entropy", y, input=x, target=target)

    def dx(dy: Array) -> Array:
        d = _beside_classes(share(dy), axis)
        return d * (np.exp(log_p) * m.sum(axis=axis, keepdims=True) - m)

    def dtarget(dy: Array) -> Array:
        weighted = log_p if w is None else w * log_p
        return _beside_classes(share(dy), axis) * (label_smoothing - 1) * weighted

    return y, dx, dtarget


@differentiable(rule="L = -x[label], dL/dx = -1 / N for the label, else 0")
@may_underflow
def nll_loss(
    x: Array,
    target: Array,
    class_weight: Array = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Op:
    """Negative log-likelihood: the loss of a label c is -w_c x_c, for x = log p (`log_softmax`).

    Shapes, options, mean and errors are those of `cross_entropy` with labels.
    Gradient: dx_c = -dy w_c at the label's place, 0 elsewhere. Keeps the labels.
    """
    op = "nll_loss"
    axis = _class_axis(op, x)
    w = _class_weights(op, class_weight, x, axis)
    labels, counted = labels_of(op, np.asarray(target), x, axis, ignore_index)
    row, number = _row_weights(labels, counted, w)
    own = places(labels)
    y, share = _reduced(op, _weighted(-x[own], row), reduction, number)
    check_finite(op, y, input=x)

    def dx(dy: Array) -> Array:
        dx = np.zeros_like(x)
        dx[own] = -_weighted(share(dy), row)
        return dx

    return y, dx


# ----- numbers ------------------------------------------------------------------------------------


@differentiable(rule="L = (x - t)^2, dL/dx = 2 (x - t) / N")
@may_underflow
def mse_loss(x: Array, target: Array, reduction: str = "mean") -> Op:
    """Squared error, (x - target)^2 for each element.

    Shapes: x (...), target of the same -> a number, or (...) if reduction is "none".
    Gradients: dx = 2 dy (x - target), divided by n for the mean; dtarget = -dx.
    Keeps x - target. Raises ShapeError if the shapes differ or a mean is over nothing, TypeError
    for integers in x, FloatingPointError for NaN.
    """
    return _of_difference("mse_loss", x, target, reduction, np.square, lambda d: 2 * d)


@differentiable(
    kinks=signs(lambda x, target, *_, **__: x - target, "has gradient 0 where x = target"),
    rule="L = |x - t|, dL/dx = sign(x - t) / N",
)
@may_underflow
def l1_loss(x: Array, target: Array, reduction: str = "mean") -> Op:
    """Absolute error, |x - target| for each element.

    Gradients: dx = dy sign(x - target), divided by n for the mean, and 0 at the kink
    x = target; dtarget = -dx. Shapes, what is kept and errors are those of `mse_loss`.
    """
    return _of_difference("l1_loss", x, target, reduction, np.abs, np.sign)


@differentiable(
    kinks=signs(
        lambda x, target, reduction="", beta=1.0: (x - target - beta, x - target + beta),
        "is smooth, but bends where |x - target| = beta",
    ),
    rule="L = d^2 / (2 beta) where |d| < beta, else |d| - beta / 2, with d = x - t",
)
@may_underflow
def smooth_l1_loss(x: Array, target: Array, reduction: str = "mean", beta: float = 1.0) -> Op:
    """Absolute error with its kink rounded off: with d = x - target,

    d^2 / (2 beta) where |d| < beta, else |d| - beta / 2. For beta = 0 it is `l1_loss`.
    Gradients: dx = dy d / beta, limited to -1 and 1; value and derivative both meet at |d| = beta.
    dtarget = -dx. Shapes, what is kept and errors are those of `mse_loss`; ValueError for a
    negative beta. Source: Girshick, "Fast R-CNN", arXiv:1504.08083.
    """
    within("smooth_l1_loss", "beta", beta, 0, math.inf)
    if beta == 0:
        return _of_difference("smooth_l1_loss", x, target, reduction, np.abs, np.sign)
    value, derivative = _bent(beta)
    of_beta = (lambda d: value(d) / beta), (lambda d: derivative(d) / beta)
    return _of_difference("smooth_l1_loss", x, target, reduction, *of_beta)


@differentiable(
    kinks=signs(
        lambda x, target, reduction="", delta=1.0: (x - target - delta, x - target + delta),
        "is smooth, but bends where |x - target| = delta",
    ),
    rule="L = d^2 / 2 where |d| < delta, else delta (|d| - delta / 2), with d = x - t",
)
@may_underflow
def huber_loss(x: Array, target: Array, reduction: str = "mean", delta: float = 1.0) -> Op:
    """Squared error that grows only linearly far out: with d = x - target,

    d^2 / 2 where |d| < delta, else delta (|d| - delta / 2): delta times `smooth_l1_loss`.
    Gradients: dx = dy d, limited to -delta and delta; dtarget = -dx. Shapes, what is kept and
    errors are those of `mse_loss`; ValueError for a delta that is not positive.
    Source: Huber, "Robust estimation of a location parameter", 1964.
    """
    positive("huber_loss", "delta", delta)
    return _of_difference("huber_loss", x, target, reduction, *_bent(delta))


def _bent(end: float) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """d^2 / 2 up to |d| = end, going on as a line, and its derivative."""

    def value(d: Array) -> Array:
        size = np.abs(d)
        inner = np.minimum(size, end)
        return inner * (size - 0.5 * inner)

    return value, lambda d: np.clip(d, -end, end)


def _of_difference(
    op: str,
    x: Array,
    target: Array,
    reduction: str,
    value: Callable[[Array], Array],
    derivative: Callable[[Array], Array],
) -> Op:
    """The loss f(x - target) from f and its derivative: dx = share(dy) f', dtarget = -dx."""
    x, target = _same_shape(op, x, target)
    d = x - target
    y, share = _reduced(op, value(d), reduction)
    check_finite(op, y, input=x, target=target)

    def dx(dy: Array) -> Array:
        return share(dy) * derivative(d)

    return y, dx, lambda dy: -dx(dy)


# ----- yes or no ----------------------------------------------------------------------------------


@differentiable(rule="dL/dx = (sigmoid(x) - t) / N")
@may_underflow
def binary_cross_entropy_with_logits(
    x: Array, target: Array, weight: Array = None, pos_weight: Array = None, reduction: str = "mean"
) -> Op:
    """Cross entropy of yes-or-no answers with the probability of yes p = sigmoid(x).

    For each element -w (q t log p + (1 - t) log(1 - p)), with t the target from 0 to 1, w the
    weight and q the weight of the positive answers (both broadcast over x; None is 1).
    With -log p = log(1 + e^-x) = softplus(-x) and -log(1 - p) = x + softplus(-x) it becomes
    w ((1 - t) x + (1 + (q - 1) t) softplus(-x)), which cannot overflow.

    Shapes: x (...), target of the same -> a number, or (...) if reduction is "none". The mean
    divides by the number of elements, whatever their weights.
    Gradients: softplus(-x)' = -sigmoid(-x) gives dx = dy w ((1 - t) - (1 + (q - 1) t)
    sigmoid(-x)), for q = 1 simply dy w (p - t); dtarget = dy w ((q - 1) softplus(-x) - x).
    Keeps x, target and softplus(-x). Raises ShapeError where shapes do not fit or a mean is over
    nothing, DataError for a target outside 0 to 1, TypeError for integers in x, FloatingPointError
    for NaN.
    """
    op = "binary_cross_entropy_with_logits"
    x, target = _same_shape(op, x, target)
    _check_probabilities(op, "target", target, NO_ANSWERS)
    w = _weights_over(op, "weight", weight, x)
    q = _weights_over(op, "pos_weight", pos_weight, x)
    surplus = q - 1
    softplus = np.maximum(-x, 0) + np.log1p(np.exp(-np.abs(x)))
    losses = w * ((1 - target) * x + (1 + surplus * target) * softplus)
    y, share = _reduced(op, losses, reduction)
    check_finite(op, y, input=x, target=target)

    def dx(dy: Array) -> Array:
        sigmoid = 0.5 - 0.5 * np.tanh(0.5 * x)  # of -x
        return share(dy) * (w * ((1 - target) - (1 + surplus * target) * sigmoid))

    return y, dx, lambda dy: share(dy) * (w * (surplus * softplus - x))


@differentiable(rule="L = -t log x - (1 - t) log(1 - x)")
@may_underflow
def binary_cross_entropy(
    x: Array, target: Array, weight: Array = None, reduction: str = "mean"
) -> Op:
    """Cross entropy of yes-or-no answers from probabilities x, between 0 and 1.

    For each element -w (t log x + (1 - t) log(1 - x)). A logarithm below -100 counts as -100,
    so that a certain wrong answer costs 100 and not infinity. From logits,
    `binary_cross_entropy_with_logits` is exact everywhere and to be preferred.

    Shapes: x (...), target of the same -> a number, or (...) if reduction is "none".
    Gradients: dx = dy w (x - t) / (x (1 - x)), the divisor at least 1e-12;
    dtarget = dy w (log(1 - x) - log x). Keeps x, target and both logarithms.
    Raises DataError for an x outside 0 to 1, and otherwise as the loss from logits.
    """
    op = "binary_cross_entropy"
    x, target = _same_shape(op, x, target)
    w = _weights_over(op, "weight", weight, x)
    _check_probabilities(
        op, "input", x, "apply sigmoid first, or give logits to binary_cross_entropy_with_logits"
    )
    _check_probabilities(op, "target", target, NO_ANSWERS)
    with np.errstate(divide="ignore"):  # log(0) = -inf, raised to -100
        log_yes = np.maximum(np.log(x), -100)
        log_no = np.maximum(np.log1p(-x), -100)
    y, share = _reduced(op, -w * (target * log_yes + (1 - target) * log_no), reduction)
    check_finite(op, y, input=x, target=target)

    def dx(dy: Array) -> Array:
        return share(dy) * (w * (x - target) / np.maximum(x * (1 - x), 1e-12))

    return y, dx, lambda dy: share(dy) * (w * (log_no - log_yes))


# ----- what they share ----------------------------------------------------------------------------


def _reduced(
    op: str, losses: Array, reduction: str, number: float | None = None
) -> tuple[Array, Callable[[Array], Array]]:
    """The losses reduced, and the function that gives each of them its share of dy.

    number: what the mean divides by, if it is not the number of losses.
    """
    if reduction == "none":
        return losses, lambda dy: dy
    if reduction == "sum":
        return losses.sum(), lambda dy: dy
    check_reduction(op, reduction)
    n = losses.size if number is None else number
    if losses.size == 0:
        raise ShapeError(
            f"{op}: the mean over an empty batch is undefined (losses of shape {losses.shape}). "
            "Leave empty batches out, or use reduction='sum', which gives 0."
        )
    if n == 0:
        raise DataError(
            f"{op}: none of the {losses.size} labels counts, each is ignore_index or has a class "
            "weight of 0, so their mean is undefined. Leave such batches out, or use "
            "reduction='sum', which gives 0."
        )
    return losses.sum() / n, lambda dy: dy / n


def check_reduction(owner: str, reduction: str) -> None:
    """ValueError unless it is one of the three."""
    if reduction not in REDUCTIONS:
        raise unknown_name(f"reduction of {owner}", reduction, REDUCTIONS)


def _weighted(values: Array, row: np.ndarray | None) -> Array:
    """values * row; where row is 0 the result is 0, whatever the value."""
    if row is None:
        return values
    with np.errstate(under="ignore"):
        return np.where(row == 0, 0, values) * row


def _beside_classes(d: Array, axis: int) -> Array:
    """A value per example (N, ...) with the class axis put in, (N, 1, ...); one number stays."""
    return np.expand_dims(d, axis) if d.ndim else d


def _class_axis(op: str, x: np.ndarray) -> int:
    """The axis of the classes: 1, or 0 for a single example."""
    check_float(op, x)
    axis = 1 if x.ndim > 1 else 0
    if x.ndim == 0 or x.shape[axis] == 0:
        raise ShapeError(
            f"{op}: the input must have shape (N, C), (N, C, ...) or (C) with C classes, at least "
            f"1, got {x.shape}"
        )
    return axis


def _class_weights(op: str, weight: Array, x: np.ndarray, axis: int) -> np.ndarray | None:
    """The weights of the classes, shaped (C, 1, ...) to broadcast over x; None stays None."""
    if weight is None:
        return None
    C = x.shape[axis]
    w = np.asarray(weight, x.dtype)
    if w.shape != (C,):
        raise ShapeError(
            f"{op}: the class weights have shape {w.shape}; the input of shape {x.shape} has "
            f"{C} classes, so they must have ({C},)"
        )
    _check_weights(op, "each class weight", w)
    return w.reshape(C, *(1,) * (x.ndim - axis - 1))


def labels_of(
    op: str, target: np.ndarray, x: np.ndarray, axis: int, ignore_index: int = NO_INDEX
) -> tuple[np.ndarray, np.ndarray | None]:
    """(labels, counted): labels fit for indexing, 0 where ignored; counted: None if all count.

    Raises TypeError, ShapeError or DataError for what are no labels of the classes of x.
    """
    C = x.shape[axis]
    if target.dtype.kind not in "iu" or target.shape != x.shape[:axis] + x.shape[axis + 1 :]:
        raise _nolabels_of(op, target, x, axis)
    if target.size == 0:
        return target, None
    unsigned = target.view(f"u{target.itemsize}")  # where negative ones are very large
    if ignore_index < 0 and np.maximum.reduce(unsigned, None) < C:
        return target, None
    lowest, highest = int(target.min()), int(target.max())
    counted = None
    if lowest <= ignore_index <= highest:
        counted = target != ignore_index
        target = np.where(counted, target, 0)
        lowest, highest = int(target.min()), int(target.max())
    if lowest < 0 or highest >= C:
        value = int(target[(target < 0) | (target >= C)][0])
        hint = "; labels that start at 1 need `target - 1`" if (lowest, highest) == (1, C) else ""
        cure = f"ignore_index={value} leaves this label out"
        if np.unique(target).tolist() == [0, 255]:
            cure = f"Of a mask of bytes take target // 255; {cure}"
        elif value >= C:
            cure = f"Use at least {highest + 1} outputs in the last layer; {cure}"
        raise DataError(
            f"{op}: label {value} is out of range: the input of shape {x.shape} has {C} "
            f"classes, so labels go from 0 to {C - 1}{hint}. {cure}."
        )
    return target, counted


def _nolabels_of(op: str, target: np.ndarray, x: np.ndarray, axis: int) -> Exception:
    """The error for a target that has the wrong dtype or shape to be labels."""
    wanted = x.shape[:axis] + x.shape[axis + 1 :]
    soft = op == "cross_entropy"
    if target.shape == x.shape:
        cure = "labels come from target.argmax(1)"
        if soft:
            cure = (
                "probabilities of each class must be floats, target.float() or, of an array, "
                f"target.astype(np.float32); {cure}"
            )
        return TypeError(
            f"{op}: the target has the shape {x.shape} of the input, but is {target.dtype}; {cure}"
        )
    if target.shape == wanted:
        cure = "convert with target.long(), an array with y.astype(np.int64)"
        if target.dtype.kind not in "bf":
            cure = "number the classes: names, target = np.unique(target, return_inverse=True)"
        return TypeError(f"{op}: labels must be integers, got {target.dtype}; {cure}")
    hint = ""
    if target.size == np.prod(wanted, dtype=int):
        hint = f"; use target.reshape{(-1, *wanted[1:])[: len(wanted)]}"
    elif target.ndim and x.ndim > 1 and len(target) != len(x):
        hint = f"; there are {len(x)} examples, but {len(target)} labels"
    also = f", or be probabilities of shape {x.shape}" if soft else ""
    return ShapeError(
        f"{op}: for an input of shape {x.shape} the labels must have shape {wanted}{also}, got "
        f"{target.shape}{hint}"
    )


def _row_weights(
    labels: np.ndarray, counted: np.ndarray | None, w: np.ndarray | None
) -> tuple[np.ndarray | None, float]:
    """The weight of each label (None if all are 1), and their sum, by which the mean divides."""
    if w is None:
        return counted, labels.size if counted is None else int(counted.sum())
    row = w.ravel()[labels]
    row = row if counted is None else row * counted
    return row, float(row.sum())


def _same_shape(op: str, x: Array, target: Array) -> tuple[np.ndarray, np.ndarray]:
    """Both as float arrays; ShapeError unless their shapes agree: broadcasting hides mistakes."""
    x, target = as_array(x), as_array(target)
    check_float(op, x)
    if x.shape != target.shape:
        hint, shape = "", (-1, *x.shape[1:])[: x.ndim]
        if x.size == target.size:
            hint = f"; use target.reshape{shape} if the elements belong together in this order"
        raise ShapeError(
            f"{op}: the input has shape {x.shape} and the target {target.shape}; they must be "
            f"equal{hint}"
        )
    return x, target if target.dtype.kind == "f" else target.astype(x.dtype)


NO_ANSWERS = "a mask of 0 and 255 is divided by 255, answers of -1 and 1 become (t + 1) / 2"
SLACK = 0.01  # of probabilities, which a gradient check moves a little


def _check_probabilities(op: str, name: str, values: np.ndarray, cure: str) -> None:
    """DataError unless the values lie between 0 and 1. NaN is left to `check_finite`."""
    outside = (values < -SLACK) | (values > 1 + SLACK)
    if outside.any():
        raise DataError(
            f"{op}: the {name} holds probabilities from 0 to 1, but {values[outside][0]:g} is "
            f"among them; {cure}"
        )


def _check_weights(op: str, name: str, w: np.ndarray) -> None:
    """ValueError for a weight that is infinite or NaN."""
    if not np.isfinite(w).all():
        raise ValueError(f"{op}: {name} must be finite, got {w[~np.isfinite(w)][0]:g}")


def _weights_over(op: str, name: str, weight: Array, x: np.ndarray) -> np.ndarray:
    """Weights that broadcast over x; 1 for None."""
    w = np.ones((), x.dtype) if weight is None else np.asarray(weight, x.dtype)
    try:
        np.broadcast_to(w, x.shape)
    except ValueError:
        raise ShapeError(
            f"{op}: {name} has shape {w.shape}, which does not broadcast over the input of shape "
            f"{x.shape}"
        ) from None
    _check_weights(op, f"each {name}", w)
    return w
