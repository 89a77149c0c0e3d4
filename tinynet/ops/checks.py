"""What operations ask of their inputs before they compute anything."""

from __future__ import annotations

import math

import numpy as np


def check_float(op: str, x: np.ndarray) -> None:
    """TypeError unless the elements of x are floats."""
    if x.dtype.kind != "f":
        raise TypeError(
            f"{op}: the input has dtype {x.dtype}, it takes floats; convert with x.float(), and "
            "scale images of 0 to 255 with x.float() / 255"
        )


def check_finite(op: str, y: np.ndarray, **inputs: np.ndarray) -> None:
    """FloatingPointError if the result y is not finite because an input is not.

    Costs one look at y as long as y is finite. An infinite y that finite inputs gave, or -inf
    where it stands for log(0), is a result like any other and passes.
    """
    if math.isfinite(y) if y.ndim == 0 else np.isfinite(y).all():
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
