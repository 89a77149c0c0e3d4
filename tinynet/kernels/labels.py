"""Cross entropy with labels: the loss of each example, and the probabilities for its gradient."""

from __future__ import annotations

import functools

import numpy as np


def label_losses(x: np.ndarray, labels: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """-log p of each label, and p = softmax(x) along `axis`, in the memory order of x.

    x (N, C, ...) with axis 1, or (C) with axis 0; labels (N, ...) or (), ints from 0 to C - 1.
    The losses have the shape of the labels.
    """
    with np.errstate(invalid="ignore"):  # inf - inf is NaN, as it has to be
        z = x - np.maximum.reduce(x, axis, keepdims=True)
    p = np.exp(z)
    s = np.add.reduce(p, axis, keepdims=True)  # (N, 1, ...)
    losses = np.log(s).squeeze(axis) - z[places(labels)]
    p /= s
    return losses, p


def places(labels: np.ndarray) -> tuple[np.ndarray, ...]:
    """The index of each label's own element in an array (N, C, ...): n, label, and the rest."""
    if labels.ndim == 1:
        return _counted(len(labels)), labels
    grid = np.indices(labels.shape, sparse=True)
    return (*grid[:1], labels, *grid[1:])


@functools.lru_cache(16)  # a training has one size of batch, and a rest
def _counted(N: int) -> np.ndarray:
    return np.arange(N)
