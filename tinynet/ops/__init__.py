"""The operations: each is one function, forward pass on top and hand-derived backward below.

Those that PyTorch has in `nn.functional` are public there, and in `tinynet`, by its names of the
arguments; `__all__` has the others, which `tinynet` hands on as they are.
"""

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
    flatten,
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
    "abs",
    "add",
    "astype",
    "cat",
    "clip",
    "clone",
    "cumsum",
    "div",
    "exp",
    "expand",
    "flatten",
    "flip",
    "getitem",
    "log",
    "logsumexp",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "mul",
    "neg",
    "permute",
    "pow",
    "reshape",
    "setitem",
    "split",
    "sqrt",
    "squeeze",
    "stack",
    "std",
    "sub",
    "sum",
    "unsqueeze",
    "var",
    "where",
]
