"""The activation layers: a function applied to each number, or (Softmax) along one axis.

Formulas and gradients stand in `tinynet.ops.elementwise` and `tinynet.ops.reduction`. Where an
argument `inplace` exists, it is accepted for PyTorch's sake; the result is always a new tensor.
"""

from __future__ import annotations

from tinynet import ops
from tinynet.nn.module import Module
from tinynet.ops.checks import one_of, positive
from tinynet.ops.elementwise import GELU_FORMS
from tinynet.tensor import Tensor


class ReLU(Module):
    """max(x, 0) of each number."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        return ops.relu(x)


class LeakyReLU(Module):
    """x where x > 0, negative_slope x elsewhere."""

    _shown = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        return ops.leaky_relu(x, self.negative_slope)


class ELU(Module):
    """x where x > 0, alpha (e^x - 1) elsewhere (Clevert et al. 2015)."""

    _shown = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        return ops.elu(x, self.alpha)


class GELU(Module):
    """x times the probability that a standard normal is below x (Hendrycks & Gimpel 2016).

    approximate: "none" for the exact function, "tanh" for the approximation of the paper.
    """

    _shown = ("approximate",)

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = one_of("GELU", "approximate", approximate, GELU_FORMS)

    def forward(self, x: Tensor) -> Tensor:
        return ops.gelu(x, self.approximate)


class SiLU(Module):
    """x sigmoid(x), also known as swish."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        return ops.silu(x)


class Sigmoid(Module):
    """1 / (1 + e^-x) of each number."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.sigmoid(x)


class Tanh(Module):
    """Hyperbolic tangent of each number."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.tanh(x)


class Softplus(Module):
    """log(1 + e^(beta x)) / beta, a smooth ReLU."""

    _shown = ("beta",)

    def __init__(self, beta: float = 1.0) -> None:
        super().__init__()
        self.beta = positive("Softplus", "beta", beta)

    def forward(self, x: Tensor) -> Tensor:
        return ops.softplus(x, self.beta)


class Softmax(Module):
    """e^x / sum of e^x along `dim`: positive numbers that add up to 1.

    Not before CrossEntropyLoss, which takes the raw scores.
    """

    _shown = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return ops.softmax(x, self.dim)


class LogSoftmax(Module):
    """The logarithm of Softmax, computed without overflow; what NLLLoss takes."""

    _shown = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return ops.log_softmax(x, self.dim)
