"""PyTorch's home of the layers, under which scripts look for some of them: they are in `nn`."""

from typing import Any

from tinynet import nn
from tinynet.nn.conv import _Conv as _ConvNd
from tinynet.nn.norm import _BatchNorm, _NormBase

__all__ = ["_BatchNorm", "_ConvNd", "_Loss", "_NormBase"]


class _Loss(nn.Module):
    """A class to derive losses of one's own from; size_average and reduce have no effect."""

    def __init__(
        self, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
    ) -> None:
        super().__init__()
        self.reduction = reduction


def __getattr__(name: str) -> Any:
    return getattr(nn, name)
