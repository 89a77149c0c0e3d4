"""ReLU and PReLU, which take each number by itself; see also `stateless.py`."""

from typing import Any

from tinynet import ops
from tinynet.creation import empty
from tinynet.nn import functional as F
from tinynet.nn.init import constant_
from tinynet.nn.module import Module
from tinynet.nn.parameter import Parameter
from tinynet.ops.checks import integer
from tinynet.tensor import Tensor


class ReLU(Module):
    """max(x, 0) of each number. inplace: the input itself becomes the result, as in PyTorch."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x, inplace=True) if self.inplace else ops.relu(x)

    def extra_repr(self) -> str:
        """`inplace`, if it is."""
        return "inplace=True" if self.inplace else ""


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
        self.weight = Parameter(empty(self.num_parameters))
        self.reset_parameters()
        self.to(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Every slope as at first."""
        constant_(self.weight, self.init)

    def forward(self, x: Tensor) -> Tensor:
        return F.prelu(x, self.weight)
