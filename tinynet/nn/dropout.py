"""Dropout: noise in training that keeps units from relying on each other."""

from __future__ import annotations

import numpy as np

from tinynet.nn import functional as F
from tinynet.nn.module import Module
from tinynet.ops.random import check_probability
from tinynet.tensor import Tensor


class Dropout(Module):
    """In training, sets each number to 0 with probability p and divides the rest by 1 - p.

    So the expected value stays what it was, and in `eval()` the layer does nothing.
    rng: the generator that draws the masks; the thread's default one if None.
    inplace: the input itself becomes the result, as in PyTorch.
    Source: Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from
    overfitting". Raises ValueError for p outside 0 to 1.
    """

    def __init__(
        self, p: float = 0.5, inplace: bool = False, *, rng: np.random.Generator | None = None
    ) -> None:
        super().__init__()
        check_probability("Dropout", p)
        self.p = float(p)
        self.inplace = inplace
        self.rng = rng

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.p, self.training, self.inplace, rng=self.rng)

    def extra_repr(self) -> str:
        """The settings."""
        return f"p={self.p}, inplace={self.inplace}"
