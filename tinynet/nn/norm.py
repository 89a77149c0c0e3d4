"""The normalisation layers: activations are shifted to mean 0 and scaled to variance 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinynet import ops
from tinynet.creation import ones, zeros
from tinynet.errors import ShapeError
from tinynet.nn import checks, init
from tinynet.nn.factory import place
from tinynet.nn.module import Module
from tinynet.nn.parameter import Parameter
from tinynet.ops.checks import integer, positive, within
from tinynet.tensor import Tensor


class _BatchNorm(Module):
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
        self.weight = self.bias = None
        if affine:
            self.weight = Parameter(ones(self.num_features))
            if bias:
                self.bias = Parameter(zeros(self.num_features))
        self.running_mean: Tensor | None
        self.running_var: Tensor | None
        self.num_batches_tracked: Tensor | None
        if track_running_stats:
            self.register_buffer("running_mean", zeros(self.num_features))
            self.register_buffer("running_var", ones(self.num_features))
            self.register_buffer("num_batches_tracked", np.zeros((), np.int64))
        else:
            for name in ("running_mean", "running_var", "num_batches_tracked"):
                self.register_buffer(name, None)
        place(self, device, dtype)

    def reset_running_stats(self) -> None:
        """Forget the running statistics: mean 0, variance 1, no batches."""
        for buffer, value in (
            (self.running_mean, 0),
            (self.running_var, 1),
            (self.num_batches_tracked, 0),
        ):
            if buffer is not None:
                init.constant_(buffer, value)

    def reset_parameters(self) -> None:
        """Weight 1, bias 0, and running statistics as at first."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def _check_axes(self, x: Tensor) -> None:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        self._check_axes(x)
        by_batch = self.training or self.running_mean is None
        y = ops.batch_norm(
            x,
            self.weight,
            self.bias,
            self.running_mean,
            self.running_var,
            by_batch,
            self._share_of_new() if self.training else 0.0,
            self.eps,
        )
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

    def _check_axes(self, x: Tensor) -> None:
        shape = x.shape
        if len(shape) in (2, 3) and shape[1] == self.num_features:
            return
        title = f"BatchNorm1d(num_features={self.num_features})"
        if len(shape) not in (2, 3):
            raise checks.InputError(
                f"{title}: the input must have shape (N, C) or (N, C, L), it has {len(shape)} axes",
                [f"shape {shape}"],
                "Use BatchNorm2d for images (N, C, H, W).",
                shape,
            )
        raise checks.InputError(
            f"{title}: the input has {checks.count(shape[1], 'feature')}",
            [f"N={shape[0]}"],
            f"Use num_features={shape[1]}.",
            shape,
        )


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of images: BatchNorm1d over the positions too.

    Shapes: x (N, C, H, W) with C = num_features -> y of the same shape. Mean and variance are
    those of each channel over N, H and W. The rest is as for BatchNorm1d.
    """

    def _check_axes(self, x: Tensor) -> None:
        shape = x.shape
        if len(shape) != 4 or shape[1] != self.num_features:
            checks.check_images("BatchNorm2d", "num_features", self.num_features, x, alone=False)


class LayerNorm(Module):
    """Normalises each example over its last axes (Ba, Kiros & Hinton 2016).

    Shapes: x (..., *normalized_shape) -> y of the same shape; mean and (biased) variance are
    those over the last axes, y = (x - mean) / sqrt(var + eps) * weight + bias.
    Parameters, if elementwise_affine: weight, 1 at first, and (if `bias`) bias, 0 at first, both
    of shape normalized_shape.
    """

    _first = ("normalized_shape",)
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
        sizes = normalized_shape if isinstance(normalized_shape, Sequence) else (normalized_shape,)
        if not sizes:
            raise ShapeError("LayerNorm: normalized_shape must name at least one size, got ()")
        self.normalized_shape = tuple(
            integer("LayerNorm", "normalized_shape", size) for size in sizes
        )
        self.eps = positive("LayerNorm", "eps", eps)
        self.elementwise_affine = elementwise_affine
        self.weight = self.bias = None
        if elementwise_affine:
            self.weight = Parameter(ones(self.normalized_shape))
            if bias:
                self.bias = Parameter(zeros(self.normalized_shape))
        place(self, device, dtype)

    def forward(self, x: Tensor) -> Tensor:
        last = x.shape[-len(self.normalized_shape) :]
        if last != self.normalized_shape:
            raise checks.InputError(
                f"LayerNorm(normalized_shape={self.normalized_shape}): the input ends in {last}",
                [f"shape {x.shape}"],
                f"Use normalized_shape={last}.",
                x.shape,
            )
        return ops.layer_norm(x, self.weight, self.bias, self.normalized_shape, self.eps)
