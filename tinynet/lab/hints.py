"""The usual mistakes, as functions that make them: an answer that equals one is recognised.

For each output of each function: (what it says to the learner, what the mistake computes).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinynet.lab import reference
from tinynet.lab.compare import unlike
from tinynet.lab.reference import Array

Mistake = tuple[str, Callable[..., Any]]

NO_STRIDE = "the stride is ignored: window (p, q) begins at (p*stride[0], q*stride[1])"
NO_DILATION = "the dilation is ignored: the elements of a window are that far apart"
UPSIDE_DOWN = "the kernel is flipped; deep learning's convolution does not flip it"
TRANSPOSED = "rows and columns of the kernel are swapped"
SUMMED = "a pixel that several windows see must get the sum: `+=`, not `=`"
ONE_SIDE = "all the padding stands on one side; it is ((top, bottom), (left, right))"
WRONG_SIDE = "padding is ((top, bottom), (left, right)); yours has the two of a pair swapped"


def _flipped(w: Array) -> Array:
    return w[:, :, ::-1, ::-1]


def _swapped(padding: Any) -> Any:
    (top, bottom), (left, right) = padding
    return (bottom, top), (right, left)


def _dx_overwritten(
    dy: Array, w: Array, size: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Array:
    """conv2d_dx with `=` in place of `+=`."""
    padded = tuple(n + sum(pair) for n, pair in zip(size, padding))
    dx = np.zeros((len(dy), w.shape[1] * groups, *padded), dy.dtype)
    for at_y, at_w, at_x in reference.products(dy.shape, w.shape, stride, dilation, groups):
        dx[at_x] = dy[at_y] * w[at_w]
    return reference.cut(dx, size, padding)


def _dx_overwritten_by_places(dy: Array, w: Array, **settings: Any) -> Array:
    """The same, by one whose outer loops are the kernel's places (i, j)."""
    dx = np.zeros_like(reference.conv2d_dx(dy, w, **settings))
    for i, j in np.ndindex(*w.shape[2:]):
        place = np.zeros_like(w)
        place[:, :, i, j] = 1
        reached = reference.conv2d_dx(np.ones_like(dy), place, **settings) > 0
        dx[reached] = reference.conv2d_dx(dy, w * place, **settings)[reached]
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


def _before(padding: Any) -> Any:
    """All of the padding at the top and at the left."""
    return tuple((sum(pair), 0) for pair in padding)


def _behind(padding: Any) -> Any:
    """All of the padding at the bottom and at the right."""
    return tuple((0, sum(pair)) for pair in padding)


def _as_if(function: Callable[..., Array], **settings: Any) -> Callable[..., Array]:
    """The function with other settings, its answer cut to the size of the right one."""

    def mistake(**arguments: Any) -> Array:
        OH, OW = function(**arguments).shape[2:]
        return function(**{**arguments, **settings})[:, :, :OH, :OW]

    return mistake


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max(1, keepdims=True))
    return np.asarray(e / e.sum(1, keepdims=True))


