"""How often elements stand somewhere, and where they would stand in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinynet import ops
from tinynet.autograd import wrap
from tinynet.functions.common import array_of, one_dim
from tinynet.functions.pointwise import lerp
from tinynet.functions.reduction import sort
from tinynet.functions.shaping import movedim
from tinynet.ops.checks import one_of
from tinynet.return_types import histogram as _histogram
from tinynet.unrecorded import arrays_of

if TYPE_CHECKING:
    from tinynet.tensor import Tensor

__all__ = [
    "bincount", "bucketize", "histc", "histogram", "quantile", "searchsorted", "unique",
    "unique_consecutive",
]  # fmt: skip

Data = Any


ROUNDED: dict[str, Any] = {
    "linear": lambda at: at, "lower": ops.floor, "higher": ops.ceil, "nearest": ops.round,
    "midpoint": lambda at: ops.div(ops.add(ops.floor(at), ops.ceil(at)), 2),
}  # fmt: skip


def unique(
    input: Data, sorted: bool = True, return_inverse: bool = False,
    return_counts: bool = False, dim: int | None = None,
) -> Any:  # fmt: skip
    """The different elements (or slices along `dim`) in order; on request the place of each input
    among them and how often each stands there."""
    results: Any = np.unique(  # type: ignore[call-overload]
        array_of(input), return_inverse=return_inverse, return_counts=return_counts, axis=dim
    )
    if not isinstance(results, tuple):
        return wrap(results)
    wrapped = [wrap(result) for result in results]
    if return_inverse:
        shape = tuple(input.shape) if dim is None else (-1,)
        wrapped[1] = ops.reshape(wrapped[1], shape)
    return tuple(wrapped)


def unique_consecutive(
    input: Data, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The elements (or slices along `dim`) without those that equal the one before; on request the
    place of each input among them and how often each stands there in a row."""
    x = array_of(input)
    rows = x.reshape(-1) if dim is None else np.moveaxis(x, dim, 0)
    is_new = np.ones(len(rows), bool)
    is_new[1:] = (rows[1:] != rows[:-1]).any(tuple(range(1, rows.ndim)))
    starts = np.flatnonzero(is_new)
    kept = rows[starts] if dim is None else np.moveaxis(rows[starts], 0, dim)
    results = [wrap(kept)]
    if return_inverse:
        inverse = np.cumsum(is_new) - 1
        results.append(wrap(inverse.reshape(x.shape) if dim is None else inverse))
    if return_counts:
        results.append(wrap(np.diff(starts, append=len(rows))))
    return tuple(results) if len(results) > 1 else results[0]


def bincount(input: Data, weights: Data = None, minlength: int = 0) -> Tensor:
    """How often each of 0, 1, 2, ... stands in a vector of integers, or the sum of its weights."""
    weights = None if weights is None else array_of(weights)
    counts = np.bincount(array_of(input), weights, minlength)
    return wrap(counts if weights is None else counts.astype(weights.dtype))


def histc(input: Data, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements fall into each of `bins` equal parts from min to max.

    Without a min and a max they are those of the elements; what lies outside does not count.
    """
    x = array_of(input)
    span = (min, max) if min or max else (x.min(), x.max()) if x.size else (0, 1)
    return wrap(np.histogram(x, bins, span)[0].astype(x.dtype))


def histogram(
    input: Data, bins: Any, *, range: Any = None, weight: Data = None, density: bool = False
) -> Any:
    """(hist, bin_edges): how many elements, or how much of `weight`, fall between the edges.

    bins: their number, of equal size, between the two numbers of `range` (by default the smallest
    and the largest element), or the edges themselves. density: divided by the total and the widths.
    """
    x, w = array_of(input).reshape(-1), None if weight is None else array_of(weight).reshape(-1)
    counts, edges = np.histogram(x, arrays_of(bins), range, density, w)
    return _histogram(wrap(counts.astype(x.dtype)), wrap(edges.astype(x.dtype)))


def searchsorted(
    sorted_sequence: Data, input: Data, *, out_int32: bool = False, right: bool = False,
    side: str | None = None, sorter: Data = None,
) -> Tensor:  # fmt: skip
    """The place at which each value would go into a sequence in order, before equals.

    right: behind equals. The sequence is a vector, or has one for each row of the values; sorter
    says where its elements stand, in order.
    """
    rows, values = array_of(sorted_sequence), array_of(input)
    rows = rows if sorter is None else np.take_along_axis(rows, array_of(sorter), -1)
    before: Any = side or ("right" if right else "left")
    if rows.ndim == 1:
        places = np.searchsorted(rows, values, before)
    else:
        places = np.empty(values.shape, np.int64)
        for row in np.ndindex(values.shape[:-1]):
            places[row] = np.searchsorted(rows[row], values[row], before)
    return wrap(np.asarray(places, np.int32 if out_int32 else np.int64))


def bucketize(
    input: Data, boundaries: Data, *, out_int32: bool = False, right: bool = False
) -> Tensor:
    """Between which of the boundaries, a vector in order, each element falls."""
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


def quantile(
    input: Data, q: Any, dim: int | None = None, keepdim: bool = False, *,
    interpolation: str = "linear",
) -> Tensor:  # fmt: skip
    """The element below which the share q of all stands, in order along `dim`.

    q: a number or a vector, whose axis comes first. interpolation: between the two elements where
    it falls "linear" or their "midpoint", or the "lower", "higher" or "nearest" of them.
    """
    whole = dim is None or not input.shape
    axis = one_dim("quantile", input, 0 if dim is None else dim)
    x = ops.reshape(input, (-1,)) if whole else movedim(input, axis, 0)  # (L, ...)
    one_of("quantile", "interpolation", interpolation, tuple(ROUNDED))
    if (array_of(q) < 0).any() or (array_of(q) > 1).any():
        raise ValueError(f"quantile: q must lie between 0 and 1, got {q}")
    at = ops.reshape(ops.mul(q, x.shape[0] - 1), (-1, *(1,) * (len(x.shape) - 1)))
    at = ROUNDED[interpolation](at)  # (Q, 1, ...)
    low = np.floor(at.array)
    places = [p.astype(int).reshape(-1) for p in (low, np.ceil(at.array))]
    smaller, larger = (ops.getitem(sort(x, 0).values, place) for place in places)  # (Q, ...)
    y = lerp(smaller, larger, ops.astype(ops.sub(at, low), x.dtype))
    if keepdim:
        kept = [1 if whole or d == axis else n for d, n in enumerate(input.shape)]
        y = ops.reshape(y, (y.shape[0], *kept))
    return y if array_of(q).ndim else ops.squeeze(y, 0)
