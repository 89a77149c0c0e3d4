"""Distances and angles between vectors, and vectors of length 1."""

# ruff: noqa: A002 (the argument names are PyTorch's)

from __future__ import annotations

import numpy as np

from tinynet import ops
from tinynet.errors import no_broadcast
from tinynet.functions import norm
from tinynet.nn.functional.arguments import Data, tensor_of
from tinynet.tensor import Tensor

__all__ = ["cosine_similarity", "normalize", "pairwise_distance"]


def normalize(input: Data, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """Vectors along `dim` divided by their p-norm, or by eps if that is larger."""
    return tensor_of(input) / ops.clip(norm(input, p, dim, True), eps)


def cosine_similarity(x1: Data, x2: Data, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between vectors along `dim`; norms below eps count as eps.

    >>> round(cosine_similarity(np.array([[1.0, 0.0]]), np.array([[3.0, 3.0]])).item(), 4)
    0.7071
    """
    try:
        shape = np.broadcast_shapes(x1.shape, x2.shape)
    except ValueError:
        raise no_broadcast("cosine_similarity", [x1.shape, x2.shape]) from None
    a, b = (normalize(ops.expand(x, shape), 2.0, dim, eps) for x in (x1, x2))
    return (a * b).sum(dim)


def pairwise_distance(
    x1: Data, x2: Data, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last axis: (N, D), (N, D) -> (N)."""
    return norm(tensor_of(x1) - x2 + eps, p, -1, keepdim)
