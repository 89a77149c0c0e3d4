"""What operations, and the layers made of them, ask of their inputs and settings.

owner: the operation or the layer, for the message.

Numbers too small for their dtype count as 0. `np.seterr(under="raise")` would stop at e^-1000,
though 0 is what a sigmoid needs there. So the activations, losses and normalisations, whose
intermediate values nobody sees, are `may_underflow`; arithmetic (`*`, `exp`, ...) does as NumPy is
told. Overflow and division by 0 are heeded in both.
"""

import math
from typing import Any

import numpy as np

from tinynet import errors
from tinynet.errors import ShapeError

may_underflow = np.errstate(under="ignore")
"""A decorator: every underflow in the operation is taken as 0, as in every backward pass."""


def check_float(op: str, x: Any) -> None:
    """TypeError unless the elements of x are floats."""
    if x.dtype.kind != "f":
        raise TypeError(
            f"{op}: the input has dtype {x.dtype}, it takes floats; convert with x.float(), an "
            "array by x.astype(np.float32), and scale images of 0 to 255 with x.float() / 255"
        )


def as_array(x: Any) -> Any:
    """x itself, as an array if it is a number or a list."""
    return x if hasattr(x, "dtype") else np.asarray(x)


def check_finite(op: str, y: np.ndarray, **inputs: np.ndarray) -> None:
    """FloatingPointError if the result y is not finite because an input is not.

    Costs one look at y as long as y is finite. An infinite y that finite inputs gave, or -inf
    where it stands for log(0), is a result like any other and passes.
    """
    if math.isfinite(y) if isinstance(y, np.generic) else np.isfinite(y).all():
        return
    for name, values in inputs.items():
        _complain(op, name, values, np.isnan(values), "NaN")
    if np.isnan(y).any():
        for name, values in inputs.items():
            _complain(op, name, values, np.isinf(values), "infinite")


def _complain(op: str, name: str, values: np.ndarray, bad: np.ndarray, what: str) -> None:
    """FloatingPointError that counts the values that are `bad` and says where the first is."""
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise FloatingPointError(
            f"{op}: {np.count_nonzero(bad)} of {values.size} values of the {name} (shape "
            f"{values.shape}) are {what}, the first at index {first}. Either the training "
            "diverged (use a smaller learning rate, or nn.utils.clip_grad_norm_), or something "
            "before it took the log of 0, divided by 0 or read such data."
        )


def integer(owner: str, name: str, value: Any, least: int = 1) -> int:
    """`value` as an int of at least `least`; TypeError or ShapeError otherwise."""
    return errors.integer(owner, name, value, least, ShapeError)


def within(owner: str, name: str, value: Any, low: float, high: float) -> float:
    """`value` if low <= value <= high; ValueError otherwise, TypeError for what is no number."""
    if isinstance(value, bool) or not hasattr(value, "__float__") or getattr(value, "ndim", None):
        raise TypeError(f"{owner}: {name} must be a number, got {value!r:.60}")
    if not low <= value <= high:
        limits = f"{low:g} or more" if high == math.inf else f"from {low:g} to {high:g}"
        raise ValueError(f"{owner}: {name} must be {limits}, got {value!r}")
    return float(value)


def positive(owner: str, name: str, value: Any) -> float:
    """`value` if it is larger than 0; ValueError otherwise."""
    if not value > 0:
        raise ValueError(f"{owner}: {name} must be more than 0, got {value!r}")
    return float(value)


def one_of(owner: str, name: str, value: Any, known: tuple[str, ...]) -> str:
    """`value` if it is one of the words in `known`; ValueError otherwise."""
    if value not in known:
        words = " or ".join(repr(word) for word in known)
        raise ValueError(f"{owner}: {name} must be {words}, got {value!r}")
    return str(value)
