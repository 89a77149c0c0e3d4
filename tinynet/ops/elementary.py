"""Elementary functions of one number, and the steps whose slope is 0 wherever there is one.

As in elementwise.py the chain rule is dx = dy * f'(x), written with whichever of x and y makes f'
shortest. Outside the domain of f the result is NaN, with NumPy's warning.
"""

from __future__ import annotations

import math

import numpy as np

from tinynet.autograd import Array, differentiable
from tinynet.ops import erf as error_function
from tinynet.ops.kinks import choice

Op = tuple[Array, ...]


@differentiable(smooth=True, rule="y = sin x, dy/dx = cos x")
def sin(x: Array) -> Op:
    """Sine, y = sin(x). Gradient: dx = dy * cos(x). Keeps x."""
    return np.sin(x), lambda dy: dy * np.cos(x)


@differentiable(smooth=True, rule="y = cos x, dy/dx = -sin x")
def cos(x: Array) -> Op:
    """Cosine, y = cos(x). Gradient: dx = -dy * sin(x). Keeps x."""
    return np.cos(x), lambda dy: -dy * np.sin(x)


@differentiable(smooth=True, rule="y = tan x, dy/dx = 1 + y^2")
def tan(x: Array) -> Op:
    """Tangent, y = tan(x). Gradient: dx = dy * (1 + y^2), as tan' = 1 / cos^2. Keeps y."""
    y = np.tan(x)
    return y, lambda dy: dy * (1 + y * y)


@differentiable(smooth=True, rule="y = arcsin x, dy/dx = 1 / sqrt(1 - x^2)")
def asin(x: Array) -> Op:
    """Arc sine. Gradient: dx = dy / sqrt(1 - x^2), infinite at -1 and 1. Keeps x."""
    return np.arcsin(x), lambda dy: dy / np.sqrt((1 - x) * (1 + x))


@differentiable(smooth=True, rule="y = arccos x, dy/dx = -1 / sqrt(1 - x^2)")
def acos(x: Array) -> Op:
    """Arc cosine. Gradient: dx = -dy / sqrt(1 - x^2), infinite at -1 and 1. Keeps x."""
    return np.arccos(x), lambda dy: -dy / np.sqrt((1 - x) * (1 + x))


@differentiable(smooth=True, rule="y = arctan x, dy/dx = 1 / (1 + x^2)")
def atan(x: Array) -> Op:
    """Arc tangent. Gradient: dx = dy / (1 + x^2). Keeps x."""
    return np.arctan(x), lambda dy: dy / (1 + x * x)


@differentiable(smooth=True, rule="y = sinh x, dy/dx = cosh x")
def sinh(x: Array) -> Op:
    """Hyperbolic sine, (e^x - e^-x) / 2. Gradient: dx = dy * cosh(x). Keeps x."""
    return np.sinh(x), lambda dy: dy * np.cosh(x)


@differentiable(smooth=True, rule="y = cosh x, dy/dx = sinh x")
def cosh(x: Array) -> Op:
    """Hyperbolic cosine, (e^x + e^-x) / 2. Gradient: dx = dy * sinh(x). Keeps x."""
    return np.cosh(x), lambda dy: dy * np.sinh(x)


@differentiable(smooth=True, rule="y = arsinh x, dy/dx = 1 / sqrt(x^2 + 1)")
def asinh(x: Array) -> Op:
    """Inverse of sinh. Gradient: dx = dy / sqrt(x^2 + 1). Keeps x."""
    return np.arcsinh(x), lambda dy: dy / np.hypot(x, 1)


@differentiable(smooth=True, rule="y = arcosh x, dy/dx = 1 / sqrt(x^2 - 1)")
def acosh(x: Array) -> Op:
    """Inverse of cosh, for x >= 1. Gradient: dx = dy / sqrt(x^2 - 1). Keeps x."""
    return np.arccosh(x), lambda dy: dy / np.sqrt((x - 1) * (x + 1))


