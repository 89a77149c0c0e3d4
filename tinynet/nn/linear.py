"""Linear: every output is a weighted sum of every input; Bilinear: of every product of two."""

import math
from typing import Any

from tinynet import ops
from tinynet.creation import empty
from tinynet.nn import checks, init
from tinynet.nn import functional as F
from tinynet.nn.module import Module
from tinynet.nn.parameter import Parameter
from tinynet.nn.shapes import sizes
from tinynet.ops.checks import check_float, integer
from tinynet.random import Rng, default_rng, use_rng
from tinynet.tensor import Tensor


class Linear(Module):
    """Affine map of the last axis, y = x w^T + b.

    Shapes: x (..., in_features) -> y (..., out_features).
    Parameters: weight (out_features, in_features), bias (out_features), both uniform between
    -/+ 1 / sqrt(in_features) at first (see `nn.init.default_`), drawn from `rng`.
    Raises InputError (a ShapeError) if the last size of x is not in_features.

    >>> import tinynet
    >>> Linear(3, 2)(tinynet.ones(5, 3)).shape
    tinynet.Size([5, 2])
    """

    _shown = ("in_features", "out_features", "bias")

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        rng: Rng = None,
    ) -> None:
        super().__init__()
        self.in_features = integer("Linear", "in_features", in_features)
        self.out_features = integer("Linear", "out_features", out_features)
        self.weight = Parameter(empty(self.out_features, self.in_features))
        self.bias = Parameter(empty(self.out_features)) if bias else None
        with use_rng(default_rng(rng)):
            self.reset_parameters()
        self.to(device=device, dtype=dtype)

    def reset_parameters(self, rng: Rng = None) -> None:
        """Draw the initial values anew."""
        init.default_(self.weight, self.bias, rng)

    def forward(self, x: Tensor) -> Tensor:
        array = getattr(x, "array", x)
        if array.shape[-1:] != (self.in_features,) or array.dtype.kind != "f":
            self._refuse(x)
        return ops.linear(x, self.weight, self.bias)

    def _refuse(self, x: Tensor) -> None:
        title = f"Linear(in_features={self.in_features})"
        if x.shape[-1:] == (self.in_features,):
            check_float(title, x)
        features = x.shape[-1] if x.shape else 0
        facts = [f"shape {x.shape}"]
        cure = f"Use in_features={features}." if features else "Give it (N, in_features)."
        if x.ndim == 2:
            facts = [f"N={x.shape[0]}"]
        elif x.ndim > 2 and math.prod(x.shape[1:]) == self.in_features:
            cure = f"Put nn.Flatten() before it: {sizes(x.shape[1:])} = {self.in_features}."
        elif x.ndim == 4:
            flat = math.prod(x.shape[1:])
            cure = (
                f"Put nn.Flatten() before it and use in_features={flat}, or use "
                f"in_features={features} to map the last axis alone."
            )
        problem = f"{title}: the input has {checks.count(features, 'feature')}"
        raise checks.InputError(problem, facts, cure, x.shape)


class Bilinear(Module):
    """y_o = x1^T w_o x2 + b_o.

    Shapes: x1 (..., in1_features), x2 (..., in2_features) -> y (..., out_features).
    Parameters: weight (out_features, in1_features, in2_features), bias (out_features), uniform
    between -/+ 1 / sqrt(in1_features) at first.
    """

    _shown = ("in1_features", "in2_features", "out_features", "bias")

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in1_features = integer("Bilinear", "in1_features", in1_features)
        self.in2_features = integer("Bilinear", "in2_features", in2_features)
        self.out_features = integer("Bilinear", "out_features", out_features)
        self.weight = Parameter(empty(out_features, in1_features, in2_features))
        self.bias = Parameter(empty(out_features)) if bias else None
        self.reset_parameters()
        self.to(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Draw the initial values anew."""
        bound = 1 / math.sqrt(self.in1_features)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.bilinear(x1, x2, self.weight, self.bias)
