"""Normalisation by other groups than the batch's or the example's, which are in `norm.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from tinynet.creation import ones, zeros
from tinynet.errors import ShapeError
from tinynet.nn import checks
from tinynet.nn import functional as F
from tinynet.nn.factory import place
from tinynet.nn.functional.arguments import as_batch
from tinynet.nn.module import Module
from tinynet.nn.norm import _BatchNorm
from tinynet.nn.parameter import Parameter
from tinynet.ops.checks import integer, positive
from tinynet.tensor import Tensor


class GroupNorm(Module):
    """Each example (C, ...) normalised by each group of its channels (Wu & He 2018).

    Parameters, if affine: weight (C), 1 at first, and (if `bias`) bias (C), 0 at first.
    """

    _first = ("num_groups", "num_channels")
    _shown = ("eps", "affine", "bias")

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_groups = integer("GroupNorm", "num_groups", num_groups)
        self.num_channels = integer("GroupNorm", "num_channels", num_channels)
        if self.num_channels % self.num_groups:
            raise ShapeError(
                f"GroupNorm: num_groups={num_groups} must divide num_channels={num_channels}"
            )
        self.eps = positive("GroupNorm", "eps", eps)
        self.affine = affine
        self.weight = Parameter(ones(self.num_channels)) if affine else None
        self.bias = Parameter(zeros(self.num_channels)) if affine and bias else None
        place(self, device, dtype)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim > 1 and x.shape[1] != self.num_channels:
            raise checks.InputError(
                f"GroupNorm(num_channels={self.num_channels}): the input has "
                f"{checks.count(x.shape[1], 'channel')}",
                [f"shape {x.shape}"],
                f"Use num_channels={x.shape[1]}.",
                x.shape,
            )
        return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


class InstanceNorm2d(_BatchNorm):
    """Each channel of each image normalised by itself (Ulyanov, Vedaldi & Lempitsky 2016).

    Shapes: x (N, C, H, W) or (C, H, W) with C = num_features -> y of the same shape. Parameters
    and buffers are those of BatchNorm2d, but there are none unless they are asked for.
    """

    axes: ClassVar[int] = 2

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )

    def forward(self, x: Tensor) -> Tensor:
        layer, axes = type(self).__name__, self.axes
        checks.check_images(layer, "num_features", self.num_features, x, axes)
        by_itself = self.training or self.running_mean is None

        statistics = self.running_mean, self.running_var, self.weight, self.bias
        settings = by_itself, self.momentum or 0.0, self.eps
        return as_batch(lambda x: F.instance_norm(x, *statistics, *settings), x, axes + 2)


class InstanceNorm1d(InstanceNorm2d):
    """Each channel of each signal (N, C, L) or (C, L) normalised by itself, as InstanceNorm2d."""

    axes = 1


class RMSNorm(Module):
    """x / sqrt(mean(x^2) + eps) over the last axes, times the weight (Zhang & Sennrich 2019).

    eps: the smallest step of the dtype if None. Parameters, if elementwise_affine: weight, of
    shape normalized_shape, 1 at first.
    """

    _first = ("normalized_shape",)
    _shown = ("eps", "elementwise_affine")

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        sizes = normalized_shape if isinstance(normalized_shape, Sequence) else (normalized_shape,)
        self.normalized_shape = tuple(integer("RMSNorm", "normalized_shape", n) for n in sizes)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self.weight = Parameter(ones(self.normalized_shape)) if elementwise_affine else None
        place(self, device, dtype)

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)
