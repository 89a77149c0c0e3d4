"""The activation layers: a function applied to each number, or (Softmax) along one axis.

Formulas stand in `nn.functional`, gradients in `tinynet.ops`. With inplace=True the input itself
becomes the result, as in PyTorch.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from tinynet.creation import full
from tinynet.nn import functional as F
from tinynet.nn.factory import place
from tinynet.nn.module import Module
from tinynet.nn.parameter import Parameter
from tinynet.nn.stateless import Stateless
from tinynet.ops.checks import integer, one_of, positive
from tinynet.ops.elementwise import GELU_FORMS
from tinynet.tensor import Tensor


@dataclass(eq=False, repr=False)
class LeakyReLU(Stateless):
    """x where x > 0, negative_slope x elsewhere."""

    negative_slope: float = 0.01
    inplace: bool = False
    function = staticmethod(F.leaky_relu)


@dataclass(eq=False, repr=False)
class RReLU(Stateless):
    """x where x > 0, elsewhere x times a slope drawn between lower and upper (in eval their mean).

    Source: Xu, Wang, Chen, Li, arXiv:1505.00853.
    """

    lower: float = 1 / 8
    upper: float = 1 / 3
    inplace: bool = False
    function = staticmethod(F.rrelu)
    _shown = ("lower", "upper", "inplace")

    def settings(self) -> dict[str, Any]:
        """The settings and whether it is training."""
        return {**super().settings(), "training": self.training}


class PReLU(Module):
    """x where x > 0, w x elsewhere, with learned slopes w (He et al. 2015).

    Shapes: x (...), or x (N, C, ...) with num_parameters = C.
    Parameters: weight (num_parameters), one slope for all or one for each channel, `init` at first.
    """

    _shown = ("num_parameters",)

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.num_parameters = integer("PReLU", "num_parameters", num_parameters)
        self.init = init
        self.weight = Parameter(full((self.num_parameters,), init))
        place(self, device, dtype)

    def forward(self, x: Tensor) -> Tensor:
        return F.prelu(x, self.weight)


@dataclass(eq=False, repr=False)
class ReLU6(Stateless):
    """min(max(x, 0), 6)."""

    inplace: bool = False
    function = staticmethod(F.relu6)


@dataclass(eq=False, repr=False)
class ELU(Stateless):
    """x where x > 0, alpha (e^x - 1) elsewhere (Clevert et al. 2015)."""

    alpha: float = 1.0
    inplace: bool = False
    function = staticmethod(F.elu)


@dataclass(eq=False, repr=False)
class SELU(Stateless):
    """ELU times a factor, with which activations keep mean 0 and variance 1 (arXiv:1706.02515)."""

    inplace: bool = False
    function = staticmethod(F.selu)


@dataclass(eq=False, repr=False)
class CELU(Stateless):
    """x where x > 0, alpha (e^(x / alpha) - 1) elsewhere (Barron 2017)."""

    alpha: float = 1.0
    inplace: bool = False
    function = staticmethod(F.celu)


@dataclass(eq=False, repr=False)
class GELU(Stateless):
    """x times the probability that a standard normal is below x (Hendrycks & Gimpel 2016).

    approximate: "none" for the exact function, "tanh" for the approximation of the paper.
    """

    approximate: str = "none"
    function = staticmethod(F.gelu)

    def __post_init__(self) -> None:
        one_of("GELU", "approximate", self.approximate, GELU_FORMS)


@dataclass(eq=False, repr=False)
class SiLU(Stateless):
    """x sigmoid(x), also known as swish."""

    inplace: bool = False
    function = staticmethod(F.silu)


@dataclass(eq=False, repr=False)
class Mish(Stateless):
    """x tanh(softplus(x))."""

    inplace: bool = False
    function = staticmethod(F.mish)


@dataclass(eq=False, repr=False)
class Hardtanh(Stateless):
    """x between min_val and max_val, and these limits beyond."""

    min_val: float = -1.0
    max_val: float = 1.0
    inplace: bool = False
    function = staticmethod(F.hardtanh)


@dataclass(eq=False, repr=False)
class Hardsigmoid(Stateless):
    """x / 6 + 1/2 between 0 and 1, and these limits beyond."""

    inplace: bool = False
    function = staticmethod(F.hardsigmoid)


@dataclass(eq=False, repr=False)
class Hardswish(Stateless):
    """x times Hardsigmoid of x."""

    inplace: bool = False
    function = staticmethod(F.hardswish)


@dataclass(eq=False, repr=False)
class Hardshrink(Stateless):
    """x where |x| > lambd, 0 elsewhere."""

    lambd: float = 0.5
    function = staticmethod(F.hardshrink)


@dataclass(eq=False, repr=False)
class Softshrink(Stateless):
    """x moved towards 0 by lambd, and no further."""

    lambd: float = 0.5
    function = staticmethod(F.softshrink)


class Tanhshrink(Stateless):
    """x - tanh(x)."""

    function = staticmethod(F.tanhshrink)


@dataclass(eq=False, repr=False)
class Threshold(Stateless):
    """x where x > threshold, value elsewhere."""

    threshold: float
    value: float
    inplace: bool = False
    function = staticmethod(F.threshold)


class Sigmoid(Stateless):
    """1 / (1 + e^-x) of each number."""

    function = staticmethod(F.sigmoid)


class LogSigmoid(Stateless):
    """The logarithm of Sigmoid, computed without overflow."""

    function = staticmethod(F.logsigmoid)


class Tanh(Stateless):
    """Hyperbolic tangent of each number."""

    function = staticmethod(F.tanh)


class Softsign(Stateless):
    """x / (1 + |x|)."""

    function = staticmethod(F.softsign)


@dataclass(eq=False, repr=False)
class Softplus(Stateless):
    """log(1 + e^(beta x)) / beta, a smooth ReLU; x itself where beta x is above the threshold."""

    beta: float = 1.0
    threshold: float = 20.0
    function = staticmethod(F.softplus)

    def __post_init__(self) -> None:
        positive("Softplus", "beta", self.beta)


@dataclass(eq=False, repr=False)
class Softmax(Stateless):
    """e^x / sum of e^x along `dim`: positive numbers that add up to 1.

    Not before CrossEntropyLoss, which takes the raw scores.
    """

    dim: int | None = None
    function = staticmethod(F.softmax)


@dataclass(eq=False, repr=False)
class LogSoftmax(Stateless):
    """The logarithm of Softmax, computed without overflow; what NLLLoss takes."""

    dim: int | None = None
    function = staticmethod(F.log_softmax)


@dataclass(eq=False, repr=False)
class Softmin(Stateless):
    """Softmax of -x along `dim`."""

    dim: int | None = None
    function = staticmethod(F.softmin)


class Softmax2d(Stateless):
    """Softmax over the channels at every place of an image: x (N, C, H, W) or (C, H, W)."""

    function = staticmethod(functools.partial(F.softmax, dim=-3))


@dataclass(eq=False, repr=False)
class GLU(Stateless):
    """a sigmoid(b), a the first half of x along `dim` and b the second (arXiv:1612.08083)."""

    dim: int = -1
    function = staticmethod(F.glu)
