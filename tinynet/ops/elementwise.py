"""Operations on each element by itself; the two-input ones broadcast as NumPy does.

For y = f(x) applied elementwise, the chain rule is dx = dy * f'(x). Each function below keeps
whichever of x and y makes f' cheapest to write. Broadcasting needs nothing here: the gradient
comes out in the broadcast shape, and `@differentiable` sums it back to the input's.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tinynet import kernels
from tinynet.autograd import Array, Op, differentiable
from tinynet.ops.checks import as_array, may_underflow, one_of
from tinynet.ops.erf import erf
from tinynet.ops.kinks import choice, signs

if TYPE_CHECKING:
    from tinynet.tensor import Tensor

__all__ = [
    "abs", "add", "clip", "div", "elu", "exp", "gelu", "leaky_relu", "log", "maximum", "minimum",
    "mul", "neg", "pow", "relu", "sigmoid", "silu", "softplus", "sqrt", "sub", "tanh", "where",
]  # fmt: skip

GELU_FORMS = ("none", "tanh")


@differentiable(rule="y = x + z, dy/dx = 1")
def add(x: Array, y: Array) -> Op:
    """Sum, z = x + y. Gradients: dx = dz, dy = dz. Keeps nothing."""
    return x + y, lambda dz: dz, lambda dz: dz


@differentiable(rule="z = x - y, dz/dx = 1, dz/dy = -1")
def sub(x: Array, y: Array) -> Op:
    """Difference, z = x - y. Gradients: dx = dz, dy = -dz. Keeps nothing."""
    return x - y, lambda dz: dz, lambda dz: -dz


@differentiable(rule="z = x y, dz/dx = y")
def mul(x: Array, y: Array) -> Op:
    """Product, z = x * y. Gradients by the product rule: dx = dz * y, dy = dz * x.

    Keeps both inputs.
    """
    return x * y, lambda dz: dz * y, lambda dz: dz * x


@differentiable(rule="z = x / y, dz/dx = 1 / y, dz/dy = -z / y")
def div(x: Array, y: Array) -> Op:
    """Quotient, z = x / y. Integers give floats.

    Gradients: dx = dz / y; dy = -dz * x / y^2 = -dz * z / y, from (1/y)' = -1/y^2. The second
    form squares nothing, so nothing overflows. Keeps y and z.
    """
    z = x / y
    return z, lambda dz: dz / y, lambda dz: -dz * z / y


@differentiable(rule="y = -x, dy/dx = -1")
def neg(x: Array) -> Op:
    """Negation, y = -x. Gradient: dx = -dy. Keeps nothing."""
    return -x, lambda dy: -dy


@differentiable(rule="y = x^p, dy/dx = p x^(p - 1)")
def pow(x: Array, exponent: Array) -> Op:
    """Power, y = x ** p.

    Gradients: dx = dy * p * x ** (p - 1); dp = dy * y * log(x), since x^p = e^(p log x).
    At x = 0 the gradient of p is 0 for p >= 0 (the limit of x^p log x); where p = 0, dx is 0,
    at x = 0 too. A negative x with a fractional p gives NaN, as NumPy does. Keeps x, p and y.
    """
    y = x**exponent

    def dx(dy: Array) -> Array:
        if isinstance(exponent, (int, float)):
            return dy * (exponent * x ** (exponent - 1)) if exponent != 0 else np.zeros_like(dy)
        # x^(p-1) at p = 0 would be 1/x: infinite at 0, though the function is constant there
        p = np.where(exponent == 0, 1, exponent)
        return dy * np.where(exponent == 0, 0, p * x ** (p - 1))

    def dexponent(dy: Array) -> Array:
        return dy * y * np.log(np.where((x == 0) & (exponent >= 0), 1, x))

    return y, dx, dexponent


@differentiable(rule="y = e^x, dy/dx = y")
def exp(x: Array) -> Op:
    """Exponential, y = e^x. Gradient: dx = dy * y. Keeps y."""
    y = np.exp(x)
    return y, lambda dy: dy * y


@differentiable(rule="y = log x, dy/dx = 1 / x")
def log(x: Array) -> Op:
    """Natural logarithm, y = log x (-inf at 0, NaN below). Gradient: dx = dy / x. Keeps x."""
    return np.log(x), lambda dy: dy / x


@differentiable(rule="y = sqrt(x), dy/dx = 1 / (2 y)")
def sqrt(x: Array) -> Op:
    """Square root, y = sqrt(x). Gradient: dx = dy / (2 y), from x = y^2, 1 = 2 y y'. Keeps y.

    At x = 0 the gradient is infinite; where x < 0, both are NaN.
    """
    y = np.sqrt(x)
    return y, lambda dy: dy / (2 * y)


@differentiable(
    kinks=signs(lambda x: x, "has gradient 0 at x = 0"), rule="y = |x|, dy/dx = sign(x)"
)
def abs(x: Array) -> Op:
    """Absolute value, y = |x|. Gradient: dx = dy * sign(x); at the kink x = 0 it is 0. Keeps x."""
    return np.abs(x), lambda dy: dy * np.sign(x)


@differentiable(
    kinks=signs(lambda x, y: x - y, "gives half of the gradient to each at a tie"),
    rule="z = the larger of x and y, dz/dx = 1 where it is x, else 0",
)
def maximum(x: Array, y: Array) -> Op:
    """The larger of two, z = max(x, y).

    Gradients: dz goes to the larger, or to a NaN, which is the result; at a tie each gets half,
    the mean of the two one-sided derivatives. Keeps both inputs.
    """
    return (
        np.maximum(x, y),
        lambda dz: dz * _share((x > y) | (x != x), x == y, dz),
        lambda dz: dz * _share((y > x) | (y != y), x == y, dz),
    )


@differentiable(
    kinks=signs(lambda x, y: x - y, "gives half of the gradient to each at a tie"),
    rule="z = the smaller of x and y, dz/dx = 1 where it is x, else 0",
)
def minimum(x: Array, y: Array) -> Op:
    """The smaller of two, z = min(x, y).

    Gradients: dz goes to the smaller, or to a NaN; at a tie each gets half. Keeps both inputs.
    """
    return (
        np.minimum(x, y),
        lambda dz: dz * _share((x < y) | (x != x), x == y, dz),
        lambda dz: dz * _share((y < x) | (y != y), x == y, dz),
    )


def _share(wins: Array, ties: Array, like: Array) -> Array:
    """1 where it wins, one half where it ties, in the dtype of `like`."""
    return wins.astype(like.dtype) + ties.astype(like.dtype) / 2


@differentiable(
    kinks=signs(
        lambda x, *limits, **named: tuple(
            x - limit for limit in (*limits, *named.values(), -np.inf) if limit is not None
        ),
        "lets the gradient pass at its limits",
    ),
    rule="y = x between low and high, dy/dx = 1 there, else 0",
)
def clip(x: Array, low: Array = None, high: Array = None) -> Op:
    """Limit to an interval, y = min(max(x, low), high); a bound of None is no bound.

    Gradient: dx = dy where low <= x <= high (both ends belong to it), else 0. Keeps x and y.
    The bounds are numbers or arrays and get no gradient.
    """
    y = x if low is None else np.maximum(x, low)
    y = y if high is None else np.minimum(y, high)

    def dx(dy: Array) -> Array:
        unchanged = x == y
        return dy * (unchanged if low is None else unchanged & (y >= low))  # low may be above high

    return y, dx


@differentiable(
    kinks=choice(
        lambda x, y, condition: np.asarray(condition),
        "follows its condition, which has no gradient",
    ),
    rule="y = x where the condition holds, else z; dy/dx = 1 there, else 0",
)
def _where(x: Array, y: Array, condition: Array) -> Op:
    """See `where`; the condition comes last because it takes no gradient."""
    return (
        np.where(condition, x, y),
        lambda dz: np.where(condition, dz, 0),
        lambda dz: np.where(condition, 0, dz),
    )


def where(condition: Array, x: Array, y: Array) -> Tensor:
    """Choose by element: x where the condition holds, else y; all three broadcast.

    Gradients: dx = dz where the condition holds, else 0; dy the other way round. The condition
    gets none. Keeps the condition. Raises TypeError for a condition of floats.

    >>> import tinynet
    >>> x = tinynet.tensor([-2.0, 3.0])
    >>> tinynet.where(x > 0, x, 0.0)
    tensor([0., 3.])
    """
    dtype = getattr(condition, "dtype", None)
    if dtype is not None and dtype.kind == "f":
        raise TypeError(f"where: the condition is {dtype}, it must be true or false: x > 0, x != 0")
    if isinstance(x, (float, int)) and isinstance(y, (float, int)) and isinstance(x + y, float):
        x = np.asarray(x, np.float32)  # two Python floats make the default dtype
    return _where(x, y, condition)


@differentiable(rule="y = 1 / (1 + e^-x), dy/dx = y (1 - y)")
@may_underflow
def sigmoid(x: Array) -> Op:
    """Logistic function, y = 1 / (1 + e^-x).

    Gradient: dx = dy * y * (1 - y), since y' = e^-x / (1 + e^-x)^2. Keeps y.
    """
    y = _logistic(x)
    return y, lambda dy: dy * (y * (1 - y))


def _logistic(x: Array) -> Array:
    e = np.exp(np.where(x >= 0, -x, x))  # at most 1, so that no derivative of it overflows
    return np.where(x >= 0, 1, e) / (1 + e)


@differentiable(rule="y = tanh x, dy/dx = 1 - y^2")
@may_underflow
def tanh(x: Array) -> Op:
    """Hyperbolic tangent, y = (e^x - e^-x) / (e^x + e^-x).

    Gradient: dx = dy * (1 - y^2), from the quotient rule. Keeps y.
    """
    y = np.tanh(x)
    return y, lambda dy: dy * (1 - y * y)


@differentiable(
    kinks=signs(lambda x: x, "has gradient 0 at x = 0"),
    rule="y = max(x, 0), dy/dx = 1 where x > 0, else 0",
)
def relu(x: Array) -> Op:
    """Rectified linear unit, y = max(x, 0).

    Gradient: dx = dy * [x > 0], which is dy * [y != 0]; at the kink x = 0 it is 0.
    Shapes: x (...) -> y (...). Keeps y, not x.
    """
    y = kernels.current.relu(as_array(x))
    return y, lambda dy: kernels.current.relu_dx(dy, y)


@differentiable(
    kinks=signs(lambda x, *_, **__: x, "has gradient negative_slope at x = 0"),
    rule="y = x where x > 0, else slope x",
)
@may_underflow
def leaky_relu(x: Array, negative_slope: float = 0.01) -> Op:
    """Rectified linear unit that leaks: y = x where x > 0, else negative_slope * x.

    Gradient: dx = dy where x > 0, else negative_slope * dy (at x = 0 too). Keeps x.
    Source: Maas, Hannun, Ng, "Rectifier nonlinearities improve neural network acoustic models",
    2013.
    """
    return (
        np.where(x > 0, x, negative_slope * x),
        lambda dy: np.where(x > 0, dy, negative_slope * dy),
    )


@differentiable(
    kinks=signs(lambda x, *_, **__: x, "has gradient alpha at x = 0"),
    rule="y = x where x > 0, else e^x - 1",
)
@may_underflow
def elu(x: Array, alpha: float = 1.0) -> Op:
    """Exponential linear unit: y = x where x > 0, else alpha * (e^x - 1).

    Gradient: dx = dy where x > 0, else dy * alpha * e^x = dy * (y + alpha) (at the kink x = 0
    too, where both agree if alpha = 1). Keeps x and y.
    Source: Clevert, Unterthiner, Hochreiter, arXiv:1511.07289.
    """
    y = np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))
    return y, lambda dy: dy * np.where(x > 0, 1, y + alpha).astype(dy.dtype)


@differentiable(rule="y = x Phi(x)")
@may_underflow
def gelu(x: Array, approximate: str = "none") -> Op:
    """Gaussian error linear unit, y = x * Phi(x), Phi the standard normal distribution function.

    With approximate="tanh", Phi(x) = (1 + tanh(u)) / 2 with u = sqrt(2/pi) (x + 0.044715 x^3).
    Gradient by the product rule: dx = dy * (Phi(x) + x * Phi'(x)); Phi' is the normal density
    e^(-x^2/2) / sqrt(2 pi), or (1 - tanh(u)^2) / 2 * u'. Keeps x and Phi(x).
    Raises ValueError for another `approximate`.
    Source: Hendrycks, Gimpel, arXiv:1606.08415.
    """
    one_of("gelu", "approximate", approximate, GELU_FORMS)
    if approximate == "tanh":
        near = _near(x)
        tanh_u = np.tanh(math.sqrt(2 / math.pi) * (near + 0.044715 * near * near * near))
        cdf = 0.5 * (1 + tanh_u)
    else:
        cdf = 0.5 * (1 + erf(x / math.sqrt(2)))

    def dx(dy: Array) -> Array:
        near = _near(x)
        if approximate == "tanh":
            bell = (1 - tanh_u * tanh_u) * (1 + 3 * 0.044715 * near * near)
        else:
            bell = np.exp(-0.5 * near * near)
        return dy * (cdf + near * bell / math.sqrt(2 * math.pi))

    return x * cdf, dx


def _near(x: Array) -> Array:
    """x limited to where Phi is not yet 0 or 1 to rounding, so that no power of it overflows."""
    return np.clip(x, -40, 40)


@differentiable(rule="y = x sigmoid(x)")
@may_underflow
def silu(x: Array) -> Op:
    """Sigmoid linear unit (swish), y = x * s with s = sigmoid(x).

    Gradient by the product rule: dx = dy * (s + x * s * (1 - s)). Keeps x and s.
    Source: Elfwing, Uchibe, Doya, arXiv:1702.03118.
    """
    s = _logistic(x)
    return x * s, lambda dy: dy * (s * (1 + x * (1 - s)))


@differentiable(rule="y = log(1 + e^x), dy/dx = sigmoid(x)")
@may_underflow
def softplus(x: Array, beta: float = 1.0) -> Op:
    """Smooth ReLU, y = log(1 + e^(beta x)) / beta.

    Gradient: dx = dy * sigmoid(beta x). Computed with b = beta as max(bx, 0) + log1p(e^-|bx|),
    which cannot overflow. Keeps beta x.
    """
    bx = beta * x
    y = (np.maximum(bx, 0) + np.log1p(np.exp(-np.abs(bx)))) / beta
    return y, lambda dy: dy * _logistic(bx)
