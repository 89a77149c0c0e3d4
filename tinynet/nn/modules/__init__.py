"""PyTorch's home of the layers, under which scripts look for some of them: they are in `nn`."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from tinynet import nn
from tinynet.nn.conv import _Conv as _ConvNd
from tinynet.nn.hooks import every
from tinynet.nn.norm import _BatchNorm, _NormBase
from tinynet.nn.stateless import _Loss, _WeightedLoss

__all__ = ["_BatchNorm", "_ConvNd", "_Loss", "_NormBase", "_WeightedLoss"]

register_module_forward_hook = every.register_forward_hook
register_module_forward_pre_hook = every.register_forward_pre_hook
register_module_full_backward_hook = every.register_full_backward_hook
register_module_full_backward_pre_hook = every.register_full_backward_pre_hook


def __getattr__(name: str) -> Any:
    inner = f"{__name__}.{name}"
    return import_module(inner) if find_spec(inner) else getattr(nn, name)
