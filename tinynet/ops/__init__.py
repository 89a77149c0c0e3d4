"""The operations: each is one function, forward pass on top and hand-derived backward below.

Those that PyTorch has in `nn.functional` are public there, and in `tinynet`, by its names of the
arguments; what has settings of its own is in `tinynet.functions`; `__all__` has the others, which
`tinynet` hands on as they are.
"""

from tinynet.ops.conv import conv2d, conv_transpose2d
from tinynet.ops.einsum import einsum
from tinynet.ops.elementary import *
from tinynet.ops.elementwise import *
from tinynet.ops.linear import linear, matmul
from tinynet.ops.loss import *
from tinynet.ops.norm import batch_norm, layer_norm
from tinynet.ops.pool import adaptive_avg_pool2d, avg_pool2d, max_pool2d
from tinynet.ops.random import dropout
from tinynet.ops.reduction import *
from tinynet.ops.shape import *

__all__ = [
    "abs", "astype", "cat", "ceil", "clip", "clone", "flatten", "floor", "neg", "round", "sign",
    "stack", "trunc", "unsqueeze",
]  # fmt: skip
