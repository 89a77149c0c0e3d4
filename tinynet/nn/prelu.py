"""PReLU, the activation that learns; the others are in `stateless.py`."""

from __future__ import annotations

from typing import Any

from tinynet.creation import full
from tinynet.nn import functional as F
from tinynet.nn.factory import place
from tinynet.nn.module import Module
from tinynet.nn.parameter import Parameter
from tinynet.ops.checks import integer
from tinynet.tensor import Tensor


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
