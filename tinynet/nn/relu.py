"""ReLU, which every net has; the other activations are in `activation.py`."""

from __future__ import annotations

from tinynet.nn import functional as F
from tinynet.nn.module import Module
from tinynet.tensor import Tensor


class ReLU(Module):
    """max(x, 0) of each number. inplace: the input itself becomes the result, as in PyTorch."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x, self.inplace)

    def extra_repr(self) -> str:
        """`inplace`, if it is."""
        return "inplace=True" if self.inplace else ""
