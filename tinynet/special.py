"""PyTorch's `torch.special`, as far as small nets need it."""

from tinynet.autograd import Array, Op, differentiable
from tinynet.functions import *  # noqa: F403
from tinynet.functions import sigmoid as expit
from tinynet.nn.functional import log_softmax, softmax
from tinynet.ops.gamma import derivative, digamma, erfinv, lgamma
from tinynet.ops.gamma import digamma as psi
from tinynet.ops.gamma import lgamma as gammaln
from tinynet.tensor import Tensor

__all__ = [
    "digamma", "erfinv", "expit", "gammaln", "lgamma", "log_softmax", "polygamma", "psi", "softmax",
]  # fmt: skip


def polygamma(n: int, x: Array) -> Tensor:
    """The n-th derivative of `digamma`."""
    if n < 0:
        raise ValueError(f"polygamma: n must be 0 or more, got {n}")
    return _polygamma(x, n) if n else digamma(x)


@differentiable(rule="y = d^(n+1) log Gamma(x) / dx^(n+1), dy/dx = the next derivative")
def _polygamma(x: Array, n: int) -> Op:
    """Derivatives of digamma for n >= 1, (-1)^(n+1) n! sum over k >= 0 of 1 / (x + k)^(n+1).

    The first terms are added up; the rest, from X = x + K on, is the series of digamma
    differentiated n times, (n-1)! / X^n + n! / 2X^(n+1) + sum B_2k (2k+n-1)! / (2k)! X^(2k+n).
    Gradient: dx = dy * the derivative with n + 1. Keeps x.
    """
    return derivative(x, n), lambda dy: dy * derivative(x, n + 1)
