"""Layers, losses and what they are made of: `from tinynet import nn`.

A layer is a Module with Parameters and a call to an operation; `nn.functional` (F) has the
operations by PyTorch's names, `nn.init` the initial values, `nn.utils` tools for gradients.
"""

from tinynet.nn import functional, init, utils
from tinynet.nn.activation import (
    ELU,
    GELU,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from tinynet.nn.container import ModuleDict, ModuleList, Sequential
from tinynet.nn.conv import Conv2d, ConvTranspose2d
from tinynet.nn.dropout import Dropout
from tinynet.nn.linear import Linear
from tinynet.nn.loss import (
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from tinynet.nn.module import Module
from tinynet.nn.norm import BatchNorm1d, BatchNorm2d, LayerNorm
from tinynet.nn.parameter import Parameter
from tinynet.nn.pool import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
from tinynet.nn.reshape import Flatten, Identity, Unflatten

__all__ = [
    "ELU", "GELU", "AdaptiveAvgPool2d", "AvgPool2d", "BCEWithLogitsLoss", "BatchNorm1d",
    "BatchNorm2d", "Conv2d", "ConvTranspose2d", "CrossEntropyLoss", "Dropout", "Flatten",
    "Identity", "L1Loss", "LayerNorm", "LeakyReLU", "Linear", "LogSoftmax", "MSELoss",
    "MaxPool2d", "Module", "ModuleDict", "ModuleList", "NLLLoss", "Parameter", "ReLU",
    "Sequential", "SiLU", "Sigmoid", "SmoothL1Loss", "Softmax", "Softplus", "Tanh", "Unflatten",
    "functional", "init", "utils",
]  # fmt: skip
