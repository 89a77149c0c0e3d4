"""Dropout under PyTorch's names: noise in training that keeps units from relying on each other."""

import math

import numpy as np

from tinynet import ops
from tinynet.nn.functional.arguments import Data, applied, tensor_of
from tinynet.ops.random import check_probability
from tinynet.random import Rng
from tinynet.tensor import Tensor

__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d"]


def dropout(
    input: Data, p: float = 0.5, training: bool = True, inplace: bool = False, *, rng: Rng = None
) -> Tensor:
    """Each element 0 with probability p, else x / (1 - p); with training=False the input itself.

    So the expected value stays what it was. rng: the generator that draws the mask; the thread's
    default one if None. Source: Srivastava et al. 2014, "Dropout: a simple way to prevent neural
    networks from overfitting".
    """
    return applied(ops.dropout, inplace and training, input, p, training, rng)


def dropout1d(
    input: Data, p: float = 0.5, training: bool = True, inplace: bool = False, *, rng: Rng = None
) -> Tensor:
    """As `dropout`, for whole channels: input (N, C, L) or (C, L)."""
    return _by_parts(input, (*input.shape[:-1], 1), p, training, inplace, rng)


def dropout2d(
    input: Data, p: float = 0.5, training: bool = True, inplace: bool = False, *, rng: Rng = None
) -> Tensor:
    """As `dropout`, for whole channels: input (N, C, H, W)."""
    axes = (*input.shape[:2], *(1,) * (input.ndim - 2))
    return _by_parts(input, axes, p, training, inplace, rng)


def _by_parts(
    input: Data, parts: tuple[int, ...], p: float, training: bool, inplace: bool, rng: Rng
) -> Tensor:
    """Dropout in which all of a part share a fate; parts: how many there are along each axis."""
    kept = ops.dropout(np.ones(parts, input.dtype), p, training, rng).array
    return applied(ops.mul, inplace, input, kept) if training else tensor_of(input)


def alpha_dropout(
    input: Data, p: float = 0.5, training: bool = False, inplace: bool = False, *, rng: Rng = None
) -> Tensor:
    """Dropout to the lowest value of SELU, shifted and scaled to mean 0 and variance 1 again.

    a (x m + low (1 - m)) + b, with the mask m, and a and b such that mean and variance stay.
    Source: Klambauer et al., "Self-normalizing neural networks", arXiv:1706.02515.
    """
    check_probability("alpha_dropout", p)
    if not training or p == 0:
        return tensor_of(input)
    low = -1.7580993408473766
    a = 1 / math.sqrt((1 - p) * (1 + p * low**2)) if p < 1 else 0.0
    drawn = ops.dropout(np.ones(input.shape, input.dtype), p, True, rng).array
    kept = (drawn > 0).astype(input.dtype)
    shift = (a * low) * (1 - kept) - a * low * p
    return applied(lambda x: x * (a * kept) + shift, inplace, input)
