"""The operations: each is one function, forward pass on top and hand-derived backward below."""

from tinynet.ops.conv import conv2d, conv_transpose2d
from tinynet.ops.elementwise import (
    abs,
    add,
    clip,
    div,
    elu,
    exp,
    gelu,
    leaky_relu,
    log,
    maximum,
    minimum,
    mul,
    neg,
    pow,
    relu,
    sigmoid,
    silu,
    softplus,
    sqrt,
    sub,
    tanh,
    where,
)
from tinynet.ops.linear import linear, matmul
from tinynet.ops.loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    huber_loss,
    l1_loss,
    mse_loss,
    nll_loss,
    smooth_l1_loss,
)
from tinynet.ops.norm import batch_norm, layer_norm
from tinynet.ops.pool import adaptive_avg_pool2d, avg_pool2d, max_pool2d
from tinynet.ops.random import dropout
from tinynet.ops.reduction import (
    cumsum,
    log_softmax,
    logsumexp,
    max,
    mean,
    min,
    softmax,
    std,
    sum,
    var,
)
from tinynet.ops.shape import (
    astype,
    cat,
    clone,
    expand,
    flip,
    getitem,
    pad,
    permute,
    reshape,
    setitem,
    split,
    squeeze,
    stack,
    unsqueeze,
)

__all__ = [
    "abs", "adaptive_avg_pool2d", "add", "astype", "avg_pool2d", "batch_norm",
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cat", "clip", "clone",
    "conv2d", "conv_transpose2d", "cross_entropy", "cumsum", "div", "dropout", "elu", "exp",
    "expand", "flip", "gelu", "getitem", "huber_loss", "l1_loss", "layer_norm", "leaky_relu",
    "linear", "log", "log_softmax", "logsumexp", "matmul", "max", "max_pool2d", "maximum",
    "mean", "min", "minimum", "mse_loss", "mul", "neg", "nll_loss", "pad", "permute", "pow",
    "relu", "reshape", "setitem", "sigmoid", "silu", "smooth_l1_loss", "softmax", "softplus",
    "split", "sqrt", "squeeze", "stack", "std", "sub", "sum", "tanh", "unsqueeze", "var",
    "where",
]
