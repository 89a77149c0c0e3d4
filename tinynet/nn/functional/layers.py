"""Layers as functions, under PyTorch's names. Formulas and gradients stand in tinynet/ops."""

# ruff: noqa: A002 (the argument names are PyTorch's)

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from tinynet import ops
from tinynet.autograd import wrap
from tinynet.errors import DataError, ShapeError, unknown_name
from tinynet.nn.functional.arguments import Data
from tinynet.tensor import Tensor, as_array

__all__ = [
    "adaptive_avg_pool2d", "avg_pool2d", "batch_norm", "conv2d", "conv_transpose2d", "dropout",
    "layer_norm", "linear", "max_pool2d", "one_hot", "pad",
]  # fmt: skip


IntPair: TypeAlias = int | Sequence[int]


# ----- layers -------------------------------------------------------------------------------------


def linear(input: Data, weight: Data, bias: Data | None = None) -> Tensor:
    """x w^T + b: input (..., I), weight (O, I), bias (O) -> (..., O)."""
    return ops.linear(input, weight, bias)


def conv2d(
    input: Data,
    weight: Data,
    bias: Data | None = None,
    stride: IntPair = 1,
    padding: IntPair | str = 0,
    dilation: IntPair = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution: input (N, C, H, W), weight (O, C/groups, KH, KW), bias (O) -> (N, O, OH, OW).

    padding: an int, a pair (vertical, horizontal), "same" or "valid".
    """
    return ops.conv2d(input, weight, bias, stride, padding, dilation, groups)


def conv_transpose2d(
    input: Data,
    weight: Data,
    bias: Data | None = None,
    stride: IntPair = 1,
    padding: IntPair = 0,
    output_padding: IntPair = 0,
    groups: int = 1,
    dilation: IntPair = 1,
) -> Tensor:
    """Transposed convolution: input (N, C, H, W), weight (C, O/groups, KH, KW), bias (O)."""
    return ops.conv_transpose2d(
        input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def max_pool2d(
    input: Data,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    dilation: IntPair = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """The maximum of each window: (N, C, H, W) -> (N, C, OH, OW). stride: kernel_size if None."""
    return ops.max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode)


def avg_pool2d(
    input: Data,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window: (N, C, H, W) -> (N, C, OH, OW). stride: kernel_size if None."""
    return ops.avg_pool2d(input, kernel_size, stride, padding, ceil_mode, count_include_pad)


def adaptive_avg_pool2d(input: Data, output_size: int | tuple[int | None, int | None]) -> Tensor:
    """The mean over a grid of regions that cover the image: (N, C, H, W) -> (N, C, *output_size).

    None keeps a size.
    """
    return ops.adaptive_avg_pool2d(input, output_size)


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


def dropout(
    input: Data, p: float = 0.5, training: bool = True, *, rng: np.random.Generator | None = None
) -> Tensor:
    """Each element 0 with probability p, else x / (1 - p); with training=False the input itself."""
    return ops.dropout(input, p, training, rng)


# ----- shape --------------------------------------------------------------------------------------

_PAD_MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def pad(input: Data, pad: Sequence[int], mode: str = "constant", value: float = 0.0) -> Tensor:
    """Surround with more elements; `pad` counts from the last axis, as in PyTorch.

    pad: (left, right) for the last axis, then (top, bottom) for the one before, and so on, each
    0 or more. mode: "constant" puts in `value`; "reflect" mirrors at the edge element without
    repeating it, "replicate" repeats it, "circular" goes on at the other end.
    Raises ShapeError where the widths do not fit the input, ValueError for an unknown mode.

    >>> pad(np.array([1.0, 2.0, 3.0]), (2, 1), mode="reflect")
    Tensor([3., 2., 1., 2., 3., 2.], dtype=float64)
    """
    shape = tuple(input.shape)
    if mode != "constant" and mode not in _PAD_MODES:
        raise unknown_name("mode of pad", mode, ("constant", *_PAD_MODES))
    if len(pad) % 2 or len(pad) > 2 * len(shape) or any(width < 0 for width in pad):
        raise ShapeError(
            f"pad: needs (left, right, top, bottom, ...), a pair of widths >= 0 for each axis from "
            f"the last on, at most {2 * len(shape)} for shape {shape}; got {tuple(pad)}. A slice "
            "such as x[:, 1:-1] cuts off instead."
        )
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
    widths = [(0, 0)] * (len(shape) - len(pairs)) + pairs[::-1]  # first axis first
    if mode == "constant":
        return ops.pad(input, widths, value)
    y = input if isinstance(input, Tensor) else wrap(input)
    for axis, (size, width) in enumerate(zip(shape, widths)):
        if width != (0, 0):
            y = _pad_axis(y, axis, size, width, mode)
    return y


def _pad_axis(x: Tensor, axis: int, size: int, width: tuple[int, int], mode: str) -> Tensor:
    """Indexing with the padded places of one axis; the gradient is that of the indexing."""
    most = {"reflect": size - 1, "circular": size}.get(mode, max(width) if size else 0)
    if max(width) > most:
        raise ShapeError(
            f"pad: mode={mode!r} can add at most {max(most, 0)} elements at each end of axis "
            f"{axis}, which has {size}; got {width}"
        )
    places = np.pad(np.arange(size), width, mode=_PAD_MODES[mode])  # type: ignore[call-overload]
    return ops.getitem(x, (slice(None),) * axis + (places,))


def one_hot(tensor: Data, num_classes: int = -1) -> Tensor:
    """Labels (...) as rows (..., num_classes) of int64 with a single 1, at the label's place.

    num_classes: the largest label + 1 if -1. Raises TypeError for labels that are no integers,
    DataError for labels outside 0 to num_classes - 1.

    >>> one_hot(np.array([0, 2]))
    Tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    labels = as_array(tensor)
    if labels.dtype.kind not in "iu":
        raise TypeError(
            f"one_hot: labels must be integers, got {labels.dtype}; convert with labels.long()"
        )
    if num_classes == -1:
        if labels.size == 0:
            raise ShapeError("one_hot: without labels there is no largest one; pass num_classes")
        num_classes = int(labels.max()) + 1
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if wrong.size:
        raise DataError(
            f"one_hot: label {int(wrong[0])} is out of range for num_classes={num_classes}; "
            f"labels go from 0 to {num_classes - 1}"
        )
    return wrap((labels[..., None] == np.arange(num_classes)).astype(np.int64))
