"""Normalisation under PyTorch's names.

Batch and layer normalisation are operations, in `tinynet.ops.norm`; the others are made of them.
"""

import math
from collections.abc import Sequence

import numpy as np

from tinynet import ops
from tinynet.autograd import wrap
from tinynet.errors import ShapeError
from tinynet.nn.functional.arguments import Data, tensor_of
from tinynet.nn.functional.windows import avg_pool2d
from tinynet.ops.checks import check_float, integer
from tinynet.ops.norm import check_per_channel, last_sizes
from tinynet.tensor import Tensor

__all__ = [
    "batch_norm", "group_norm", "instance_norm", "layer_norm", "local_response_norm", "rms_norm",
]  # fmt: skip


def batch_norm(
    input: Data,
    running_mean: Data | None,
    running_var: Data | None,
    weight: Data | None = None,
    bias: Data | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Batch normalisation of (N, C), (N, C, L) or (N, C, H, W), per channel.

    training=True normalises by the batch and moves running_mean and running_var (C) in place;
    False normalises by these.
    """
    mean, var = (  # as tensors, which share memory: plain arrays are copied
        wrap(x) if isinstance(x, np.ndarray) else x for x in (running_mean, running_var)
    )
    return ops.batch_norm(input, weight, bias, mean, var, training, momentum, eps)


def layer_norm(
    input: Data,
    normalized_shape: int | Sequence[int],
    weight: Data | None = None,
    bias: Data | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Layer normalisation over the last axes, whose sizes are `normalized_shape`."""
    return ops.layer_norm(input, weight, bias, normalized_shape, eps)


def group_norm(
    input: Data,
    num_groups: int,
    weight: Data | None = None,
    bias: Data | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Each example (C, ...) normalised by the mean and variance of each group of its channels.

    weight, bias (C). Source: Wu, He, "Group normalization", arXiv:1803.08494.
    """
    op, x = "group_norm", tensor_of(input)
    groups = integer(op, "num_groups", num_groups)
    if x.ndim < 2 or x.shape[1] % groups:
        raise ShapeError(
            f"{op}: num_groups={groups} must divide the channels, axis 1 of the input of shape "
            f"{x.shape}"
        )
    check_float(op, x)
    check_per_channel(op, x.array, weight=weight, bias=bias)
    if x.numel() == 0:
        return x
    y = ops.layer_norm(x.reshape(len(x), groups, -1), eps=eps).reshape(x.shape)
    column = (-1, *(1,) * (x.ndim - 2))
    y = y if weight is None else y * tensor_of(weight).reshape(column)
    return y if bias is None else y + tensor_of(bias).reshape(column)


def instance_norm(
    input: Data,
    running_mean: Data | None = None,
    running_var: Data | None = None,
    weight: Data | None = None,
    bias: Data | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel of each example normalised by its own mean and variance over the places.

    running_mean and running_var move as in `batch_norm`, by the mean over the examples; with
    use_input_stats=False they are what is normalised by.
    Source: Ulyanov, Vedaldi, Lempitsky, "Instance normalization", arXiv:1607.08022.
    """
    op, x = "instance_norm", tensor_of(input)
    if not use_input_stats:
        return batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    check_float(op, x)
    if x.ndim < 3 or math.prod(x.shape[2:]) < 2:
        raise ShapeError(
            f"{op}: the input must have shape (N, C, L) or (N, C, H, W) with more than one place "
            f"to take the mean of, got {x.shape}"
        )
    check_per_channel(
        op, x.array, weight=weight, bias=bias, running_mean=running_mean, running_var=running_var
    )
    axes = tuple(range(2, x.ndim))
    statistics = x.array.mean(axes), x.array.var(axes, ddof=1)
    for running, new in zip((running_mean, running_var), statistics):
        if running is not None:
            array = tensor_of(running).array
            array += momentum * (new.mean(0) - array)
    return group_norm(x, x.shape[1], weight, bias, eps)


def rms_norm(
    input: Data,
    normalized_shape: int | Sequence[int],
    weight: Data | None = None,
    eps: float | None = None,
) -> Tensor:
    """x / sqrt(mean(x^2) + eps), the mean over the last axes, times the weight.

    eps: the smallest step of the dtype if None. Source: Zhang, Sennrich, arXiv:1910.07467.
    """
    x = tensor_of(input)
    check_float("rms_norm", x)
    sizes = last_sizes("rms_norm", x.array, normalized_shape)
    if weight is not None and weight.shape != sizes:
        raise ShapeError(f"rms_norm: weight has shape {weight.shape}, it must have {sizes}")
    axes = tuple(range(-len(sizes), 0))
    small = float(np.finfo(x.dtype).eps) if eps is None else eps
    y = x / ops.sqrt((x * x).mean(axes, keepdims=True) + small)
    return y if weight is None else y * weight


def local_response_norm(
    input: Data, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """x / (k + alpha m)^beta, m the mean of x^2 over `size` neighbouring channels, 0 beyond.

    Source: Krizhevsky, Sutskever, Hinton, "ImageNet classification", 2012.
    """
    x = tensor_of(input)
    integer("local_response_norm", "size", size)
    if x.ndim < 3:
        raise ShapeError(f"local_response_norm: the input must be (N, C, L, ...), got {x.shape}")
    if x.numel() == 0:
        return x
    squares = (x * x).reshape(len(x), 1, x.shape[1], -1)
    squares = ops.pad(squares, [(0, 0), (0, 0), (size // 2, (size - 1) // 2), (0, 0)])
    means = avg_pool2d(squares, (size, 1), 1).reshape(x.shape)
    return x / (k + alpha * means) ** beta
