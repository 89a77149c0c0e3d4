"""Metrics: numbers for people to read, computed from the model's scores outside the graph.

A metric is any function `(output, target) -> float` that is a mean over the examples. `Means`
adds up such means, batch by batch, weighted by the size of the batch.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from tinynet.errors import ShapeError

Metric: TypeAlias = Callable[[Any, Any], float]
Metrics: TypeAlias = Mapping[str, Metric]

IGNORED = -100  # the label that cross_entropy leaves out


def accuracy(output: Any, target: Any) -> float:
    """The share of examples, or pixels, whose highest score is that of the right class.

    output: scores (N, K) of K classes, or (N, K, H, W). target: labels (N,) or (N, H, W),
    integers; those of -100 do not count, as in cross_entropy. Nothing to count gives 0.
    Raises ShapeError for other shapes.

    >>> accuracy([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]], [1, 0, 0])
    0.6666666666666666
    """
    scores, labels = np.asarray(output), np.asarray(target)
    if scores.ndim > 2 and are_classes(scores, labels):
        scores, labels = np.moveaxis(scores, 1, -1).reshape(-1, scores.shape[1]), labels.ravel()
    if scores.shape[:1] == labels.shape and (labels == IGNORED).any():
        scores, labels = scores[labels != IGNORED], labels[labels != IGNORED]
    scores, labels = _checked("accuracy", scores, labels)
    return float(np.mean(scores.argmax(1) == labels)) if len(labels) else 0.0


def are_classes(output: Any, target: Any) -> bool:
    """Whether these are scores (N, K, ...) and class labels (N, ...) for them, integers."""
    scores, labels = np.asarray(output), np.asarray(target)
    shape = scores.shape[:1] + scores.shape[2:]
    return scores.ndim > 1 < scores.shape[1] and labels.shape == shape and labels.dtype.kind in "iu"


def top_k_accuracy(output: Any, target: Any, k: int = 5) -> float:
    """The share of examples whose right class is among the k highest scores.

    Classes that score the same as the right one count as lower. output (N, K), target (N,).
    Raises ShapeError for other shapes, ValueError unless 1 <= k <= K.

    >>> top_k_accuracy([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], [1, 2], k=2)
    0.5
    """
    scores, labels = _checked("top_k_accuracy", output, target)
    if not 1 <= k <= scores.shape[1]:
        raise ValueError(
            f"top_k_accuracy: k must be from 1 to the number of classes, {scores.shape[1]}; got {k}"
        )
    right = np.take_along_axis(scores, labels[:, None], 1)  # (N, 1)
    rank = np.sum(scores > right, 1)  # (N,)
    return float(np.mean(rank < k)) if len(labels) else 0.0


def top_k(k: int) -> Metric:
    """`top_k_accuracy` for one k, to put into `metrics={"top5": top_k(5)}`."""
    return functools.partial(top_k_accuracy, k=k)


def confusion_matrix(output: Any, target: Any) -> np.ndarray:
    """How often each class was taken for each other: int64 (K, K), rows are the true classes.

    output: scores (N, K). target: labels (N,). Row i, column j counts the examples of class i
    whose highest score was class j, so the diagonal counts what is right.

    >>> confusion_matrix([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]], [1, 0, 0])
    array([[1, 1],
           [0, 1]])
    """
    scores, labels = _checked("confusion_matrix", output, target)
    K = scores.shape[1]
    pairs = labels * K + scores.argmax(1)  # (N,)
    return np.bincount(pairs, minlength=K * K).reshape(K, K)


def _checked(name: str, output: Any, target: Any) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels as arrays, or the error that says what they should be."""
    scores, labels = np.asarray(output), np.asarray(target)
    if scores.ndim != 2 or labels.ndim != 1 or len(scores) != len(labels):
        raise ShapeError(
            f"{name}: takes scores (N, classes) and labels (N,), got {scores.shape} and "
            f"{labels.shape}. For other targets pass metrics of your own, or metrics={{}}."
        )
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{name}: labels must be integers, got {labels.dtype}")
    if len(labels) and not 0 <= labels.min() <= labels.max() < scores.shape[1]:
        raise ValueError(
            f"{name}: labels run from {labels.min()} to {labels.max()}, but the scores are for "
            f"the classes 0 to {scores.shape[1] - 1}"
        )
    return scores, labels


class Means:
    """Running means over examples, for the loss and every metric: their sums, and the count.

    >>> means = Means()
    >>> means.add(2, {"loss": 1.0}); means.add(1, {"loss": 4.0})
    >>> means.values()
    {'loss': 2.0}
    """

    def __init__(self) -> None:
        self.count = 0
        self.sums: dict[str, float] = {}

    def add(self, count: int, values: Mapping[str, float]) -> None:
        """Add the means over `count` examples."""
        self.count += count
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + count * value

    def values(self) -> dict[str, float]:
        """The mean of each over all examples so far; nothing at all if there were none."""
        return {name: total / self.count for name, total in self.sums.items()}
