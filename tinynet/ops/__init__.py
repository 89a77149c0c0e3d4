"""The operations: each is one function, forward pass on top and hand-derived backward below."""

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
    "abs", "add", "astype", "cat", "clip", "clone", "cumsum", "div", "elu", "exp", "expand",
    "flip", "gelu", "getitem", "leaky_relu", "linear", "log", "log_softmax", "logsumexp",
    "matmul", "max", "maximum", "mean", "min", "minimum", "mul", "neg", "pad", "permute", "pow",
    "relu", "reshape", "setitem", "sigmoid", "silu", "softmax", "softplus", "split", "sqrt",
    "squeeze", "stack", "std", "sub", "sum", "tanh", "unsqueeze", "var", "where",
]
