"""Activations under PyTorch's names. Formulas and gradients stand in tinynet/ops.

With inplace=True the input itself becomes the result, see `applied`.
"""

import functools
import math

import numpy as np

from tinynet import ops
from tinynet.errors import ShapeError
from tinynet.functions import log_softmax, sigmoid, softmax, softmin, tanh
from tinynet.nn.functional.arguments import Data, applied, named, tensor_of
from tinynet.ops import activation
from tinynet.ops.checks import may_underflow, within
from tinynet.ops.reduction import axes_of
from tinynet.random import default_rng
from tinynet.tensor import Tensor

__all__ = [
    "celu", "celu_", "elu", "elu_", "gelu", "glu", "gumbel_softmax", "hardshrink", "hardsigmoid",
    "hardswish", "hardtanh", "hardtanh_", "leaky_relu", "leaky_relu_", "log_softmax", "logsigmoid",
    "mish", "prelu", "relu", "relu6", "relu_", "rrelu", "rrelu_", "selu", "selu_", "sigmoid",
    "silu", "softmax", "softmin", "softplus", "softshrink", "softsign", "tanh", "tanhshrink",
    "threshold", "threshold_",
]  # fmt: skip


def relu(input: Data, inplace: bool = False) -> Tensor:
    """max(x, 0) of each element.

    >>> import tinynet
    >>> relu(tinynet.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 0., 2.])
    """
    return applied(ops.relu, inplace, input)


def leaky_relu(input: Data, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where x > 0, else negative_slope * x."""
    return applied(ops.leaky_relu, inplace, input, negative_slope)


def prelu(input: Data, weight: Data) -> Tensor:
    """x where x > 0, else w x; weight: one slope, or one for each channel (axis 1)."""
    x, w = tensor_of(input), tensor_of(weight)
    channels = x.shape[1] if x.ndim > 1 else 1
    if w.ndim > 1 or w.numel() not in (1, channels):
        raise ShapeError(
            f"prelu: the weight must have shape (1,), or ({channels},) for the input of shape "
            f"{x.shape}, got {w.shape}"
        )
    column = (-1, *(1,) * (x.ndim - 2)) if x.ndim > 1 else ()  # along the axis of the channels
    return activation.prelu(x, w.reshape(column))


def rrelu(
    input: Data,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    """x, or s x below 0: s random in training, else the mean of the bounds (arXiv:1505.00853)."""
    if not lower <= upper:
        raise ValueError(f"rrelu: lower must be at most upper, got {lower} and {upper}")
    x = tensor_of(input).array
    slope = default_rng().uniform(lower, upper, x.shape) if training else (lower + upper) / 2
    factor = np.where(x > 0, 1, slope).astype(x.dtype)
    return applied(ops.mul, inplace, input, factor)


def elu(input: Data, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else alpha * (e^x - 1)."""
    return applied(ops.elu, inplace, input, alpha)


def selu(input: Data, inplace: bool = False) -> Tensor:
    """ELU times a factor, with which activations keep mean 0 and variance 1 (arXiv:1706.02515)."""
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return applied(lambda x: scale * ops.elu(x, alpha), inplace, input)


def celu(input: Data, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else alpha * (e^(x / alpha) - 1) (arXiv:1704.07483)."""
    if alpha == 0:
        raise ValueError("celu: alpha must not be 0, by which x is divided; use relu")
    return applied(lambda x: alpha * ops.elu(x / alpha), inplace, input)


def silu(input: Data, inplace: bool = False) -> Tensor:
    """x * sigmoid(x), also called swish."""
    return applied(ops.silu, inplace, input)


@may_underflow
def mish(input: Data, inplace: bool = False) -> Tensor:
    """x * tanh(softplus(x)) (arXiv:1908.08681)."""
    return applied(lambda x: ops.mul(x, ops.tanh(ops.softplus(x))), inplace, input)


def softplus(input: Data, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + e^(beta x)) / beta, and x itself where beta x is above the threshold."""
    y = ops.softplus(input, beta)
    return y if threshold >= 20 else ops.where(tensor_of(input) * beta > threshold, input, y)


def hardtanh(
    input: Data, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """x between min_val and max_val, and these limits beyond."""
    return applied(activation.hardtanh, inplace, input, min_val, max_val)


def relu6(input: Data, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6)."""
    return hardtanh(input, 0.0, 6.0, inplace)


def hardsigmoid(input: Data, inplace: bool = False) -> Tensor:
    """x / 6 + 1/2 between 0 and 1, and these limits beyond (arXiv:1511.00363)."""
    return applied(lambda x: activation.hardtanh(ops.add(ops.div(x, 6), 0.5), 0, 1), inplace, input)


@may_underflow
def hardswish(input: Data, inplace: bool = False) -> Tensor:
    """x * hardsigmoid(x) (arXiv:1905.02244)."""
    return applied(lambda x: ops.mul(x, hardsigmoid(x)), inplace, input)


def softshrink(input: Data, lambd: float = 0.5) -> Tensor:
    """x moved towards 0 by lambd, and no further."""
    within("softshrink", "lambd", lambd, 0, math.inf)
    return ops.sub(input, ops.clip(input, -lambd, lambd))


def tanhshrink(input: Data) -> Tensor:
    """x - tanh(x)."""
    return tensor_of(input) - ops.tanh(input)


def threshold(input: Data, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where x > threshold, else value."""
    return applied(activation.threshold, inplace, input, threshold, value)


def logsigmoid(input: Data) -> Tensor:
    """log(sigmoid(x)) = -softplus(-x), which cannot overflow."""
    return -ops.softplus(-tensor_of(input))


def softsign(input: Data) -> Tensor:
    """x / (1 + |x|)."""
    return tensor_of(input) / (1 + ops.abs(input))


def gumbel_softmax(
    logits: Data, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """A sample of classes that has a gradient: softmax((logits + g) / tau), g of Gumbel's
    distribution. hard: 1 for the largest and 0 for the others, with the softmax's gradient.

    Source: Jang, Gu, Poole, "Categorical reparameterization with Gumbel-softmax", 2016. eps has no
    effect.
    """
    x = tensor_of(logits)
    g = -np.log(default_rng().exponential(size=x.shape)).astype(x.dtype)
    y: Tensor = softmax((x + g) / tau, dim)
    if not hard:
        return y
    largest = (y.array == y.array.max(dim, keepdims=True)).astype(x.dtype)
    return ops.add(y, largest - y.array)


def glu(input: Data, dim: int = -1) -> Tensor:
    """a * sigmoid(b), a the first half of the input along `dim` and b the second."""
    x = tensor_of(input)
    axes_of("glu", x.array, dim)
    if not x.ndim or x.shape[dim] % 2:
        raise ShapeError(
            f"glu: the input is cut into halves along dim={dim}, its shape {x.shape} has no even "
            "size there; double the outputs of the layer before it"
        )
    a, b = ops.split(x, [x.shape[dim] // 2] * 2, dim)
    return a * ops.sigmoid(b)


gelu = named(ops.gelu, "input approximate")
hardshrink = named(activation.hardshrink, "input lambd")

relu_, leaky_relu_, rrelu_, elu_, selu_, celu_, hardtanh_, threshold_ = (
    functools.partial(function, inplace=True)
    for function in (relu, leaky_relu, rrelu, elu, selu, celu, hardtanh, threshold)
)
