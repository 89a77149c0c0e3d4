"""The gamma function and the inverse of erf, from their series: few nets need them.

They are loaded when they are first used, as `tinynet.erfinv` and its like.
"""

import math

import numpy as np
from numpy.polynomial import Polynomial

from tinynet.autograd import Array, Op, differentiable
from tinynet.ops.erf import erf

SHIFT = 8  # from where on the series of digamma is right to rounding
_SERIES = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)
"""B_2k / 2k for k = 1, 2, ... with Bernoulli's numbers."""


@differentiable(rule="y = erf^-1 x, dy/dx = sqrt(pi) / 2 e^(y^2)")
def erfinv(x: Array) -> Op:
    """The number of which erf is x, from -1 to 1; infinite at both ends, NaN outside.

    Gradient: erf(y) = x gives erf'(y) y' = 1, so dx = dy * sqrt(pi) / 2 * e^(y^2). Keeps y.
    Computed by Newton's method on erf, from Winitzki's approximation.
    """
    is_inner = np.abs(x) < 1
    inner = np.where(is_inner, x, 0)
    log = np.log1p(-inner * inner)
    half = 2 / (math.pi * 0.147) + log / 2
    y = np.sign(inner) * np.sqrt(np.sqrt(half * half - log / 0.147) - half)
    for _ in range(4):
        y = y - (erf(y) - inner) * (math.sqrt(math.pi) / 2) * np.exp(y * y)
    y = np.where(is_inner, y, np.where(np.abs(x) == 1, np.sign(x) * np.inf, np.nan))
    return y, lambda dy: dy * (math.sqrt(math.pi) / 2) * np.exp(y * y)


@differentiable(rule="y = log |Gamma(x)|, dy/dx = digamma(x)")
def lgamma(x: Array) -> Op:
    """The logarithm of |Gamma(x)|, which is (x - 1)! for integers; infinite at 0, -1, -2, ...

    log Gamma(x) = log Gamma(x + 1) - log x, and for large x Stirling's series (x - 1/2) log x - x +
    log(2 pi) / 2 + sum B_2k / (2k (2k - 1) x^(2k - 1)); below 0 |Gamma(x) Gamma(1 - x)| =
    pi / |sin(pi x)|. Gradient: dx = dy * digamma(x), the definition of digamma. Keeps x.
    """
    is_pole = (x <= 0) & (x == np.floor(x)) | np.isinf(x)
    safe = np.where(is_pole, 1, x)
    below = safe < 0
    up = np.where(below, 1 - safe, safe)
    large = up + SHIFT
    y = (large - 0.5) * np.log(large) - large + math.log(2 * math.pi) / 2
    for k, b in enumerate(_SERIES, 1):
        y = y + b / ((2 * k - 1) * large ** (2 * k - 1))
    for k in range(SHIFT):
        y = y - np.log(up + k)
    sine = np.abs(np.sin(math.pi * np.where(below, safe, 0.5)))
    y = np.where(below, math.log(math.pi) - np.log(sine) - y, y)
    return np.where(is_pole, np.inf, y), lambda dy: dy * derivative(x, 0)


@differentiable(rule="y = d log Gamma(x) / dx, dy/dx = sum 1 / (x + k)^2")
def digamma(x: Array) -> Op:
    """The derivative of `lgamma`.

    psi(x) = psi(x + 1) - 1 / x from Gamma(x + 1) = x Gamma(x), and for large x Stirling's series
    log x - 1 / 2x - sum B_2k / (2k x^2k); below 0 psi(x) = psi(1 - x) - pi / tan(pi x).
    Gradient: dx = dy * polygamma(1, x), these formulas differentiated. Keeps x.
    """
    return derivative(x, 0), lambda dy: dy * derivative(x, 1)


def derivative(x: Array, n: int) -> Array:
    """The n-th of digamma; see `special.polygamma`.

    Below 0 by reflection: psi(x) + pi cot(pi x) = psi(1 - x), differentiated n times. Of cot(pi x)
    it is a polynomial in c = cot(pi x), since c' = -pi (1 + c^2).
    """
    below, fraction = x < 0, x - np.floor(x)
    up = np.where(below, 1 - x, x)
    terms = SHIFT + 2 * n
    large = up + terms
    y = math.factorial(n - 1) / large**n if n else -np.log(large)
    y = y + math.factorial(n) / (2 * large ** (n + 1))
    for k, b in enumerate(_SERIES, 1):
        y = y + b * math.factorial(2 * k + n - 1) / math.factorial(2 * k - 1) / large ** (2 * k + n)
    for k in range(terms):
        y = y + math.factorial(n) / (up + k) ** (n + 1)
    cotangents = Polynomial([0, 1])
    for _ in range(n):
        cotangents = -math.pi * Polynomial([1, 0, 1]) * cotangents.deriv()
    cotangent = 1 / np.tan(math.pi * np.where(below & (fraction > 0), fraction, 0.5))
    reflected = 0 * cotangent
    for c in cotangents.coef[::-1]:
        reflected = reflected * cotangent + math.pi * float(c)
    y = np.where(below, -y - reflected, (-1) ** (n + 1) * y)
    pole = np.inf * (-1) ** (n + 1) if n else np.nan
    return np.where(below & (fraction == 0), pole, y).astype(x.dtype)
