"""tinynet: a deep-learning framework small enough to read and fast enough to use.

>>> import tinynet
>>> x = tinynet.tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> (x * x).sum().backward()
>>> x.grad
Tensor([2., 4., 6.])
"""

from tinynet.autograd import differentiable, enable_grad, is_grad_enabled, no_grad
from tinynet.creation import (
    arange,
    eye,
    from_numpy,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    rand,
    randint,
    randn,
    randperm,
    tensor,
    zeros,
    zeros_like,
)
from tinynet.errors import CheckpointError, DataError, ShapeError
from tinynet.ops import *  # noqa: F403
from tinynet.random import manual_seed
from tinynet.tensor import Tensor, bool_, float32, float64, int64, uint8

__version__ = "0.1.0"
