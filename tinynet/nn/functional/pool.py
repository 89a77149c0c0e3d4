"""Pools under PyTorch's names. Formulas and gradients stand in tinynet/ops.

A pool along one axis is the one of images with a height of one. Where images are batches
(N, C, H, W), a single one (C, H, W) goes too.
"""

# ruff: noqa: A002 (the argument names are PyTorch's)

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinynet import ops
from tinynet.autograd import wrap
from tinynet.errors import ShapeError
from tinynet.nn.functional.arguments import Data, IntPair, as_batch, beside, one_row, tensor_of
from tinynet.ops import places
from tinynet.ops.pool import adaptive_size, max_pool_geometry, pool_arguments
from tinynet.ops.windows import check_image
from tinynet.tensor import Tensor

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d",
    "avg_pool1d", "avg_pool2d", "lp_pool1d", "lp_pool2d", "max_pool1d", "max_pool2d",
    "max_unpool1d", "max_unpool2d",
]  # fmt: skip


Size = int | Sequence[int | None]


def max_pool1d(
    input: Data,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    dilation: IntPair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum of each window: (N, C, L) -> (N, C, OL); with return_indices also its place."""
    y = max_pool2d(
        one_row("max_pool1d", input),
        beside(1, kernel_size),
        beside(1, stride),
        beside(0, padding),
        beside(1, dilation),
        ceil_mode,
        return_indices,
    )
    return tuple(part.squeeze(-2) for part in y) if return_indices else y.squeeze(-2)


def max_pool2d(
    input: Data,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    dilation: IntPair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum of each window: (N, C, H, W) -> (N, C, OH, OW). stride: kernel_size if None.

    return_indices: also the place of each maximum, counted in the image in reading order.
    """

    def pooled(x: Data) -> Any:
        if not return_indices:
            return ops.max_pool2d(x, kernel_size, stride, padding, dilation, ceil_mode)
        t = tensor_of(x)
        check_image("max_pool2d", t.array)
        g = max_pool_geometry(t.shape[2:], kernel_size, stride, padding, dilation, ceil_mode)
        return _with_indices(t, places.max_pool_places(t.array, g))

    return as_batch(pooled, input)


def _with_indices(x: Tensor, indices: np.ndarray) -> tuple[Tensor, Tensor]:
    return places.take(x, indices), wrap(indices)


def max_unpool1d(
    input: Data,
    indices: Data,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """The way back of `max_pool1d`: every maximum at its place, 0 elsewhere."""
    y = max_unpool2d(
        one_row("max_unpool1d", input),
        one_row("max_unpool1d", indices),
        beside(1, kernel_size),
        beside(1, stride),
        beside(0, padding),
        beside(1, None if output_size is None else output_size[-1]),
    )
    return y.squeeze(-2)


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
    kernel, steps, margin = pool_arguments("max_unpool2d", kernel_size, stride, padding)
    sizes = zip(input.shape[-2:], steps, kernel, margin)
    usual = [(n - 1) * s + k - 2 * m for n, s, k, m in sizes]
    size = usual if output_size is None else [int(n) for n in output_size[-2:]]
    if len(size) != 2 or any(abs(n - m) >= s for n, m, s in zip(size, usual, steps)):
        raise ShapeError(
            f"max_unpool2d: output_size={tuple(size)} is not pooled to {input.shape[-2:]} by "
            f"kernel_size={kernel}, stride={steps}, padding={margin}; {tuple(usual)} is"
        )
    H, W = size
    spots = tensor_of(indices).array
    spots = spots[None] if spots.ndim == 3 else spots
    return as_batch(lambda x: places.max_unpool2d(x, spots, (H, W)), input)


def avg_pool1d(
    input: Data,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window: (N, C, L) -> (N, C, OL). stride: kernel_size if None."""
    y = avg_pool2d(
        one_row("avg_pool1d", input),
        beside(1, kernel_size),
        beside(1, stride),
        beside(0, padding),
        ceil_mode,
        count_include_pad,
    )
    return y.squeeze(-2)


def avg_pool2d(
    input: Data,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window: (N, C, H, W) -> (N, C, OH, OW). stride: kernel_size if None.

    divisor_override: what the sum is divided by, in place of the number of elements.
    """

    def pooled(x: Data) -> Tensor:
        return ops.avg_pool2d(
            x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        )

    return as_batch(pooled, input)


def lp_pool1d(
    input: Data,
    norm_type: float,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """(sum of x^p)^(1/p) of each window: (N, C, L) -> (N, C, OL)."""
    y = lp_pool2d(
        one_row("lp_pool1d", input),
        norm_type,
        beside(1, kernel_size),
        beside(1, stride),
        ceil_mode,
    )
    return y.squeeze(-2)


def lp_pool2d(
    input: Data,
    norm_type: float,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """(sum of x^p)^(1/p) of each window, p = norm_type: (N, C, H, W) -> (N, C, OH, OW)."""
    kernel = pool_arguments("lp_pool2d", kernel_size, stride, 0)[0]
    mean = avg_pool2d(tensor_of(input) ** norm_type, kernel, stride, 0, ceil_mode)
    return (mean * (kernel[0] * kernel[1])) ** (1 / norm_type)


def adaptive_avg_pool1d(input: Data, output_size: Size) -> Tensor:
    """The mean over regions that cover the axis: (N, C, L) -> (N, C, output_size)."""
    x = one_row("adaptive_avg_pool1d", input)
    return adaptive_avg_pool2d(x, beside(1, output_size)).squeeze(-2)


def adaptive_avg_pool2d(input: Data, output_size: Size) -> Tensor:
    """The mean over a grid of regions that cover the image: (N, C, H, W) -> (N, C, *output_size).

    None keeps a size.
    """
    return as_batch(lambda x: ops.adaptive_avg_pool2d(x, output_size), input)


def adaptive_max_pool1d(input: Data, output_size: Size, return_indices: bool = False) -> Any:
    """The maximum over regions that cover the axis: (N, C, L) -> (N, C, output_size)."""
    x = one_row("adaptive_max_pool1d", input)
    y = adaptive_max_pool2d(x, beside(1, output_size), return_indices)
    return tuple(part.squeeze(-2) for part in y) if return_indices else y.squeeze(-2)


def adaptive_max_pool2d(input: Data, output_size: Size, return_indices: bool = False) -> Any:
    """The maximum over regions that cover the image: (N, C, H, W) -> (N, C, *output_size).

    None keeps a size. return_indices: also the place of each maximum, as in `max_pool2d`.
    """

    def pooled(x: Data) -> Any:
        t = tensor_of(x)
        check_image("adaptive_max_pool2d", t.array)
        size = adaptive_size("adaptive_max_pool2d", t.shape, output_size)
        y = _with_indices(t, places.adaptive_max_pool_places(t.array, size))
        return y if return_indices else y[0]

    return as_batch(pooled, input)
