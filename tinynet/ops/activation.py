"""Activations made of pieces; `elementwise.py` has the usual ones.

Each is y = f(x) for every element by itself, so dx = dy * f'(x). At a kink, where the left and
the right derivative differ, each says which of the two it takes; it is the one that PyTorch takes.
"""

import numpy as np

from tinynet.autograd import Array, Op, differentiable
from tinynet.ops.checks import may_underflow
from tinynet.ops.kinks import signs


@differentiable(
    kinks=signs(
        lambda x, min_val=-1.0, max_val=1.0: (x - min_val, x - max_val),
        "has gradient 0 at its limits",
    ),
    rule="y = x between the limits, dy/dx = 1 there, else 0",
)
def hardtanh(x: Array, min_val: float = -1.0, max_val: float = 1.0) -> Op:
    """The identity between two limits: y = min(max(x, min_val), max_val).

    Shapes: x (...) -> y (...).
    Gradient: dx = dy where min_val < x < max_val, else 0, at both kinks too. Keeps x.
    Raises ValueError if max_val is below min_val.
    """
    if max_val < min_val:
        raise ValueError(
            f"hardtanh: min_val={min_val} must not be more than max_val={max_val}; swap them"
        )
    return np.clip(x, min_val, max_val), lambda dy: dy * ((x > min_val) & (x < max_val))


@differentiable(
    kinks=signs(lambda x, lambd=0.5: np.abs(x) - lambd, "has gradient 0 where |x| = lambd"),
    rule="y = x, dy/dx = 1 where |x| > lambd, else both 0",
)
def hardshrink(x: Array, lambd: float = 0.5) -> Op:
    """What is small becomes 0: y = x where |x| > lambd, else 0.

    Shapes: x (...) -> y (...).
    Gradient: dx = dy where |x| > lambd, else 0, at the steps |x| = lambd too. Keeps the mask.
    """
    large = np.abs(x) > lambd
    return x * large, lambda dy: dy * large


@differentiable(
    kinks=signs(lambda x, threshold, value: x - threshold, "has gradient 0 at its threshold"),
    rule="y = x, dy/dx = 1 where x > threshold; else y = value",
)
def threshold(x: Array, threshold: float, value: float) -> Op:
    """y = x where x > threshold, else value.

    Shapes: x (...) -> y (...).
    Gradient: dx = dy where x > threshold, else 0, at the step too. Keeps the mask.
    """
    above = x > threshold
    return np.where(above, x, x.dtype.type(value)), lambda dy: dy * above


@differentiable(
    kinks=signs(lambda x, w: x, "takes the slope w at x = 0"),
    rule="y = x where x > 0, else w x; dy/dw = x there",
)
@may_underflow
def prelu(x: Array, w: Array) -> Op:
    """Rectified linear unit with learned slopes: y = x where x > 0, else w x.

    Shapes: x (...), w any that broadcasts over x -> y as x.
    Gradients: dx = dy where x > 0, else dy w; dw = dy x where x <= 0, else 0, summed over what
    shares a slope. At the kink x = 0 it is dx = dy w. Keeps x and w.
    Source: He, Zhang, Ren, Sun, "Delving deep into rectifiers", arXiv:1502.01852.
    """
    return (
        np.where(x > 0, x, w * x),
        lambda dy: np.where(x > 0, dy, w * dy),
        lambda dy: np.where(x > 0, 0, x * dy),
    )
