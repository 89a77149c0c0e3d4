"""Linear maps under PyTorch's names: of vectors, of images (convolutions), of windows.

Formulas and gradients stand in tinynet/ops. A convolution along one axis is the one of images
with a height of one. Where images are batches (N, C, H, W), a single one (C, H, W) goes too.
"""

# ruff: noqa: A002 (the argument names are PyTorch's)

from __future__ import annotations

from tinynet import ops
from tinynet.errors import ShapeError
from tinynet.nn.functional.arguments import Data, IntPair, as_batch, beside, one_row, tensor_of
from tinynet.ops import unfold as windows
from tinynet.tensor import Tensor

__all__ = [
    "bilinear", "conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "fold", "linear",
    "unfold",
]  # fmt: skip


def linear(input: Data, weight: Data, bias: Data | None = None) -> Tensor:
    """x w^T + b: input (..., I), weight (O, I), bias (O) -> (..., O)."""
    return ops.linear(input, weight, bias)


def bilinear(input1: Data, input2: Data, weight: Data, bias: Data | None = None) -> Tensor:
    """x1^T w_o x2 + b_o: inputs (..., I) and (..., J), weight (O, I, J), bias (O) -> (..., O)."""
    x1, x2, w = tensor_of(input1), tensor_of(input2), tensor_of(weight)
    if w.ndim != 3 or x1.shape[-1:] != w.shape[1:2] or x2.shape[-1:] != w.shape[2:]:
        raise ShapeError(
            f"bilinear: inputs of shapes {x1.shape} and {x2.shape} need a weight (O, "
            f"{x1.shape[-1]}, {x2.shape[-1]}), got {w.shape}"
        )
    if x1.shape[:-1] != x2.shape[:-1]:
        raise ShapeError(
            f"bilinear: the inputs have shapes {x1.shape} and {x2.shape}; all sizes but the last "
            "must be equal"
        )
    rows = x1[..., None, None, :] @ w  # (..., O, 1, J)
    y = (rows.squeeze(-2) * x2.unsqueeze(-2)).sum(-1)
    return y if bias is None else y + bias


def conv1d(
    input: Data,
    weight: Data,
    bias: Data | None = None,
    stride: IntPair = 1,
    padding: IntPair | str = 0,
    dilation: IntPair = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution: input (N, C, L) or (C, L), weight (O, C/groups, K), bias (O) -> (N, O, OL)."""
    margin = padding if isinstance(padding, str) else beside(0, padding)
    x, w = one_row("conv1d", input), tensor_of(weight).unsqueeze(-2)
    y = conv2d(x, w, bias, beside(1, stride), margin, beside(1, dilation), groups)
    return y.squeeze(-2)


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

    def convolved(x: Data) -> Tensor:
        return ops.conv2d(x, weight, bias, stride, padding, dilation, groups)

    return as_batch(convolved, input)


def conv_transpose1d(
    input: Data,
    weight: Data,
    bias: Data | None = None,
    stride: IntPair = 1,
    padding: IntPair = 0,
    output_padding: IntPair = 0,
    groups: int = 1,
    dilation: IntPair = 1,
) -> Tensor:
    """Transposed convolution: input (N, C, L) or (C, L), weight (C, O/groups, K), bias (O)."""
    x, w = one_row("conv_transpose1d", input), tensor_of(weight).unsqueeze(-2)
    steps, margin, extra = beside(1, stride), beside(0, padding), beside(0, output_padding)
    return conv_transpose2d(x, w, bias, steps, margin, extra, groups, beside(1, dilation)).squeeze(
        -2
    )


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

    def spread(x: Data) -> Tensor:
        return ops.conv_transpose2d(
            x, weight, bias, stride, padding, output_padding, groups, dilation
        )

    return as_batch(spread, input)


def unfold(
    input: Data,
    kernel_size: IntPair,
    dilation: IntPair = 1,
    padding: IntPair = 0,
    stride: IntPair = 1,
) -> Tensor:
    """Every window as a column: (N, C, H, W) -> (N, C*KH*KW, OH*OW)."""
    return as_batch(lambda x: windows.unfold(x, kernel_size, dilation, padding, stride), input)


def fold(
    input: Data,
    output_size: IntPair,
    kernel_size: IntPair,
    dilation: IntPair = 1,
    padding: IntPair = 0,
    stride: IntPair = 1,
) -> Tensor:
    """Columns added up where `unfold` took them from: (N, C*KH*KW, L) -> (N, C, *output_size)."""

    def folded(x: Data) -> Tensor:
        return windows.fold(x, output_size, kernel_size, dilation, padding, stride)

    return as_batch(folded, input, 3)