MISTAKES: dict[str, list[Mistake]] = {
    "conv2d, y": [
        (UPSIDE_DOWN, lambda w, **a: reference.conv2d(w=_flipped(w), **a)),
        (TRANSPOSED, lambda w, **a: reference.conv2d(w=w.swapaxes(2, 3), **a)),
        (NO_STRIDE, _as_if(reference.conv2d, stride=(1, 1))),
        (NO_DILATION, _as_if(reference.conv2d, dilation=(1, 1))),
        ("the bias b is not added", lambda b, **a: reference.conv2d(b=None, **a)),
        ("the bias is added at every place of the kernel; it belongs to y once",
         lambda w, b, **a: reference.conv2d(w=w, b=b * w[0].size, **a)),
        ("kernel k belongs to group k // (O // groups), not k % groups", _modulo_groups),
        (WRONG_SIDE, lambda padding, **a: reference.conv2d(padding=_swapped(padding), **a)),
        (ONE_SIDE, lambda padding, **a: reference.conv2d(padding=_before(padding), **a)),
        (ONE_SIDE, lambda padding, **a: reference.conv2d(padding=_behind(padding), **a)),
    ],
    "conv2d_dx, dx": [
        (UPSIDE_DOWN, lambda w, **a: reference.conv2d_dx(w=_flipped(w), **a)),
        (TRANSPOSED, lambda w, **a: reference.conv2d_dx(w=w.swapaxes(2, 3), **a)),
        (SUMMED, _dx_overwritten),
        (SUMMED, _dx_overwritten_by_places),
        ("the padding is not cut off at the top and left: dx[:, :, top:top+H, left:left+W], not "
         "dx[:, :, :H, :W]",
         _padded_dx),
        ("the padding is cut off at the wrong side: keep dx[:, :, top:top+H, left:left+W]",
         lambda padding, **a: reference.conv2d_dx(padding=_swapped(padding), **a)),
    ],
    "conv2d_dw, dw": [
        (UPSIDE_DOWN, lambda **a: _flipped(reference.conv2d_dw(**a))),
        (TRANSPOSED, lambda **a: reference.conv2d_dw(**a).swapaxes(2, 3)),
        ("only the first image counts; dw is the sum over the batch",
         lambda dy, x, **a: reference.conv2d_dw(dy[:1], x[:1], **a)),
        ("only the last image counts: `+=`, not `=`",
         lambda dy, x, **a: reference.conv2d_dw(dy[-1:], x[-1:], **a)),
        ("it is the mean over the batch; dw is the sum",
         lambda dy, **a: reference.conv2d_dw(dy, **a) / len(dy)),
        (WRONG_SIDE, lambda padding, **a: reference.conv2d_dw(padding=_swapped(padding), **a)),
    ],
    "max_pool2d, y": [
        ("padding counts as 0; it must count as -inf",
         lambda x, padding, **a: reference.max_pool2d(
            reference.pad(x, padding), padding=((0, 0), (0, 0)), **a)),
        ("the result starts from 0; a window of negative numbers has a negative maximum",
         lambda **a: np.maximum(reference.max_pool2d(**a), 0)),
        (NO_STRIDE, _as_if(reference.max_pool2d, stride=(1, 1))),
        (NO_DILATION, _as_if(reference.max_pool2d, dilation=(1, 1))),
        ("it is the minimum", lambda x, **a: -reference.max_pool2d(-x, **a)),
        (WRONG_SIDE, lambda padding, **a: reference.max_pool2d(padding=_swapped(padding), **a)),
        (ONE_SIDE, lambda padding, **a: reference.max_pool2d(padding=_before(padding), **a)),
        (ONE_SIDE, lambda padding, **a: reference.max_pool2d(padding=_behind(padding), **a)),
    ],
    "max_pool2d_dx, dx": [
        ("of elements that tie, only the first may get dy", _dx_of_ties),
        ("the window's gradient is spread over all its elements; only the largest moves y",
         lambda dy, x, y, **a: _dx_of_ties(dy, np.zeros_like(x), np.zeros_like(y), **a)),
    ],
    "relu, y": [
        ("it is the absolute value", lambda x: np.abs(x)),
        ("x comes back unchanged", lambda x: x),
    ],
    "relu_dx, dx": [
        ("at y = 0 the gradient is 0: compare with >, not >=", lambda dy, y: dy * (y >= 0)),
        ("the mask is that of dy; it is where y > 0", lambda dy, y: dy * (dy > 0)),
        ("dy is multiplied by y; it passes unchanged where y > 0", lambda dy, y: dy * y),
        ("the mask is returned; multiply it by dy", lambda dy, y: (y > 0).astype(dy.dtype)),
    ],
    "cross_entropy, loss": [
        ("it is the sum over the batch; the loss is the mean",
         lambda x, target: reference.cross_entropy(x, target) * len(x)),
        ("the sign is wrong", lambda x, target: -reference.cross_entropy(x, target)),
    ],
    "cross_entropy_dx, dx": [
        ("it lacks the 1/N of the mean over the batch",
         lambda x, target: reference.cross_entropy_dx(x, target) * len(x)),
        ("it is softmax(x) / N; the 1 of the target is missing",
         lambda x, target: _softmax(x) / len(x)),
        ("it is softmax(x) alone", lambda x, target: _softmax(x)),
    ],
    "sgd, new p": [
        ("the step goes uphill: p - lr * b",
         lambda p, g, b, lr, momentum: p + lr * (momentum * b + g)),
        ("lr belongs outside of b: b = momentum * b + g, p = p - lr * b",
         lambda p, g, b, lr, momentum: p - (momentum * b + lr * g)),
        ("g is not multiplied by (1 - momentum)",
         lambda p, g, b, lr, momentum: p - lr * (momentum * b + (1 - momentum) * g)),
        ("p moves by the old buffer; update b first", lambda p, g, b, lr, momentum: p - lr * b),
    ],
    "sgd, new b": [
        ("lr belongs outside of b: b = momentum * b + g, p = p - lr * b",
         lambda p, g, b, lr, momentum: momentum * b + lr * g),
        ("g is not multiplied by (1 - momentum)",
         lambda p, g, b, lr, momentum: momentum * b + (1 - momentum) * g),
        ("the old buffer comes back", lambda p, g, b, lr, momentum: b),
    ],
}  # fmt: skip


def hint(output: str, arguments: dict[str, Any], actual: np.ndarray, expected: np.ndarray) -> str:
    """The mistake that gives exactly this wrong answer, in words; empty if none is known to.

    output: the function and what it returns, such as "conv2d, y".
    """
    return next(_recognised(output, arguments, actual, expected), "")


def _recognised(
    output: str, arguments: dict[str, Any], actual: np.ndarray, expected: np.ndarray
) -> Iterator[str]:
    for words, mistake in MISTAKES[output]:
        try:
            wrong = mistake(**arguments)
        except (ValueError, IndexError, TypeError):  # the mistake is impossible here
            continue
        wrong = np.asarray(wrong)
        if wrong.shape == expected.shape and not unlike(actual, wrong.astype(expected.dtype)).any():
            yield words
    scale = np.abs(expected).max(initial=0)
    if scale and np.abs(actual).max(initial=0) == 0:
        yield "everything is 0"
    elif scale:
        with np.errstate(all="ignore"):
            factor = float((actual * expected).sum() / (expected * expected).sum())
        if np.isfinite(factor) and not unlike(actual, expected * factor).any():
            yield f"yours is {factor:.4g} times what is expected"
