"""PyTorch's home of the layers, under which scripts look for some of them: they are in `nn`."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from tinynet import nn
from tinynet.nn.conv import _Conv as _ConvNd
from tinynet.nn.norm import _BatchNorm, _NormBase

__all__ = ["_BatchNorm", "_ConvNd", "_Loss", "_NormBase", "_WeightedLoss"]


class _Loss(nn.Module):
    """A class to derive losses of one's own from; size_average and reduce have no effect."""

    def __init__(
        self, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
    ) -> None:
        super().__init__()
        self.reduction = reduction


class _WeightedLoss(_Loss):
    """The same for losses with a weight for each class, a buffer."""

    def __init__(self, weight: Any = None, *settings: Any, **named: Any) -> None:
        super().__init__(*settings, **named)
        self.register_buffer("weight", weight)


def __getattr__(name: str) -> Any:
    inner = f"{__name__}.{name}"
    return import_module(inner) if find_spec(inner) else getattr(nn, name)
