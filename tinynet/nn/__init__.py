"""Layers, losses and what they are made of: `from tinynet import nn`.

A layer is a Module with Parameters and a call to an operation; `nn.functional` (F) has the
operations by PyTorch's names, `nn.init` the initial values, `nn.utils` tools for gradients.
What few nets have is loaded when it is first named.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tinynet.errors import unknown_name
from tinynet.nn import functional, init, utils
from tinynet.nn.container import ModuleDict, ModuleList, Sequential
from tinynet.nn.conv import Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d
from tinynet.nn.dropout import Dropout
from tinynet.nn.linear import Linear
from tinynet.nn.module import Module
from tinynet.nn.norm import BatchNorm1d, BatchNorm2d, LayerNorm
from tinynet.nn.parameter import Parameter
from tinynet.nn.pool import MaxPool2d
from tinynet.nn.relu import ReLU
from tinynet.nn.reshape import Flatten, Identity, Unflatten

if TYPE_CHECKING:
    from tinynet.nn.activation import *  # noqa: F403
    from tinynet.nn.dropouts import *  # noqa: F403
    from tinynet.nn.embedding import *  # noqa: F403
    from tinynet.nn.lazy import *  # noqa: F403
    from tinynet.nn.loss import *  # noqa: F403
    from tinynet.nn.norms import *  # noqa: F403
    from tinynet.nn.padding import *  # noqa: F403
    from tinynet.nn.parameters import *  # noqa: F403
    from tinynet.nn.pools import *  # noqa: F403
    from tinynet.nn.resize import *  # noqa: F403

__all__ = [
    "BatchNorm1d", "BatchNorm2d", "Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d",
    "Dropout", "Flatten", "Identity", "LayerNorm", "Linear", "MaxPool2d", "Module", "ModuleDict",
    "ModuleList", "Parameter", "ReLU", "Sequential", "Unflatten", "functional", "init", "utils",
]  # fmt: skip

_LATER = {
    "activation": (
        "CELU", "ELU", "GELU", "GLU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh",
        "LeakyReLU", "LogSigmoid", "LogSoftmax", "Mish", "PReLU", "RReLU", "ReLU6", "SELU", "SiLU",
        "Sigmoid", "Softmax", "Softmax2d", "Softmin", "Softplus", "Softshrink", "Softsign", "Tanh",
        "Tanhshrink", "Threshold",
    ),
    "dropouts": ("AlphaDropout", "Dropout1d", "Dropout2d", "FeatureAlphaDropout"),
    "embedding": ("Bilinear", "Embedding"),
    "lazy": (
        "LazyBatchNorm1d", "LazyBatchNorm2d", "LazyConv1d", "LazyConv2d", "LazyConvTranspose1d",
        "LazyConvTranspose2d", "LazyLinear",
    ),
    "norms": ("GroupNorm", "InstanceNorm1d", "InstanceNorm2d", "LocalResponseNorm", "RMSNorm"),
    "padding": (
        "CircularPad1d", "CircularPad2d", "ConstantPad1d", "ConstantPad2d", "ReflectionPad1d",
        "ReflectionPad2d", "ReplicationPad1d", "ReplicationPad2d", "ZeroPad1d", "ZeroPad2d",
    ),
    "parameters": ("ParameterDict", "ParameterList"),
    "pools": (
        "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d",
        "AvgPool1d", "AvgPool2d", "LPPool1d", "LPPool2d", "MaxPool1d", "MaxUnpool1d", "MaxUnpool2d",
    ),
    "resize": (
        "ChannelShuffle", "Fold", "PixelShuffle", "PixelUnshuffle", "Unfold", "Upsample",
        "UpsamplingBilinear2d", "UpsamplingNearest2d",
    ),
    "loss": (
        "BCELoss", "BCEWithLogitsLoss", "CosineEmbeddingLoss", "CosineSimilarity",
        "CrossEntropyLoss", "GaussianNLLLoss", "HingeEmbeddingLoss", "HuberLoss", "KLDivLoss",
        "L1Loss", "MSELoss", "MarginRankingLoss", "MultiLabelSoftMarginLoss", "MultiMarginLoss",
        "NLLLoss", "PairwiseDistance", "PoissonNLLLoss", "SmoothL1Loss", "SoftMarginLoss",
        "TripletMarginLoss", "TripletMarginWithDistanceLoss",
    ),
}  # fmt: skip
_WHERE = {name: module for module, names in _LATER.items() for name in names}
__all__ += list(_WHERE)

_NOT_HERE = {
    "RNN": "recurrent nets", "LSTM": "recurrent nets", "GRU": "recurrent nets",
    "RNNCell": "recurrent nets", "LSTMCell": "recurrent nets", "GRUCell": "recurrent nets",
    "MultiheadAttention": "attention", "Transformer": "attention",
    "TransformerEncoder": "attention", "TransformerEncoderLayer": "attention",
    "TransformerDecoder": "attention", "TransformerDecoderLayer": "attention",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Load what is named for the first time; AttributeError for what tinynet is not for."""
    if name in _WHERE:
        value = getattr(importlib.import_module(f"tinynet.nn.{_WHERE[name]}"), name)
        globals()[name] = value
        return value
    if name in _NOT_HERE or name.endswith("3d"):
        kind = _NOT_HERE.get(name, "three-dimensional layers")
        raise AttributeError(
            f"tinynet.nn has no {name}: tinynet is for small convolutional nets, and has no {kind}"
        )
    raise AttributeError(f"module 'tinynet.nn': {unknown_name('layer', name, __all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
