"""Numbers as vectors: rows of a learned table, or rows with a single 1."""

# ruff: noqa: A002 (the argument names are PyTorch's)

from __future__ import annotations

import numpy as np

from tinynet import ops
from tinynet.autograd import wrap
from tinynet.errors import DataError, ShapeError
from tinynet.nn.functional.arguments import Data, tensor_of
from tinynet.tensor import Tensor, as_array

__all__ = [
    "embedding", "one_hot",
]  # fmt: skip


def embedding(
    input: Data,
    weight: Data,
    padding_idx: int | None = None,
    max_norm: None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """weight[input]: indices (...), weight (K, D) -> (..., D).

    padding_idx: the row that gets no gradient. max_norm and scale_grad_by_freq are not there, and
    gradients are dense whatever `sparse` is.
    """
    w, indices = tensor_of(weight), tensor_of(input).array
    if max_norm is not None or scale_grad_by_freq:
        raise ValueError("embedding: tinynet has neither max_norm nor scale_grad_by_freq")
    if w.ndim != 2 or indices.dtype.kind not in "iu":
        raise TypeError(
            f"embedding: needs a weight (K, D) and integers, got a weight {w.shape} and indices of "
            f"{indices.dtype}; convert with x.long()"
        )
    wrong = indices[(indices < 0) | (indices >= len(w))]
    if wrong.size:
        raise DataError(
            f"embedding: index {int(wrong[0])} is out of range, the weight of shape {w.shape} has "
            f"rows 0 to {len(w) - 1}; use num_embeddings={int(wrong.max()) + 1} or more"
        )
    y = w[indices]
    if padding_idx is None:
        return y
    return ops.where((indices == padding_idx % len(w))[..., None], y.detach(), y)


def one_hot(tensor: Data, num_classes: int = -1) -> Tensor:
    """Labels (...) as rows (..., num_classes) of int64 with a single 1, at the label's place.

    num_classes: the largest label + 1 if -1. Raises TypeError for labels that are no integers,
    DataError for labels outside 0 to num_classes - 1.

    >>> one_hot(np.array([0, 2]))
    tensor([[1, 0, 0],
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
