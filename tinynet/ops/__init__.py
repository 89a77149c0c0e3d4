"""The operations: each is one function, forward pass on top and hand-derived backward below.

Those that PyTorch has in `nn.functional` are public there, and in `tinynet`, by its names of the
arguments; what has settings of its own is in `tinynet.functions`; `__all__` has the others, which
`tinynet` hands on as they are.
"""

from tinynet.ops.conv import conv2d, conv_transpose2d
from tinynet.ops.einsum import einsum
from tinynet.ops.elementary import (
    acos,
    acosh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    ceil,
    cos,
    cosh,
    erf,
    exp2,
    expm1,
    floor,
    fmod,
    hypot,
    log1p,
    log2,
    log10,
    logaddexp,
    reciprocal,
    remainder,
    round,
    rsqrt,
    sign,
    sin,
    sinh,
    tan,
    trunc,
    xlogy,
)
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
    cumprod,
    cumsum,
    log_softmax,
    logsumexp,
    max,
    mean,
    min,
    prod,
    softmax,
    std,
    sum,
    var,
)
from tinynet.ops.shape import (
    add_at,
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
    "abs", "astype", "cat", "ceil", "clip", "clone", "flatten", "floor", "neg", "round", "sign",
    "stack", "trunc", "unsqueeze",
]  # fmt: skip
