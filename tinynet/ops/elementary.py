"""Elementary functions of one number, and the steps whose slope is 0 wherever there is one.

As in elementwise.py the chain rule is dx = dy * f'(x), written with whichever of x and y makes f'
shortest: a row for each function, (name, f, f', what it is, its rule). Outside the domain of f the
result is NaN.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tinynet.autograd import Array, Op, differentiable
from tinynet.ops.erf import erf as error_function
from tinynet.ops.kinks import choice

if TYPE_CHECKING:
    from tinynet.tensor import Tensor

__all__ = [
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "ceil", "cos", "cosh", "erf",
    "exp2", "expm1", "floor", "fmod", "hypot", "log1p", "log2", "log10", "logaddexp", "reciprocal",
    "remainder", "round", "rsqrt", "sign", "sin", "sinh", "tan", "trunc", "xlogy",
]  # fmt: skip

Function: TypeAlias = Callable[..., Array]
Operation: TypeAlias = "Callable[..., Tensor]"


def _of_x(name: str, f: Function, slope: Function, about: str, rule: str) -> Operation:
    """The operation y = f(x) with dx = dy * slope(x)."""

    def body(x: Array) -> Op:
        return f(x), lambda dy: dy * slope(x)

    return _operation(name, body, f"{about}. Gradient: {rule}. Keeps x.", rule)


def _of_y(name: str, f: Function, slope: Function, about: str, rule: str) -> Operation:
    """The operation y = f(x) with dx = dy * slope(y)."""

    def body(x: Array) -> Op:
        y = f(x)
        return y, lambda dy: dy * slope(y)

    return _operation(name, body, f"{about}. Gradient: {rule}. Keeps y.", rule)


def _step(name: str, f: Function, about: str) -> Operation:
    """The operation y = f(x), constant between its steps."""
    about = f"{about}. Gradient: 0, on the steps too, as in PyTorch."
    rule = f"y = {name} of x, dy/dx = 0"
    return _operation(name, lambda x: (f(x), np.zeros_like), about, rule)


def _operation(name: str, body: Any, about: str, rule: str, kinks: Any = None) -> Operation:
    body.__name__ = body.__qualname__ = name
    body.__doc__ = about
    operation: Operation = differentiable(rule=rule, kinks=kinks)(body)
    return operation


# fmt: off
sin = _of_x("sin", np.sin, np.cos, "Sine", "y = sin x, dy/dx = cos x")
cos = _of_x("cos", np.cos, lambda x: -np.sin(x), "Cosine", "y = cos x, dy/dx = -sin x")
tan = _of_y("tan", np.tan, lambda y: 1 + y * y,
    "Tangent, with tan' = 1 / cos^2", "y = tan x, dy/dx = 1 + y^2")
asin = _of_x("asin", np.arcsin, lambda x: 1 / np.sqrt((1 - x) * (1 + x)),
    "Arc sine; its slope is infinite at -1 and 1", "y = arcsin x, dy/dx = 1 / sqrt(1 - x^2)")
acos = _of_x("acos", np.arccos, lambda x: -1 / np.sqrt((1 - x) * (1 + x)),
    "Arc cosine; its slope is infinite at -1 and 1", "y = arccos x, dy/dx = -1 / sqrt(1 - x^2)")
atan = _of_x("atan", np.arctan, lambda x: 1 / (1 + x * x),
    "Arc tangent", "y = arctan x, dy/dx = 1 / (1 + x^2)")
sinh = _of_x("sinh", np.sinh, np.cosh,
    "Hyperbolic sine, (e^x - e^-x) / 2", "y = sinh x, dy/dx = cosh x")
cosh = _of_x("cosh", np.cosh, np.sinh,
    "Hyperbolic cosine, (e^x + e^-x) / 2", "y = cosh x, dy/dx = sinh x")
asinh = _of_x("asinh", np.arcsinh, lambda x: 1 / np.hypot(x, 1),
    "Inverse of sinh", "y = arsinh x, dy/dx = 1 / sqrt(x^2 + 1)")
acosh = _of_x("acosh", np.arccosh, lambda x: 1 / np.sqrt((x - 1) * (x + 1)),
    "Inverse of cosh, for x >= 1", "y = arcosh x, dy/dx = 1 / sqrt(x^2 - 1)")
atanh = _of_x("atanh", np.arctanh, lambda x: 1 / ((1 - x) * (1 + x)),
    "Inverse of tanh", "y = artanh x, dy/dx = 1 / (1 - x^2)")
exp2 = _of_y("exp2", np.exp2, lambda y: y * math.log(2),
    "Power of 2", "y = 2^x, dy/dx = y ln 2")
expm1 = _of_y("expm1", np.expm1, lambda y: y + 1,
    "e^x - 1, exact near 0", "y = e^x - 1, dy/dx = y + 1")
log1p = _of_x("log1p", np.log1p, lambda x: 1 / (1 + x),
    "ln(1 + x), exact near 0", "y = ln(1 + x), dy/dx = 1 / (1 + x)")
log2 = _of_x("log2", np.log2, lambda x: 1 / (x * math.log(2)),
    "Logarithm to the base 2", "y = log2 x, dy/dx = 1 / (x ln 2)")
log10 = _of_x("log10", np.log10, lambda x: 1 / (x * math.log(10)),
    "Logarithm to the base 10", "y = log10 x, dy/dx = 1 / (x ln 10)")
rsqrt = _of_y("rsqrt", lambda x: 1 / np.sqrt(x), lambda y: -0.5 * y * y * y,
    "1 / sqrt(x); (x^(-1/2))' = -x^(-3/2) / 2", "y = 1 / sqrt(x), dy/dx = -y^3 / 2")
reciprocal = _of_y("reciprocal", lambda x: 1 / x, lambda y: -y * y,
    "One divided by x", "y = 1 / x, dy/dx = -y^2")
erf = _of_x("erf", error_function, lambda x: (2 / math.sqrt(math.pi)) * np.exp(-x * x),
    "The error function, 2 / sqrt(pi) * integral of e^(-t^2) from 0 to x; its slope is what stands "
    "under the integral", "y = erf x, dy/dx = 2 / sqrt(pi) e^(-x^2)")
# fmt: on

floor = _step("floor", np.floor, "The largest integer not above x")
ceil = _step("ceil", np.ceil, "The smallest integer not below x")
trunc = _step("trunc", np.trunc, "x without its fraction")
sign = _step("sign", np.sign, "-1, 0 or 1")


@differentiable(rule="y = x rounded, dy/dx = 0")
def round(x: Array, decimals: int = 0) -> Op:
    """x rounded to `decimals` places, halves to even. Gradient: 0, as in PyTorch."""
    return np.round(x, decimals), np.zeros_like


def _of_both(
    name: str, f: Function, dx: Function, dy: Function, about: str, rule: str, kinks: Any = None
) -> Operation:
    """The operation z = f(x, y) whose gradients are dz * dx(x, y, z) and dz * dy(x, y, z)."""

    def body(x: Array, y: Array) -> Op:
        z = f(x, y)
        return z, lambda dz: dz * dx(x, y, z), lambda dz: dz * dy(x, y, z)

    about = f"{about}. Gradients: {rule}. Keeps both inputs and z."
    return _operation(name, body, about, rule, kinks=kinks)


@differentiable(rule="z = angle of (x, y), dz/dy = x / (x^2 + y^2), dz/dx = -y / (x^2 + y^2)")
def atan2(y: Array, x: Array) -> Op:
    """The angle of the point (x, y), from -pi to pi.

    Gradients, from atan(y / x): dy = dz * x / (x^2 + y^2), dx = -dz * y / (x^2 + y^2).
    At the point (0, 0), which has no angle, they are 0. Keeps both inputs.
    """
    square = x * x + y * y
    square = np.where(square == 0, 1, square)
    return np.arctan2(y, x), lambda dz: dz * x / square, lambda dz: -dz * y / square


def _counted(x: Array, y: Array) -> Array:
    """y, and 1 where x is 0 and y is not above 0, whose logarithm is of no account."""
    return np.where((x == 0) & (y <= 0), np.ones_like(y), y)


PIECE = "goes on with the slope of its piece"
# fmt: off
hypot = _of_both("hypot", np.hypot, lambda x, y, z: x / z, lambda x, y, z: y / z,
    "The length of (x, y)", "z = sqrt(x^2 + y^2), dz/dx = x / z, dz/dy = y / z")
logaddexp = _of_both("logaddexp", np.logaddexp,
    lambda x, y, z: np.exp(x - z), lambda x, y, z: np.exp(y - z),
    "ln(e^x + e^y) without overflow; each gets its share of the sum",
    "z = ln(e^x + e^y), dz/dx = e^(x - z), dz/dy = e^(y - z)")
remainder = _of_both("remainder", np.remainder,
    lambda x, y, z: 1, lambda x, y, z: -np.floor(x / y),
    "What is left of x, with the sign of y; the floor is constant between its steps",
    "z = x - y floor(x / y), dz/dx = 1, dz/dy = -floor(x / y)",
    choice(lambda x, y: np.floor(x / y), PIECE))
fmod = _of_both("fmod", np.fmod, lambda x, y, z: 1, lambda x, y, z: -np.trunc(x / y),
    "What is left of x, with the sign of x",
    "z = x - y trunc(x / y), dz/dx = 1, dz/dy = -trunc(x / y)",
    choice(lambda x, y: np.trunc(x / y), PIECE))
xlogy = _of_both("xlogy", lambda x, y: x * np.log(_counted(x, y)),
    lambda x, y, z: np.log(_counted(x, y)), lambda x, y, z: x / _counted(x, y),
    "x ln y, and 0 where x is 0, whatever y is; so are its gradients where y is not above 0 there",
    "z = x ln y, dz/dx = ln y, dz/dy = x / y")
# fmt: on
