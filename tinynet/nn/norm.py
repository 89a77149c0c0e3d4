"""The normalisation layers: activations are shifted to mean 0 and scaled to variance 1."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from tinynet import ops
from tinynet.creation import ones, zeros
from tinynet.errors import ShapeError
from tinynet.nn import checks, init
from tinynet.nn import functional as F
from tinynet.nn.functional.arguments import as_batch
from tinynet.nn.module import Module
from tinynet.nn.parameter import Parameter
from tinynet.ops.checks import integer, positive, within
from tinynet.tensor import Tensor


class _Norm(Module):
    """What all share: a weight of ones and a bias of zeros, as far as they are asked for."""

    weight: Parameter | None
    bias: Parameter | None

    def _make(self, shape: Any, weight: bool, bias: bool, device: Any, dtype: Any) -> None:
        self.weight = Parameter(ones(shape)) if weight else None
        self.bias = Parameter(zeros(shape)) if weight and bias else None
        self.reset_parameters()
        self.to(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Weight 1 and bias 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


class _NormBase(_Norm):
    """Normalises each channel over the batch (Ioffe & Szegedy 2015, "Batch normalization")."""

    _first = ("num_features",)
    _shown = ("eps", "momentum", "affine", "bias", "track_running_stats")

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        layer = type(self).__name__
        self.num_features = integer(layer, "num_features", num_features)
        self.eps = positive(layer, "eps", eps)
        self.momentum = None if momentum is None else within(layer, "momentum", momentum, 0, 1)
        self.affine = affine
        self.track_running_stats = track_running_stats
        C, tracks = self.num_features, track_running_stats
        self.running_mean: Tensor | None
        self.running_var: Tensor | None
        self.num_batches_tracked: Tensor | None
        self.register_buffer("running_mean", zeros(C) if tracks else None)
        self.register_buffer("running_var", ones(C) if tracks else None)
        self.register_buffer("num_batches_tracked", np.zeros((), np.int64) if tracks else None)
        self._make(C, affine, bias, device, dtype)

    def reset_running_stats(self) -> None:
        """Forget the running statistics: mean 0, variance 1, no batches."""
        statistics = self.running_mean, self.running_var, self.num_batches_tracked
        for buffer, value in zip(statistics, (0, 1, 0)):
            if buffer is not None:
                init.constant_(buffer, value)

    def reset_parameters(self) -> None:
        """Weight 1, bias 0, and running statistics as at first."""
        self.reset_running_stats()
        super().reset_parameters()

    def _check_input_dim(self, x: Tensor) -> None:
        """ShapeError for what is not to be normalised here; of any shape if not overridden."""

    def forward(self, x: Tensor) -> Tensor:
        self._check_input_dim(x)
        mean, var = self.running_mean, self.running_var
        by_batch = self.training or mean is None
        share = self._share_of_new() if self.training else 0.0
        y = ops.batch_norm(x, self.weight, self.bias, mean, var, by_batch, share, self.eps)
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.array += 1
        return y

    def _share_of_new(self) -> float:
        """The weight of this batch in the running statistics; without momentum a plain mean."""
        if self.momentum is not None:
            return self.momentum
        if self.num_batches_tracked is None:
            return 0.0
        return 1.0 / (int(self.num_batches_tracked.array) + 1)


class _BatchNorm(_NormBase):
    """Base of the layers that look at the whole batch, by which scripts know them."""


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of features, y = (x - mean) / sqrt(var + eps) * weight + bias.

    Shapes: x (N, C) or (N, C, L) with C = num_features -> y of the same shape. Mean and variance
    are those of each channel over N (and L): of the batch in training, the running ones in
    `eval()`. Needs more than one value a channel in training.

    Parameters, if affine: weight (C), 1 at first, and (if `bias`) bias (C), 0 at first. Buffers:
    running_mean (C), running_var (C) with the unbiased variance, num_batches_tracked (). After
    each batch in training: running = (1 - momentum) running + momentum new; momentum=None: the
    plain mean of all batches. Source: Ioffe & Szegedy 2015, "Batch normalization".
    """

    def _check_input_dim(self, x: Tensor) -> None:
        shape = x.shape
        if len(shape) in (2, 3) and shape[1] == self.num_features:
            return
        problem, facts = "must have shape (N, C) or (N, C, L)", [f"shape {shape}"]
        cure = "Use BatchNorm2d for images (N, C, H, W)."
        if len(shape) in (2, 3):
            problem, facts = f"has {checks.count(shape[1], 'feature')}", [f"N={shape[0]}"]
            cure = f"Use num_features={shape[1]}."
        title = f"BatchNorm1d(num_features={self.num_features})"
        raise checks.InputError(f"{title}: the input {problem}", facts, cure, shape)


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of images: BatchNorm1d over the positions too.

    Shapes: x (N, C, H, W) with C = num_features -> y of the same shape. Mean and variance are
    those of each channel over N, H and W. The rest is as for BatchNorm1d.
    """

    def _check_input_dim(self, x: Tensor) -> None:
        shape = x.shape
        if len(shape) != 4 or shape[1] != self.num_features:
            checks.check_images("BatchNorm2d", "num_features", self.num_features, x, alone=False)


class _ByExample(_Norm):
    """Normalises each example over its last axes, whose sizes are `normalized_shape`."""

    _first = ("normalized_shape",)

    def _set(self, normalized_shape: Any, eps: Any, affine: bool, bias: bool, *kind: Any) -> None:
        layer = type(self).__name__
        sizes = normalized_shape if isinstance(normalized_shape, Sequence) else (normalized_shape,)
        if not sizes:
            raise ShapeError(f"{layer}: normalized_shape must name at least one size, got ()")
        self.normalized_shape = tuple(integer(layer, "normalized_shape", size) for size in sizes)
        self.eps = eps
        self.elementwise_affine = affine
        self._make(self.normalized_shape, affine, bias, *kind)


class LayerNorm(_ByExample):
    """Normalises each example over its last axes (Ba, Kiros & Hinton 2016).

    Shapes: x (..., *normalized_shape) -> y of the same shape; mean and (biased) variance are
    those over the last axes, y = (x - mean) / sqrt(var + eps) * weight + bias.
    Parameters, if elementwise_affine: weight, 1 at first, and (if `bias`) bias, 0 at first, both
    of shape normalized_shape.
    """

    _shown = ("eps", "elementwise_affine", "bias")

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        positive("LayerNorm", "eps", eps)
        self._set(normalized_shape, eps, elementwise_affine, bias, device, dtype)

    def forward(self, x: Tensor) -> Tensor:
        return ops.layer_norm(x, self.weight, self.bias, self.normalized_shape, self.eps)


class RMSNorm(_ByExample):
    """x / sqrt(mean(x^2) + eps) over the last axes, times the weight (Zhang & Sennrich 2019).

    eps: the smallest step of the dtype if None. Parameters, if elementwise_affine: weight, of
    shape normalized_shape, 1 at first.
    """

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
        self._set(normalized_shape, eps, elementwise_affine, False, device, dtype)

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)


class GroupNorm(_Norm):
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
        self._make(self.num_channels, affine, bias, device, dtype)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim > 1 and x.shape[1] != self.num_channels:
            found, title = x.shape[1], f"GroupNorm(num_channels={self.num_channels})"
            problem = f"{title}: the input has {checks.count(found, 'channel')}"
            cure = f"Use num_channels={found}."
            raise checks.InputError(problem, [f"shape {x.shape}"], cure, x.shape)
        return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


class InstanceNorm2d(_NormBase):
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
