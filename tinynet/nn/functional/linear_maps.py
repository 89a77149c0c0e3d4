"""Linear maps under PyTorch's names: of vectors, of images (convolutions), of windows.

Formulas and gradients stand in tinynet/ops. Where images are batches (N, C, H, W), a single one
(C, H, W) goes too.
"""

# ruff: noqa: A002 (the argument names are PyTorch's)

from __future__ import annotations

from tinynet import ops
from tinynet.nn.functional.arguments import Data, IntPair, as_batch, one_axis
from tinynet.ops import unfold as windows
from tinynet.tensor import Tensor

__all__ = [
    "conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "fold", "linear",
    "unfold",
]  # fmt: skip


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
    settings = weight, bias, stride, padding, dilation, groups
    if input.ndim != 3:
        return ops.conv2d(input, *settings)
    return as_batch(lambda x: ops.conv2d(x, *settings), input)


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
    settings = weight, bias, stride, padding, output_padding, groups, dilation
    return as_batch(lambda x: ops.conv_transpose2d(x, *settings), input)


conv1d = one_axis("conv1d", conv2d)
conv_transpose1d = one_axis("conv_transpose1d", conv_transpose2d)


def unfold(
    input: Data,
    kernel_size: IntPair,
    dilation: IntPair = 1,
    padding: IntPair = 0,
    stride: IntPair = 1,
) -> Tensor:
    """Every window as a column: (N, C, H, W) -> (N, C*KH*KW, OH*OW)."""
    settings = kernel_size, dilation, padding, stride
    return as_batch(lambda x: windows.unfold(x, *settings), input)


def fold(
    input: Data,
    output_size: IntPair,
    kernel_size: IntPair,
    dilation: IntPair = 1,
    padding: IntPair = 0,
    stride: IntPair = 1,
) -> Tensor:
    """Columns added up where `unfold` took them from: (N, C*KH*KW, L) -> (N, C, *output_size)."""
    settings = output_size, kernel_size, dilation, padding, stride
    return as_batch(lambda x: windows.fold(x, *settings), input, 3)
