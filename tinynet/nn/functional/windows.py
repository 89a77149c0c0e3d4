"""Linear maps and pools under PyTorch's names: of vectors, and of windows of images.

Formulas and gradients stand in tinynet/ops. Where images are batches (N, C, H, W), a single one
(C, H, W) goes too. stride of a pool: kernel_size if None.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinynet import ops
from tinynet.autograd import wrap
from tinynet.errors import ShapeError
from tinynet.functions import einsum
from tinynet.nn.functional.arguments import Data, IntPair, as_batch, named, one_axis, tensor_of
from tinynet.ops import places
from tinynet.ops import unfold as windows
from tinynet.ops.pool import adaptive_size, max_pool_geometry, pool_arguments
from tinynet.ops.windows import check_image, pair
from tinynet.tensor import Tensor

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d",
    "avg_pool1d", "avg_pool2d", "bilinear", "conv1d", "conv2d", "conv_transpose1d",
    "conv_transpose2d", "fold", "linear", "lp_pool1d", "lp_pool2d", "max_pool1d", "max_pool2d",
    "max_unpool1d", "max_unpool2d", "unfold",
]  # fmt: skip

Size = int | Sequence[int | None]

linear = named(ops.linear, "input weight bias")


def bilinear(input1: Data, input2: Data, weight: Data, bias: Data | None = None) -> Tensor:
    """x1^T w_o x2 + b_o for each o: (..., I), (..., J), weight (O, I, J), bias (O) -> (..., O)."""
    if weight.ndim != 3 or (input1.shape[-1], input2.shape[-1]) != tuple(weight.shape[1:]):
        raise ShapeError(
            f"bilinear: inputs {tuple(input1.shape)} and {tuple(input2.shape)} do not fit the "
            f"weight (O, I, J) = {tuple(weight.shape)}, which takes (..., I) and (..., J)"
        )
    y = einsum("...i,oij,...j->...o", input1, weight, input2)
    return y if bias is None else y + bias


conv2d = named(ops.conv2d, "input weight bias stride padding dilation groups", 4)
conv_transpose2d = named(
    ops.conv_transpose2d, "input weight bias stride padding output_padding groups dilation", 4
)
conv1d = one_axis("conv1d", conv2d)
conv_transpose1d = one_axis("conv_transpose1d", conv_transpose2d)
unfold = named(windows.unfold, "input kernel_size dilation padding stride", 4)
fold = named(windows.fold, "input output_size kernel_size dilation padding stride", 3)


def max_pool2d(
    input: Data,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    dilation: IntPair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum of each window: (N, C, H, W) -> (N, C, OH, OW).

    return_indices: also the place of each maximum, counted in the image in reading order.
    """
    settings = kernel_size, stride, padding, dilation, ceil_mode
    if not return_indices:
        return as_batch(lambda x: ops.max_pool2d(x, *settings), input)

    def pooled(images: Data) -> Any:
        x = tensor_of(images)
        check_image("max_pool2d", x.array)
        g = max_pool_geometry(x.shape[2:], *settings)
        return _with_places(x, places.of_maxima(x.array, g))

    return as_batch(pooled, input)


def adaptive_max_pool2d(input: Data, output_size: Size, return_indices: bool = False) -> Any:
    """The maximum over regions that cover the image: (N, C, H, W) -> (N, C, *output_size).

    None keeps a size. return_indices: also the place of each maximum, as in `max_pool2d`.
    """

    def pooled(images: Data) -> Any:
        x = tensor_of(images)
        check_image("adaptive_max_pool2d", x.array)
        size = adaptive_size("adaptive_max_pool2d", x.shape, output_size)
        if not return_indices and not any(n % out for n, out in zip(x.shape[2:], size)):
            return ops.max_pool2d(x, [n // out for n, out in zip(x.shape[2:], size)])
        y = _with_places(x, places.of_maxima_of_regions(x.array, size))
        return y if return_indices else y[0]

    return as_batch(pooled, input)


def _with_places(x: Tensor, place: np.ndarray) -> tuple[Tensor, Tensor]:
    """The elements (N, C, OH, OW) of the images that are at these places, and the places."""
    N, C, *size = place.shape
    rows = x.reshape(N * C, x.shape[2] * x.shape[3])
    index = np.arange(N * C)[:, None], place.reshape(N * C, size[0] * size[1])
    return ops.getitem(rows, index).reshape(place.shape), wrap(place)


def max_unpool2d(
    input: Data,
    indices: Data,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """The way back of `max_pool2d`: every maximum at its place, 0 elsewhere.

    output_size: chooses among the sizes that a pool of this stride maps to the input's size.
    """
    op, x, index = "max_unpool2d", tensor_of(input), tensor_of(indices).array
    kernel, steps, margin = pool_arguments(op, kernel_size, stride, padding)
    usual = [(n - 1) * s + k - 2 * m for n, s, k, m in zip(x.shape[-2:], steps, kernel, margin)]
    H, W = usual if output_size is None else list(output_size)[-2:]
    if abs(H - usual[0]) >= steps[0] or abs(W - usual[1]) >= steps[1]:
        raise ShapeError(
            f"{op}: output_size={(H, W)} is not pooled to {x.shape[-2:]} by kernel_size={kernel}, "
            f"stride={steps}, padding={margin}; {tuple(usual)} is"
        )
    index = index[None] if index.ndim == 3 else index
    return as_batch(lambda x: places.max_unpool2d(x, index, (H, W)), x)


def lp_pool2d(
    input: Data,
    norm_type: float,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """(sum x^norm_type)^(1/norm_type) of each window: (N, C, H, W) -> (N, C, OH, OW)."""
    mean = avg_pool2d(ops.pow(input, norm_type), kernel_size, stride, 0, ceil_mode)
    size = math.prod(pair("lp_pool2d", "kernel_size", kernel_size, 1))
    return ops.pow(mean * size, 1 / norm_type)


avg_pool2d = named(
    ops.avg_pool2d,
    "input kernel_size stride padding ceil_mode count_include_pad divisor_override",
    4,
)
adaptive_avg_pool2d = named(ops.adaptive_avg_pool2d, "input output_size", 4)
max_pool1d = one_axis("max_pool1d", max_pool2d)
max_unpool1d = one_axis("max_unpool1d", max_unpool2d)
avg_pool1d = one_axis("avg_pool1d", avg_pool2d)
lp_pool1d = one_axis("lp_pool1d", lp_pool2d)
adaptive_avg_pool1d = one_axis("adaptive_avg_pool1d", adaptive_avg_pool2d)
adaptive_max_pool1d = one_axis("adaptive_max_pool1d", adaptive_max_pool2d)
