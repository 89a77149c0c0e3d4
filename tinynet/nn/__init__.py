"""Layers, losses and what they are made of: `from tinynet import nn`.

A layer is a Module with Parameters and a call to an operation; `nn.functional` (F) has the
operations by PyTorch's names, `nn.init` the initial values, `nn.utils` tools for gradients.
What few nets have is loaded when it is first named.
"""

import importlib
from typing import TYPE_CHECKING, Any

from tinynet.errors import no_attribute
from tinynet.nn import functional, init, stateless, utils
from tinynet.nn.container import ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential
from tinynet.nn.conv import Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d
from tinynet.nn.elementwise import PReLU, ReLU
from tinynet.nn.linear import Bilinear, Linear
from tinynet.nn.module import Module
from tinynet.nn.norm import (
    BatchNorm1d,
    BatchNorm2d,
    GroupNorm,
    InstanceNorm1d,
    InstanceNorm2d,
    LayerNorm,
    RMSNorm,
)
from tinynet.nn.parameter import Parameter
from tinynet.nn.pool import MaxPool2d
from tinynet.nn.reshape import Flatten, Identity, Unflatten

if TYPE_CHECKING:
    from tinynet.nn.embedding import *  # noqa: F403
    from tinynet.nn.lazy import *  # noqa: F403
    from tinynet.nn.parallel import *  # noqa: F403

__all__ = [
    "BatchNorm1d", "BatchNorm2d", "Bilinear", "Conv1d", "Conv2d", "ConvTranspose1d",
    "ConvTranspose2d", "Flatten", "GroupNorm", "Identity", "InstanceNorm1d",
    "InstanceNorm2d", "LayerNorm", "Linear", "MaxPool2d", "Module", "ModuleDict", "ModuleList",
    "PReLU", "Parameter", "ParameterDict", "ParameterList", "RMSNorm", "ReLU", "Sequential",
    "Unflatten", "functional", "init", "utils",
]  # fmt: skip

_LATER = {
    "embedding": ("Embedding", "EmbeddingBag"),
    "parallel": ("DataParallel",),
    "lazy": (
        "LazyBatchNorm1d", "LazyBatchNorm2d", "LazyConv1d", "LazyConv2d", "LazyConvTranspose1d",
        "LazyConvTranspose2d", "LazyInstanceNorm1d", "LazyInstanceNorm2d", "LazyLinear",
    ),
}  # fmt: skip
_WHERE = {name: module for module, names in _LATER.items() for name in names}
__all__ += [*_WHERE, *stateless.FUNCTIONS]

_NOT_HERE = {
    "RNN": "recurrent nets", "LSTM": "recurrent nets", "GRU": "recurrent nets",
    "MultiheadAttention": "attention", "Transformer": "attention", "CTCLoss": "losses of sequences",
}  # fmt: skip
"""What layers are of whose names begin so."""


def __getattr__(name: str) -> Any:
    """Load or make what is named for the first time; AttributeError for what is not here."""
    if name in _WHERE:
        value = getattr(importlib.import_module(f"tinynet.nn.{_WHERE[name]}"), name)
    elif name in ("modules", "parallel"):
        value = importlib.import_module(f"tinynet.nn.{name}")
    elif name in stateless.FUNCTIONS:
        value = stateless.layer(name)
    elif name.startswith(tuple(_NOT_HERE)) or name.endswith("3d"):
        kinds = (_NOT_HERE[begin] for begin in _NOT_HERE if name.startswith(begin))
        kind = next(kinds, "three-dimensional layers")
        why = f"tinynet is for small convolutional nets, and has no {kind}"
        raise no_attribute("tinynet.nn", name, (), why)
    else:
        raise no_attribute("tinynet.nn", name, __all__)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
