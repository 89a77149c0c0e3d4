"""The usual mistakes, as functions that make them: an answer that equals one is recognised.

A mistake with one argument is the same in every function that takes it; others are a function's
own.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from tinynet.lab import reference
from tinynet.lab.compare import unlike
from tinynet.lab.grid import Case
from tinynet.lab.reference import Array

Mistake = tuple[str, Callable[..., Any]]

UPSIDE_DOWN = "the kernel is flipped; deep learning's convolution does not flip it"
TRANSPOSED = "rows and columns of the kernel are swapped"
SUMMED = "a pixel that several windows see must get the sum: `+=`, not `=`"
ONE_SIDE = "all the padding stands on one side; it is ((top, bottom), (left, right))"


def _flipped(w: Array) -> Array:
    return w[:, :, ::-1, ::-1]


def _transposed(w: Array) -> Array:
    return w.swapaxes(2, 3)


def _pairs(name: str) -> list[Mistake]:
    """What is done wrong with a pair (vertical, horizontal)."""
    return [
        (f"the two of {name} are swapped; it is (vertical, horizontal)", lambda pair: pair[::-1]),
        (f"{name}[0] is taken for both directions", lambda pair: (pair[0], pair[0])),
        (f"{name}[1] is taken for both directions", lambda pair: (pair[1], pair[1])),
    ]


CHANGES: dict[str, list[Mistake]] = {
    "w": [(UPSIDE_DOWN, _flipped), (TRANSPOSED, _transposed)],
    "stride": [*_pairs("stride"),
               ("the stride is ignored: window (p, q) begins at (p*stride[0], q*stride[1])",
                lambda stride: (1, 1))],
    "dilation": [*_pairs("dilation"),
                 ("the dilation is ignored: the elements of a window are that far apart",
                  lambda dilation: (1, 1))],
    "padding": [
        ("padding is ((top, bottom), (left, right)); yours has the two of a pair swapped",
         lambda padding: tuple(pair[::-1] for pair in padding)),
        (ONE_SIDE, lambda padding: tuple((sum(pair), 0) for pair in padding)),
        (ONE_SIDE, lambda padding: tuple((0, sum(pair)) for pair in padding)),
        *_pairs("padding"),
    ],
}  # fmt: skip
"""What a mistake takes in place of an argument, in whichever function."""


def _last_alone(right: Callable[..., Array], name: str, axes: int, **given: Any) -> Array:
    """A gradient with `=` in place of `+=`: the last part that reaches an element counts alone.

    name, axes: the argument, and how many of its last axes tell one part from the next.
    """
    dx = np.zeros_like(right(**given))
    ones = {key: np.ones_like(given[key]) for key in ("dy", "w") if key in given}
    for index in np.ndindex(*given[name].shape[-axes:]):
        part = np.zeros_like(given[name])
        part[(..., *index)] = 1
        reached = right(**given | ones | {name: part}) > 0
        dx[reached] = right(**given | {name: part * given[name]})[reached]
    return dx


def _dx_of_ties(
    dy: Array, x: Array, y: Array, kernel: Any, stride: Any, padding: Any, dilation: Any
) -> Array:
    """max_pool2d_dx that gives dy to every element that equals the largest."""
    padded = reference.pad(x, padding, -np.inf)
    dx = np.zeros(padded.shape, dy.dtype)
    for at_y, _, at_x in reference.windows(dy.shape, kernel, stride, dilation):
        dx[at_x] += dy[at_y] * (padded[at_x] == y[at_y])
    return reference.cut(dx, x.shape[2:], padding)


def _sloping(x: Array, order: Array) -> Array:
    """The images with their ties broken, in favour of the places that come last in an order."""
    return x + 1e-6 * order.astype(np.float64)


def _padded_dx(dy: Array, w: Array, size: Any, padding: Any, **a: Any) -> Array:
    """conv2d_dx of the padded image, from which the wrong corner is kept."""
    H, W = size
    whole = (H + sum(padding[0]), W + sum(padding[1]))
    dx = reference.conv2d_dx(dy, w, size=whole, padding=((0, 0), (0, 0)), **a)
    return dx[:, :, :H, :W]


def _modulo_groups(x: Array, w: Array, b: Array | None, groups: int, **a: Any) -> Array:
    """conv2d in which filter k belongs to group k % groups."""
    order = np.argsort(np.arange(len(w)) % groups, kind="stable")
    bias = None if b is None else b[order]
    y = reference.conv2d(x, w[order], bias, groups=groups, **a)
    return y[:, np.argsort(order)]


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max(1, keepdims=True))
    return np.asarray(e / e.sum(1, keepdims=True))


def _sgd(p: Array, b: Array, lr: float) -> tuple[Array, Array]:
    return p - lr * b, b


MISTAKES: dict[str, list[Mistake]] = {
    "conv2d": [
        ("the bias b is not added", lambda b, **a: reference.conv2d(b=None, **a)),
        ("the bias is added at every place of the kernel; it belongs to y once",
         lambda w, b, **a: reference.conv2d(w=w, b=b * w[0].size, **a)),
        ("kernel k belongs to group k // (O // groups), not k % groups", _modulo_groups),
    ],
    "conv2d_dx": [
        (SUMMED, partial(_last_alone, reference.conv2d_dx, "dy", 4)),
        (SUMMED, partial(_last_alone, reference.conv2d_dx, "w", 2)),
        ("the padding is not cut off at the top and left: dx[:, :, top:top+H, left:left+W], not "
         "dx[:, :, :H, :W]",
         _padded_dx),
    ],
    "conv2d_dw": [
        (UPSIDE_DOWN, lambda **a: _flipped(reference.conv2d_dw(**a))),
        (TRANSPOSED, lambda **a: _transposed(reference.conv2d_dw(**a))),
        ("only the first image counts; dw is the sum over the batch",
         lambda dy, x, **a: reference.conv2d_dw(dy[:1], x[:1], **a)),
        ("only the last image counts: `+=`, not `=`",
         lambda dy, x, **a: reference.conv2d_dw(dy[-1:], x[-1:], **a)),
    ],
    "max_pool2d": [
        ("padding counts as 0; it must count as -inf",
         lambda x, padding, **a: reference.max_pool2d(
            reference.pad(x, padding), padding=((0, 0), (0, 0)), **a)),
        ("the result starts from 0; a window of negative numbers has a negative maximum",
         lambda **a: np.maximum(reference.max_pool2d(**a), 0)),
        ("it is the minimum", lambda x, **a: -reference.max_pool2d(-x, **a)),
    ],
    "max_pool2d_dx": [
        (SUMMED, partial(_last_alone, reference.max_pool2d_dx, "dy", 4)),
        ("of elements that tie, only the first may get dy", _dx_of_ties),
        ("of elements that tie, the last gets dy, not the first",
         lambda x, **a: reference.max_pool2d_dx(
            x=_sloping(x, np.arange(x[0, 0].size).reshape(x.shape[2:])), **a)),
        ("of elements that tie, the first of the columns gets dy, not the first of the rows",
         lambda x, **a: reference.max_pool2d_dx(
            x=_sloping(x, -np.arange(x[0, 0].size).reshape(x.shape[:1:-1]).T), **a)),
        ("the window's gradient is spread over all its elements; only the largest moves y",
         lambda dy, x, y, **a: _dx_of_ties(dy, np.zeros_like(x), np.zeros_like(y), **a)),
    ],
    "relu": [
        ("it is the absolute value", lambda x: np.abs(x)),
        ("x comes back unchanged", lambda x: x),
    ],
    "relu_dx": [
        ("at y = 0 the gradient is 0: compare with >, not >=", lambda dy, y: dy * (y >= 0)),
        ("the mask is that of dy; it is where y > 0", lambda dy, y: dy * (dy > 0)),
        ("dy is multiplied by y; it passes unchanged where y > 0", lambda dy, y: dy * y),
        ("the mask is returned; multiply it by dy", lambda dy, y: (y > 0).astype(dy.dtype)),
    ],
    "cross_entropy_dx": [
        ("it is softmax(x) / N; the 1 of the target is missing",
         lambda x, target: _softmax(x) / len(x)),
        ("it is softmax(x) alone", lambda x, target: _softmax(x)),
    ],
    "sgd": [
        ("the step goes uphill: p - lr * b",
         lambda p, g, b, lr, momentum: _sgd(p, momentum * b + g, -lr)),
        ("lr belongs outside of b: b = momentum * b + g, p = p - lr * b",
         lambda p, g, b, lr, momentum: _sgd(p, momentum * b + lr * g, 1)),
        ("g is not multiplied by (1 - momentum)",
         lambda p, g, b, lr, momentum: _sgd(p, momentum * b + (1 - momentum) * g, lr)),
        ("this is Nesterov's step: p - lr * b, of the new b",
         lambda p, g, b, lr, momentum: _sgd(p, momentum * (momentum * b + g) + g, lr)),
        ("the two results are exchanged: return p, b",
         lambda **a: reference.sgd(**a)[::-1]),
        ("p moves by lr * g; it moves by lr * b, of the new b",
         lambda p, g, b, lr, momentum: _sgd(p, g, lr)),
        ("p moves by the old buffer, or the old one comes back; update b first",
         lambda p, g, b, lr, momentum: _sgd(p, b, lr)),
    ],
}  # fmt: skip


OVER_THE_BATCH = {"conv2d_dw": "sum", "cross_entropy": "mean", "cross_entropy_dx": "mean"}
"""What the answers of these are."""
FACTORS = (
    (-1, "the sign is wrong"),
    (1 / math.log(2), "log is the natural logarithm, not log2"),
    (1 / math.log(10), "log is the natural logarithm, not log10"),
)


def hint(case: Case, place: int, actual: Array, expected: Array) -> str:
    """The mistake that gives exactly this wrong answer, in words; empty if none is known to.

    place: of the answer among those of the case's function. Of the wrong shape it may be too.
    """
    for words, wrong in _mistaken(case):
        one = np.asarray((wrong if isinstance(wrong, tuple) else (wrong,))[place])
        if actual.shape == expected.shape:
            one = one[tuple(map(slice, expected.shape))]
        if one.shape == actual.shape and not unlike(actual, one.astype(expected.dtype)).any():
            return words
    if actual.shape != expected.shape:
        return ""
    if np.isfinite(expected).all() and not np.isfinite(actual).all():
        return "NaN or infinity: does e^x overflow, or is there a division by 0?"
    return _factor(case, actual, expected) or _where(case, unlike(actual, expected))


def _where(case: Case, wrong: Array) -> str:
    """By the sign of which argument the wrong elements of an elementwise function are told."""
    arrays = {name: x for name, x in case.arguments.items() if isinstance(x, np.ndarray)}
    for name, x in arrays.items() if {x.shape for x in arrays.values()} == {wrong.shape} else ():
        for sign, there in (("<", x < 0), ("=", x == 0), (">", x > 0)):
            if np.array_equal(there, wrong):
                return f"they are wrong where {name} {sign} 0, and right elsewhere"
    return ""


def _mistaken(case: Case) -> Iterator[tuple[str, Any]]:
    """What the function would give with each mistake."""
    right, given = getattr(reference, case.function), case.arguments
    others = [(words, partial(f, **given)) for words, f in MISTAKES.get(case.function, ())]
    others += [
        (words, partial(right, **given | {name: change(given[name])}))
        for name in given
        for words, change in CHANGES.get(name, ())
    ]
    for words, mistake in others:
        try:
            yield words, mistake()
        except (ValueError, IndexError, TypeError):  # the mistake is impossible here
            continue


def _factor(case: Case, actual: Array, expected: Array) -> str:
    """By how much all numbers are too large, if it is the same for all."""
    if not expected.any():
        return ""
    if not actual.any():
        return "everything is 0"
    with np.errstate(all="ignore"):
        factor = float((actual * expected).sum() / (expected * expected).sum())
    if not np.isfinite(factor) or unlike(actual, expected * factor).any():
        return ""
    told, (first, *_) = f"yours is {factor:.4g} times what is expected", case.arguments.values()
    N, wanted = len(first), OVER_THE_BATCH.get(case.function)
    if wanted and any(math.isclose(factor, by, rel_tol=1e-3) for by in (N, 1 / N)):
        told += f": over the {N} examples of the batch it is the {wanted}"
    return told + next((f": {why}" for by, why in FACTORS if math.isclose(factor, by)), "")