@differentiable(smooth=True, rule="y = artanh x, dy/dx = 1 / (1 - x^2)")
def atanh(x: Array) -> Op:
    """Inverse of tanh. Gradient: dx = dy / (1 - x^2). Keeps x."""
    return np.arctanh(x), lambda dy: dy / ((1 - x) * (1 + x))


@differentiable(smooth=True, rule="y = 2^x, dy/dx = y ln 2")
def exp2(x: Array) -> Op:
    """y = 2^x. Gradient: dx = dy * y * ln 2. Keeps y."""
    y = np.exp2(x)
    return y, lambda dy: dy * y * math.log(2)


@differentiable(smooth=True, rule="y = e^x - 1, dy/dx = y + 1")
def expm1(x: Array) -> Op:
    """y = e^x - 1, exact near 0. Gradient: dx = dy * (y + 1). Keeps y."""
    y = np.expm1(x)
    return y, lambda dy: dy * (y + 1)


@differentiable(smooth=True, rule="y = ln(1 + x), dy/dx = 1 / (1 + x)")
def log1p(x: Array) -> Op:
    """y = ln(1 + x), exact near 0. Gradient: dx = dy / (1 + x). Keeps x."""
    return np.log1p(x), lambda dy: dy / (1 + x)


@differentiable(smooth=True, rule="y = log2 x, dy/dx = 1 / (x ln 2)")
def log2(x: Array) -> Op:
    """Logarithm to the base 2. Gradient: dx = dy / (x ln 2). Keeps x."""
    return np.log2(x), lambda dy: dy / (x * math.log(2))


@differentiable(smooth=True, rule="y = log10 x, dy/dx = 1 / (x ln 10)")
def log10(x: Array) -> Op:
    """Logarithm to the base 10. Gradient: dx = dy / (x ln 10). Keeps x."""
    return np.log10(x), lambda dy: dy / (x * math.log(10))


@differentiable(smooth=True, rule="y = 1 / sqrt(x), dy/dx = -y^3 / 2")
def rsqrt(x: Array) -> Op:
    """y = 1 / sqrt(x). Gradient: dx = -dy * y^3 / 2, from (x^(-1/2))' = -x^(-3/2) / 2. Keeps y."""
    y = 1 / np.sqrt(x)
    return y, lambda dy: -0.5 * dy * y * y * y


@differentiable(smooth=True, rule="y = 1 / x, dy/dx = -y^2")
def reciprocal(x: Array) -> Op:
    """y = 1 / x. Gradient: dx = -dy * y^2. Keeps y."""
    y = 1 / x
    return y, lambda dy: -dy * y * y


@differentiable(smooth=True, rule="y = erf x, dy/dx = 2 / sqrt(pi) e^(-x^2)")
def erf(x: Array) -> Op:
    """The error function, 2 / sqrt(pi) * integral of e^(-t^2) from 0 to x.

    Gradient: the function under the integral, dx = dy * 2 / sqrt(pi) * e^(-x^2). Keeps x.
    """
    return error_function.erf(x), lambda dy: dy * (2 / math.sqrt(math.pi)) * np.exp(-x * x)


@differentiable(rule="y = floor of x, dy/dx = 0")
def floor(x: Array) -> Op:
    """The largest integer not above x. Gradient: 0, on the steps too, as in PyTorch."""
    return np.floor(x), np.zeros_like


@differentiable(rule="y = ceil of x, dy/dx = 0")
def ceil(x: Array) -> Op:
    """The smallest integer not below x. Gradient: 0, on the steps too, as in PyTorch."""
    return np.ceil(x), np.zeros_like


@differentiable(rule="y = trunc of x, dy/dx = 0")
def trunc(x: Array) -> Op:
    """x without its fraction. Gradient: 0, on the steps too, as in PyTorch."""
    return np.trunc(x), np.zeros_like


