"""Rows of a table, chosen by number."""

from __future__ import annotations

import numpy as np

from tinynet.autograd import Array, differentiable
from tinynet.errors import DataError, ShapeError

Op = tuple[Array, ...]


@differentiable(smooth=True, rule="y = w[i], dw[i] += dy")
def embedding(
    w: Array,
    indices: Array,
    padding_idx: int | None = None,
    scale_grad_by_freq: bool = False,
) -> Op:
    """y = w[indices]: a learned vector for each number.

    Shapes: w (K, D), indices (...) of integers from 0 to K - 1 -> y (..., D).
    Gradient: dw[k] is the sum of dy where the index is k, divided by how often it is if
    scale_grad_by_freq; row padding_idx gets none. Keeps the indices.
    Raises ShapeError for a w that is no matrix, TypeError for indices that are no integers,
    DataError for those out of range.
    """
    if w.ndim != 2:
        raise ShapeError(f"embedding: the weight must have shape (K, D), got {w.shape}")
    if indices.dtype.kind not in "iu":
        raise TypeError(
            f"embedding: indices must be integers, got {indices.dtype}; convert with x.long()"
        )
    wrong = indices[(indices < 0) | (indices >= len(w))]
    if wrong.size:
        raise DataError(
            f"embedding: index {int(wrong[0])} is out of range, the weight of shape {w.shape} has "
            f"rows 0 to {len(w) - 1}; use num_embeddings={int(wrong.max()) + 1} or more"
        )

    def dw(dy: Array) -> Array:
        dw = np.zeros_like(dy, shape=w.shape)
        order = np.argsort(indices, axis=None, kind="stable")
        rows, first, counts = np.unique(
            indices.ravel()[order], return_index=True, return_counts=True
        )
        if rows.size:
            dw[rows] = np.add.reduceat(dy.reshape(-1, w.shape[1])[order], first, axis=0)
        if scale_grad_by_freq:
            dw[rows] /= counts[:, None]
        if padding_idx is not None:
            dw[padding_idx] = 0
        return dw

    return w[indices], dw
