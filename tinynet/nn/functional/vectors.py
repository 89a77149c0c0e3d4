"""Vectors: rows of a learned table, rows with a single 1, lengths, distances and angles."""

from collections.abc import Callable
from contextvars import ContextVar

import numpy as np

from tinynet import ops
from tinynet.autograd import wrap
from tinynet.errors import DataError, ShapeError, no_broadcast
from tinynet.functions import norm, scatter_reduce
from tinynet.nn.functional.arguments import Data, tensor_of
from tinynet.ops.checks import one_of
from tinynet.tensor import Tensor, as_array

__all__ = [
    "cosine_similarity", "embedding", "embedding_bag", "normalize", "one_hot", "pairwise_distance",
    "pdist",
]  # fmt: skip

constant: ContextVar[Callable[[Tensor], Tensor]] = ContextVar("constant", default=Tensor.detach)
"""What makes a constant of a value, by decision; gradcheck holds it while it moves the inputs."""


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
    w, indices = tensor_of(weight), as_array(input)
    if max_norm is not None or scale_grad_by_freq:
        raise ValueError("embedding: tinynet has neither max_norm nor scale_grad_by_freq")
    if w.ndim != 2:
        raise TypeError(f"embedding: needs a weight (K, D), got a weight {w.shape}")
    _check_within("embedding", "index", indices, len(w), "num_embeddings")
    y = w[indices]
    if padding_idx is None:
        return y
    return ops.where((indices == padding_idx % len(w))[..., None], constant.get()(y), y)


def embedding_bag(
    input: Data,
    weight: Data,
    offsets: Data | None = None,
    max_norm: None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Data | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The sum, mean or max of the rows of each bag of indices: weight (K, D) -> (bags, D).

    input: (bags, N), or one vector in which bag i begins at offsets[i]; include_last_offset: the
    last offset is its end. An empty bag gives 0. per_sample_weights: a factor for each row, for
    mode="sum". padding_idx: rows with this index are not in the bag. The rest is as in `embedding`.
    """
    op, indices = "embedding_bag", as_array(input)
    one_of(op, "mode", mode, ("sum", "mean", "max"))
    if (indices.ndim == 2) == (offsets is not None) or indices.ndim not in (1, 2):
        raise ValueError(
            f"{op}: takes indices (bags, N), or a vector and offsets; got {input.shape}"
        )
    if per_sample_weights is not None and (
        mode != "sum" or per_sample_weights.shape != input.shape
    ):
        raise ValueError(f"{op}: per_sample_weights go with mode='sum' and must be like the input")
    if offsets is None:
        begin = np.arange(len(indices)) * indices.shape[1]
    else:
        begin = as_array(offsets)[: -1 if include_last_offset else None]
        if len(begin) and (begin[0] != 0 or (np.diff(begin) < 0).any() or begin[-1] > indices.size):
            raise ValueError(f"{op}: offsets go from 0 up to at most {indices.size}, got {begin}")
    bag = np.searchsorted(begin, np.arange(indices.size), "right") - 1  # of each index
    flat = indices.reshape(-1)
    inside = slice(None) if padding_idx is None else flat != padding_idx % len(weight)
    flat, bag = flat[inside], bag[inside]
    rows = embedding(flat, weight, None, max_norm, norm_type, scale_grad_by_freq, sparse)
    if per_sample_weights is not None:
        rows = rows * tensor_of(per_sample_weights).reshape(-1)[inside].unsqueeze(-1)
    empty = np.zeros((len(begin), rows.shape[1]), rows.dtype)
    if mode == "max":
        place = np.broadcast_to(bag[:, None], rows.shape)
        return scatter_reduce(empty, 0, place, rows, "amax", include_self=False)
    total = ops.add_at(empty, rows, bag)
    counts = np.maximum(np.bincount(bag, minlength=len(begin)), 1)[:, None]
    return total if mode == "sum" else ops.div(total, counts.astype(rows.dtype))


def one_hot(tensor: Data, num_classes: int = -1) -> Tensor:
    """Labels (...) as rows (..., num_classes) of int64 with a single 1, at the label's place.

    num_classes: the largest label + 1 if -1. Raises TypeError for labels that are no integers,
    DataError for labels outside 0 to num_classes - 1.

    >>> one_hot(np.array([0, 2]))
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    labels = as_array(tensor)
    if num_classes == -1:
        if labels.size == 0:
            raise ShapeError("one_hot: without labels there is no largest one; pass num_classes")
        num_classes = int(labels.max()) + 1
    _check_within("one_hot", "label", labels, num_classes, "num_classes")
    return wrap((labels[..., None] == np.arange(num_classes)).astype(np.int64))


def _check_within(op: str, what: str, numbers: np.ndarray, count: int, setting: str) -> None:
    """TypeError for numbers that are no integers, DataError for one outside 0 to count - 1."""
    if numbers.dtype.kind not in "iu":
        raise TypeError(
            f"{op}: takes integers, got {what} of {numbers.dtype}; convert with x.long()"
        )
    wrong = numbers[(numbers < 0) | (numbers >= count)]
    if wrong.size:
        raise DataError(
            f"{op}: {what} {int(wrong[0])} is out of range for {setting}={count}, which takes 0 to "
            f"{count - 1}; use {setting}={int(wrong.max()) + 1} or more"
        )


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


def pdist(input: Data, p: float = 2) -> Tensor:
    """The p-norm between each vector of a set and each after it: (N, D) -> (N (N - 1) / 2)."""
    if input.ndim != 2:
        raise ShapeError(f"pdist: takes vectors (N, D), got shape {tuple(input.shape)}")
    first, second = np.triu_indices(len(input), 1)
    x = tensor_of(input)
    return norm(x[first] - x[second], p, -1)