@differentiable(rule="y = x rounded, dy/dx = 0")
def round(x: Array, decimals: int = 0) -> Op:  # noqa: A001 (its name)
    """x rounded to `decimals` places, halves to even. Gradient: 0, as in PyTorch."""
    return np.round(x, decimals), np.zeros_like


@differentiable(rule="y = sign of x, dy/dx = 0")
def sign(x: Array) -> Op:
    """-1, 0 or 1. Gradient: 0, at x = 0 too, as in PyTorch."""
    return np.sign(x), np.zeros_like


@differentiable(
    smooth=True, rule="z = angle of (x, y), dz/dy = x / (x^2 + y^2), dz/dx = -y / (x^2 + y^2)"
)
def atan2(y: Array, x: Array) -> Op:
    """The angle of the point (x, y), from -pi to pi.

    Gradients, from atan(y / x): dy = dz * x / (x^2 + y^2), dx = -dz * y / (x^2 + y^2).
    At the point (0, 0), which has no angle, they are 0. Keeps both inputs.
    """
    z = np.arctan2(y, x)
    square = x * x + y * y
    square = np.where(square == 0, 1, square)
    return z, lambda dz: dz * x / square, lambda dz: -dz * y / square


@differentiable(smooth=True, rule="z = sqrt(x^2 + y^2), dz/dx = x / z, dz/dy = y / z")
def hypot(x: Array, y: Array) -> Op:
    """z = sqrt(x^2 + y^2). Gradients: dx = dz * x / z, dy = dz * y / z. Keeps both inputs and z."""
    z = np.hypot(x, y)
    return z, lambda dz: dz * x / z, lambda dz: dz * y / z


@differentiable(smooth=True, rule="z = ln(e^x + e^y), dz/dx = e^(x - z), dz/dy = e^(y - z)")
def logaddexp(x: Array, y: Array) -> Op:
    """z = ln(e^x + e^y), without overflow.

    Gradients: each gets its share of the sum, dx = dz * e^(x - z), dy = dz * e^(y - z).
    Keeps both inputs and z.
    """
    z = np.logaddexp(x, y)
    return z, lambda dz: dz * np.exp(x - z), lambda dz: dz * np.exp(y - z)


@differentiable(
    kinks=choice(lambda x, y: np.floor(x / y), "goes on with the slope of its piece"),
    rule="z = x - y floor(x / y), dz/dx = 1, dz/dy = -floor(x / y)",
)
def remainder(x: Array, y: Array) -> Op:
    """x - floor(x / y) * y: what is left of x, with the sign of y.

    Gradients: dx = dz, dy = -dz * floor(x / y), since the floor is constant between its steps.
    Keeps both inputs.
    """
    return np.remainder(x, y), lambda dz: dz, lambda dz: -dz * np.floor(x / y)


@differentiable(
    kinks=choice(lambda x, y: np.trunc(x / y), "goes on with the slope of its piece"),
    rule="z = x - y trunc(x / y), dz/dx = 1, dz/dy = -trunc(x / y)",
)
def fmod(x: Array, y: Array) -> Op:
    """x - trunc(x / y) * y: what is left of x, with the sign of x.

    Gradients: dx = dz, dy = -dz * trunc(x / y), as in `remainder`. Keeps both inputs.
    """
    return np.fmod(x, y), lambda dz: dz, lambda dz: -dz * np.trunc(x / y)


@differentiable(smooth=True, rule="z = x ln y, dz/dx = ln y, dz/dy = x / y")
def xlogy(x: Array, y: Array) -> Op:
    """z = x * ln(y), and 0 where x is 0, whatever y is.

    Gradients: dx = dz * ln(y), dy = dz * x / y, each 0 where x is 0 and y is not above 0.
    Keeps both inputs.
    """
    used = np.where((x == 0) & (y <= 0), np.ones_like(y), y)  # ln(0) is of no account there
    return x * np.log(used), lambda dz: dz * np.log(used), lambda dz: dz * x / used
