"""Initial values of parameters. Each function fills a tensor in place and returns it.

The rule behind all of them: a layer should neither blow up nor shrink what passes through it.
A weight with `fan_in` inputs adds up fan_in terms, so the variance of its output stays that of
its input if the weights have the variance gain^2 / fan_in; the gain makes good for what the
activation takes away. Going backward the same holds with fan_out.

Sources: Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural
networks" (xavier); He et al. 2015, "Delving deep into rectifiers" (kaiming); Saxe et al. 2014,
"Exact solutions to the nonlinear dynamics of learning in deep linear networks" (orthogonal).

Random ones take `rng`, a numpy Generator; without it they use the thread's default generator.
Numbers are drawn in the dtype of the tensor.
"""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from tinynet import changes
from tinynet.errors import ShapeError, unknown_name
from tinynet.functions.common import named
from tinynet.random import Rng, default_rng
from tinynet.tensor import Tensor

T = TypeVar("T", bound=Tensor)

_GAINS = {
    **dict.fromkeys(("linear", "conv1d", "conv2d", "conv3d", "conv_transpose2d", "sigmoid"), 1.0),
    **{"tanh": 5 / 3, "relu": math.sqrt(2), "leaky_relu": math.sqrt(2), "selu": 3 / 4},
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which weights are enlarged to make good for an activation.

    ReLU halves the mean square of what passes, so its gain is sqrt(2); leaky ReLU with slope
    `param` (0.01 if None) has sqrt(2 / (1 + param^2)).

    >>> calculate_gain("relu")
    1.4142135623730951
    """
    if nonlinearity not in _GAINS:
        raise unknown_name("nonlinearity", nonlinearity, _GAINS)
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return math.sqrt(2 / (1 + slope**2))
    return _GAINS[nonlinearity]


def fans(tensor: Tensor) -> tuple[int, int]:
    """(fan_in, fan_out): how many inputs feed one output of a weight, and the other way round.

    A weight is (O, I) or (O, I, KH, KW); each tap of the kernel counts.
    Raises ShapeError for fewer than two axes.
    """
    if tensor.ndim < 2:
        raise ShapeError(
            f"init: fan_in and fan_out need a weight of at least 2 axes (O, I, ...), this one has "
            f"shape {tensor.shape}; use zeros_ or uniform_ for a bias"
        )
    taps = math.prod(tensor.shape[2:])
    return tensor.shape[1] * taps, tensor.shape[0] * taps


_calculate_fan_in_and_fan_out = fans  # PyTorch's name, which layers of one's own often call


def uniform_(tensor: T, a: float = 0.0, b: float = 1.0, rng: Rng = None) -> T:
    """Uniform between a and b."""
    return _drawn(tensor, default_rng(rng).random, b - a, a)


def normal_(tensor: T, mean: float = 0.0, std: float = 1.0, rng: Rng = None) -> T:
    """Normal with this mean and standard deviation."""
    if std < 0:
        raise ValueError(f"normal_: std must be 0 or more, got {std}")
    return _drawn(tensor, default_rng(rng).standard_normal, std, mean)


def constant_(tensor: T, val: float) -> T:
    """The same number everywhere."""
    tensor.array.fill(val)
    changes.note_change(tensor.array)
    return tensor


zeros_ = named("zeros_", "0 everywhere.", lambda tensor: constant_(tensor, 0))
ones_ = named("ones_", "1 everywhere.", lambda tensor: constant_(tensor, 1))


def xavier_uniform_(tensor: T, gain: float = 1.0, rng: Rng = None) -> T:
    """Uniform between -a and a, a = gain sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010)."""
    bound = gain * math.sqrt(6 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound, rng)


def xavier_normal_(tensor: T, gain: float = 1.0, rng: Rng = None) -> T:
    """Normal with std = gain sqrt(2 / (fan_in + fan_out)) (Glorot & Bengio 2010)."""
    return normal_(tensor, 0, gain * math.sqrt(2 / sum(fans(tensor))), rng)


def kaiming_uniform_(
    tensor: T, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", rng: Rng = None
) -> T:
    """Uniform with the variance gain^2 / fan, so between -/+ gain sqrt(3 / fan) (He et al. 2015).

    a: slope of the leaky ReLU that follows (0: ReLU). mode: "fan_in" keeps the variance of the
    forward pass, "fan_out" that of the backward pass.
    """
    bound = math.sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, rng)


def kaiming_normal_(
    tensor: T, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", rng: Rng = None
) -> T:
    """Normal with std = gain / sqrt(fan) (He et al. 2015); arguments as `kaiming_uniform_`."""
    return normal_(tensor, 0, _kaiming_std(tensor, a, mode, nonlinearity), rng)


def orthogonal_(tensor: T, gain: float = 1.0, rng: Rng = None) -> T:
    """Rows (or columns, if there are more rows) orthogonal and of length `gain` (Saxe et al. 2014).

    Further axes count as columns. The Q of a random normal matrix, with the signs of R's diagonal
    so that every orthogonal matrix is equally likely.
    """
    fans(tensor)  # refuses fewer than two axes
    rows = tensor.shape[0]
    normal = default_rng(rng).standard_normal((rows, tensor.numel() // rows))
    wide = normal.shape[0] < normal.shape[1]
    q, r = np.linalg.qr(normal.T if wide else normal)
    q *= np.sign(np.diag(r))
    return _fill(tensor, gain * (q.T if wide else q).reshape(tensor.shape))


def trunc_normal_(
    tensor: T, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, rng: Rng = None
) -> T:
    """Normal with this mean and standard deviation, drawn anew where it is not from a to b."""
    if not a < b or not a - 4 * std < mean < b + 4 * std:
        raise ValueError(f"trunc_normal_: hardly any value of N({mean}, {std}^2) is in [{a}, {b}]")
    values = normal_(tensor, mean, std, rng).array
    while (outside := (values < a) | (values > b)).any():
        values[outside] = mean + std * default_rng(rng).standard_normal(int(outside.sum()))
    return tensor


def eye_(tensor: T) -> T:
    """1 on the diagonal of a matrix, 0 elsewhere: a Linear that gives back its input."""
    if tensor.ndim != 2:
        raise ShapeError(f"eye_: needs a matrix, got shape {tensor.shape}")
    return _fill(tensor, np.eye(*tensor.shape, dtype=tensor.dtype))


def dirac_(tensor: T, groups: int = 1) -> T:
    """A convolution (O, I, K, ...) that gives back its input, in each of the groups of filters."""
    if tensor.ndim < 3 or tensor.shape[0] % groups:
        raise ShapeError(
            f"dirac_: needs a kernel (O, I, K, ...) with O a multiple of groups={groups}, got "
            f"{tensor.shape}"
        )
    values = np.zeros(tensor.shape, tensor.dtype)
    middle = tuple(size // 2 for size in tensor.shape[2:])
    each = tensor.shape[0] // groups
    for o in range(tensor.shape[0]):
        if o % each < tensor.shape[1]:
            values[(o, o % each, *middle)] = 1
    return _fill(tensor, values)


def sparse_(tensor: T, sparsity: float, std: float = 0.01, rng: Rng = None) -> T:
    """Normal with mean 0, and in each column the part `sparsity` of the rows, drawn anew, 0."""
    if tensor.ndim != 2:
        raise ShapeError(f"sparse_: needs a matrix, got shape {tensor.shape}")
    order = default_rng(rng).random(tensor.shape).argsort(0)
    values = normal_(tensor, 0, std, rng).array
    values[order < math.ceil(sparsity * len(values))] = 0
    return tensor


# the names of PyTorch's early days
uniform, normal, constant, orthogonal = uniform_, normal_, constant_, orthogonal_
xavier_uniform, xavier_normal = xavier_uniform_, xavier_normal_
kaiming_uniform, kaiming_normal = kaiming_uniform_, kaiming_normal_


def default_(weight: Tensor, bias: Tensor | None, rng: Rng = None) -> None:
    """The default of Linear and the convolutions, as in PyTorch: between -/+ 1 / sqrt(fan_in).

    For the weight this is kaiming_uniform_ with a = sqrt(5), whose gain is 1 / sqrt(3). The rule
    is that of LeCun et al. 1998, "Efficient BackProp", section 4.6, in its uniform form.
    """
    kaiming_uniform_(weight, math.sqrt(5), rng=rng)
    if bias is not None:
        bound = 1 / math.sqrt(fans(weight)[0])
        uniform_(bias, -bound, bound, rng)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise unknown_name("mode", mode, ("fan_in", "fan_out"))
    fan = fans(tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def _drawn(tensor: T, draw: Callable[..., Any], factor: float, shift: float) -> T:
    """Random numbers times a factor, and shifted, in the tensor's own memory if it is in order."""
    array = tensor.array
    values = array if array.flags.c_contiguous else np.empty(array.shape, array.dtype)
    draw(out=values, dtype=values.dtype)
    values *= factor
    values += shift
    return _fill(tensor, values)


def _fill(tensor: T, values: np.ndarray) -> T:
    if values is not tensor.array:
        np.copyto(tensor.array, values, casting="same_kind")
    changes.note_change(tensor.array)
    return tensor
