"""Reading the arguments that convolution and pooling share: pairs, padding, sizes that fit."""

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np

from tinynet.errors import ShapeError
from tinynet.kernels.geometry import Geometry, Pair, span
from tinynet.ops.checks import check_float

IntPair: TypeAlias = int | Sequence[int]
R = TypeVar("R")

MOST = 2**31 - 1
"""The largest argument: places in memory are then far from what 64 bits can count."""


def pair(op: str, argument: str, value: IntPair, least: int) -> Pair:
    """`value` or `(vertical, horizontal)` as a pair of ints from `least` to MOST."""
    if isinstance(value, tuple) and len(value) == 2:  # as layers keep it
        first, second = value
        if type(first) is int is type(second) and least <= min(value) <= max(value) <= MOST:
            return first, second
    values = value if isinstance(value, Sequence) else (value,)
    values = (*values, *values) if len(values) == 1 else values
    try:
        first, second = (operator.index(v) for v in values)
    except (TypeError, ValueError):
        raise TypeError(
            f"{op}: {argument} must be an int or a pair of ints, got {value!r}"
        ) from None
    if min(first, second) < least:
        raise ShapeError(f"{op}: {argument} must be at least {least}, got {value!r}")
    if max(first, second) > MOST:
        raise ShapeError(f"{op}: {argument} must be at most {MOST}, got {value!r}")
    return first, second


def memoized(function: Callable[..., R]) -> Callable[..., R]:
    """The function with its last results at hand, for arguments that come again in every step.

    Arguments that cannot be remembered (lists) and errors are worked out each time.
    """
    remembered = functools.lru_cache(maxsize=512, typed=True)(function)

    @functools.wraps(function)
    def at_hand(*arguments: Any) -> R:
        try:
            return remembered(*arguments)
        except TypeError:  # of a list, or of the function, which then says so once more
            pass
        return function(*arguments)

    return at_hand


def check_image(op: str, x: np.ndarray) -> None:
    """ShapeError unless x is (N, C, H, W); TypeError unless its elements are floats."""
    if x.ndim != 4:
        form, hint = "(N, C, H, W) or (C, H, W)", "; add both with x[None, None]" * (x.ndim == 2)
        if x.ndim == 3:  # of which `nn.functional` makes a batch, but not an operation
            form, hint = "(N, C, H, W)", "; add the batch axis with x.unsqueeze(0)"
        raise ShapeError(f"{op}: the input must have shape {form}, got {x.shape}{hint}")
    check_float(op, x)


def check_fits(op: str, g: Geometry) -> None:
    """ShapeError if the window is larger than the padded image."""
    if min(g.out) < 1:
        window = span(g.kernel[0], g.dilation[0]), span(g.kernel[1], g.dilation[1])
        short = max(0, window[0] - g.padded[0]), max(0, window[1] - g.padded[1])
        raise ShapeError(
            f"{op}: a window of {window[0]}x{window[1]} (kernel {g.kernel[0]}x{g.kernel[1]}, "
            f"dilation {g.dilation[0]}x{g.dilation[1]}) does not fit into the padded image of "
            f"{g.padded[0]}x{g.padded[1]} (input {g.size[0]}x{g.size[1]}). Use a smaller kernel, a "
            f"larger image, or {max(-(-s // 2) for s in short)} more padding."
        )
