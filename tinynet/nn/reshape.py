"""Layers that change the shape of what passes, or nothing at all."""

from collections.abc import Sequence
from typing import Any

from tinynet.nn.module import Module
from tinynet.ops.shape import flatten
from tinynet.tensor import Tensor


class Flatten(Module):
    """Joins the axes from start_dim to end_dim into one: (N, C, H, W) -> (N, C H W).

    No memory is copied where the order of the elements allows it.
    """

    _shown = ("start_dim", "end_dim")

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, x: Tensor) -> Tensor:
        return flatten(x, self.start_dim, self.end_dim)


class Unflatten(Module):
    """Splits the axis `dim` into several: (N, C H W) -> (N, C, H, W).

    unflattened_size: the new sizes; one may be -1 and is inferred.
    Raises ShapeError if they do not multiply to the old size.
    """

    _shown = ("dim", "unflattened_size")

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        self.dim = dim
        self.unflattened_size = tuple(unflattened_size)

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(self.dim, self.unflattened_size)


class Identity(Module):
    """Gives back its input; takes the place of a layer that is left out.

    Whatever it is made with is accepted and ignored, as in PyTorch.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x
