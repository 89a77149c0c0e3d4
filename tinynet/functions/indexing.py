"""Choosing elements and placing them, by index or by mask.

All of it is one of three operations with an index worked out first: `getitem` takes, `setitem`
overwrites, `add_at` adds. Their gradients are each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinynet import ops
from tinynet.autograd import wrap
from tinynet.errors import ShapeError
from tinynet.functions.common import array_of, check_tensors, named, one_dim, takes, whole_grid
from tinynet.functions.pointwise import can_cast, div, where
from tinynet.functions.reduction import sum as summed
from tinynet.functions.shaping import movedim
from tinynet.ops.checks import integer, one_of

if TYPE_CHECKING:
    from tinynet.tensor import Tensor

__all__ = [
    "argwhere", "diag", "diag_embed", "diagonal", "gather", "index_add",
    "index_copy", "index_fill", "index_put", "index_select", "masked_fill", "masked_scatter",
    "masked_select", "narrow", "nonzero", "put", "scatter", "scatter_add", "scatter_reduce",
    "select", "take", "take_along_dim", "trace", "tril", "triu",
]  # fmt: skip

Data = Any


def _index(name: str, index: Data) -> np.ndarray:
    array = array_of(index)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name}: the index must be integers, got {array.dtype}; use index.long()")
    return array


def _check_range(name: str, index: np.ndarray, size: int, dim: int) -> None:
    wrong = index[(index < 0) | (index >= size)]
    if wrong.size:
        raise IndexError(
            f"{name}: index {wrong.flat[0]} is out of range along axis {dim} of size {size}; "
            f"places go from 0 to {size - 1}"
        )


def _grid(name: str, input: Data, dim: int, index: Data) -> tuple[Any, int, np.ndarray]:
    """The index of `gather` and `scatter`: each element of `index` says a place along `dim`."""
    places, shape = _index(name, index), tuple(input.shape)
    dim = one_dim(name, input, dim)
    fits = not places.size or max(len(shape), 1) == max(places.ndim, 1)
    takes(name, fits, "an index with as many axes as the input", places, input)
    larger = [d for d, (n, m) in enumerate(zip(places.shape, shape)) if n > m and d != dim]
    fits = not larger or places.ndim != len(shape)
    takes(name, fits, f"an index no larger than the input beside axis {dim}", places, input)
    if not shape:
        return (), dim, places
    _check_range(name, places, shape[dim], dim)
    places = np.atleast_1d(places)
    return whole_grid(dim, places), dim, places


def gather(input: Data, dim: int, index: Data) -> Tensor:
    """y[i, j, ...] = x[index[i, j, ...], j, ...] for dim = 0, and alike for the other axes.

    Shapes: input and index with equally many axes; y has the shape of index. Raises IndexError
    for a place that is not there.
    """
    if array_of(index).size == 0:
        return ops.getitem(ops.reshape(input, (-1,)), np.zeros(index.shape, int))
    grid, _, _ = _grid("gather", input, dim, index)
    return ops.reshape(ops.getitem(input, grid), array_of(index).shape)


def take_along_dim(input: Data, indices: Data, dim: int | None = None) -> Tensor:
    """`gather` with an index that broadcasts to the input beside `dim`; of all without `dim`."""
    if dim is None:
        return gather(ops.reshape(input, (-1,)), 0, array_of(indices).reshape(-1))
    dim, places = one_dim("take_along_dim", input, dim), _index("take_along_dim", indices)
    places = np.where(places < 0, places + (input.shape[dim] if input.shape else 1), places)
    shape = np.broadcast_shapes(
        *(tuple(1 if d == dim else n for d, n in enumerate(s)) for s in (input.shape, places.shape))
    )
    wide = (*shape[:dim], places.shape[dim], *shape[dim + 1 :]) if shape else ()
    x = ops.expand(input, (*shape[:dim], input.shape[dim], *shape[dim + 1 :])) if shape else input
    return gather(x, dim, np.broadcast_to(places, wide))


def _part(name: str, input: Data, src: Data, places: np.ndarray) -> Data:
    """The part of `src` that an index of the same number of axes places."""
    if not hasattr(src, "shape"):
        return src
    if src.dtype != input.dtype:
        raise TypeError(f"{name}: src is {src.dtype}, the input {input.dtype}; use src.to(input)")
    fits = len(src.shape) == places.ndim and all(n <= m for n, m in zip(places.shape, src.shape))
    takes(name, fits, "an index no larger than src", places, src)
    return ops.getitem(src, tuple(slice(n) for n in places.shape)) if places.ndim else src


def scatter(
    input: Data, dim: int, index: Data, src: Data = None, *, value: float | None = None,
    reduce: str | None = None,
) -> Tensor:  # fmt: skip
    """A copy of x in which the element of `src` at each place of `index` stands where that says.

    The counterpart of `gather`. src: a tensor of the shape of index or larger, or a number.
    reduce: "add" adds to what is there, "multiply" multiplies it. Where places repeat, the last
    one wins.
    """
    src = value if src is None else src
    if src is None:
        raise TypeError("scatter: what is to be placed? Pass src, a tensor or a number")
    if reduce is not None:
        one_of("scatter", "reduce", reduce, ("add", "multiply"))
    grid, _, places = _grid("scatter", input, dim, index)
    part = _part("scatter", input, src, places)
    if reduce == "multiply":
        return _multiplied(input, np.broadcast_to(part, places.shape), grid)
    return (ops.setitem if reduce is None else ops.add_at)(input, part, grid)


def scatter_add(input: Data, dim: int, index: Data, src: Data) -> Tensor:
    """`scatter` that adds, also where places repeat."""
    grid, _, places = _grid("scatter_add", input, dim, index)
    return ops.add_at(input, _part("scatter_add", input, src, places), grid)


def scatter_reduce(
    input: Data, dim: int, index: Data, src: Data, reduce: str, *, include_self: bool = True
) -> Tensor:
    """`scatter` that makes one number of all that come to a place and, unless include_self is
    False, of what stands there: their "sum", "mean", "prod", "amax" or "amin", whose ties share dy.
    """
    one_of("scatter_reduce", "reduce", reduce, ("sum", "mean", "prod", "amax", "amin"))
    grid, _, places = _grid("scatter_reduce", input, dim, index)
    part = _part("scatter_reduce", input, src, places)
    best, theirs = array_of(input).copy(), np.ones(places.shape, bool)
    own = np.ones(best.shape, bool)
    own[grid] = include_self
    if reduce == "prod":
        return _multiplied(ops.where(own, input, 1), part, grid)
    if reduce in ("amax", "amin"):
        if not include_self:
            best[grid] = array_of(part)  # one of those that come
        (np.maximum if reduce == "amax" else np.minimum).at(best, grid, array_of(part))
        own &= array_of(input) == best
        theirs = array_of(part) == best[grid]
    count = own.astype(input.dtype)
    np.add.at(count, grid, theirs)
    zero = np.zeros((), input.dtype)
    total = ops.add_at(ops.where(own, input, zero), ops.where(theirs, part, zero), grid)
    whole = "floor" if count.dtype.kind in "iu" else None
    return total if reduce == "sum" else div(total, np.maximum(count, 1), rounding_mode=whole)


def _multiplied(x: Data, factors: Data, grid: Any) -> Tensor:
    """x times all the factors that come to each place: the first of each, the second, ..."""
    number = np.arange(array_of(x).size).reshape(x.shape)
    at, y, factors = number[grid].reshape(-1), ops.reshape(x, (-1,)), ops.reshape(factors, (-1,))
    order = np.argsort(at, kind="stable")
    turn = np.empty(at.size, int)
    turn[order] = np.arange(at.size) - np.searchsorted(at[order], at[order])
    for k in range(turn.max(initial=-1) + 1):
        now = np.flatnonzero(turn == k)
        y = ops.mul(y, ops.setitem(np.ones(y.shape, y.dtype), ops.getitem(factors, now), at[now]))
    return ops.reshape(y, x.shape)


def _along(name: str, input: Data, dim: int, index: Data) -> tuple[Any, ...]:
    """The index of whole slices along `dim`."""
    dim, places = one_dim(name, input, dim), _index(name, index)
    takes(name, places.ndim < 2, "a vector as the index", places)
    if not input.shape:
        return ()
    _check_range(name, places, input.shape[dim], dim)
    return (*(slice(None),) * dim, np.atleast_1d(places))


def index_select(input: Data, dim: int, index: Data) -> Tensor:
    """The slices along `dim` that a vector of places names."""
    return ops.getitem(input, _along("index_select", input, dim, index))


def index_add(input: Data, dim: int, index: Data, source: Data, *, alpha: float = 1) -> Tensor:
    """A copy of x with the slices of `source` added where the vector `index` says."""
    place = _along("index_add", input, dim, index)
    slices = array_of(input)[place]
    takes(
        "index_add", tuple(source.shape) == slices.shape, "a source like the slices", source, slices
    )
    return ops.add_at(input, source if alpha == 1 else ops.mul(source, alpha), place)


def index_copy(input: Data, dim: int, index: Data, source: Data) -> Tensor:
    """A copy of x with the slices of `source` in place of those that the vector `index` names."""
    return ops.setitem(input, source, _along("index_copy", input, dim, index))


def index_fill(input: Data, dim: int, index: Data, value: Data) -> Tensor:
    """A copy of x with a number in the slices that the vector `index` names."""
    return ops.setitem(input, value, _along("index_fill", input, dim, index))


def index_put(input: Data, indices: Any, values: Data, accumulate: bool = False) -> Tensor:
    """A copy of x with x[indices] = values, or += values, repeats included."""
    index = tuple(array_of(i) for i in indices)
    return (ops.add_at if accumulate else ops.setitem)(input, values, index)


def put(input: Data, index: Data, source: Data, accumulate: bool = False) -> Tensor:
    """A copy of x with `source` at places counted through the whole tensor, or added there."""
    flat, at = ops.reshape(input, (-1,)), _index("put", index)
    return index_put(flat, (at,), ops.reshape(source, at.shape), accumulate).reshape(input.shape)


def take(input: Data, index: Data) -> Tensor:
    """The elements at places counted through the whole tensor."""
    return ops.getitem(ops.reshape(input, (-1,)), _index("take", index))


def select(input: Data, dim: int, index: int) -> Tensor:
    """The slice `index` along `dim`, without that axis."""
    return ops.getitem(input, (slice(None),) * one_dim("select", input, dim) + (int(index),))


def narrow(input: Data, dim: int, start: Any, length: int) -> Tensor:
    """`length` slices along `dim`, from `start` on."""
    dim = one_dim("narrow", input, dim)
    size = input.shape[dim] if input.shape else 0
    start = integer("narrow", "start", start, -size)
    start = start + size if start < 0 else start
    fits = length >= 0 and 0 <= start <= size - length
    takes("narrow", fits, f"slices along axis {dim}, not {length} from {start} on", input)
    return ops.getitem(input, (slice(None),) * dim + (slice(start, start + length),))


def _mask(name: str, mask: Data) -> np.ndarray:
    array = array_of(mask)
    if array.dtype != bool:
        raise TypeError(f"{name}: the mask must be bool, got {array.dtype}; write `mask != 0`")
    return array


def masked_fill(input: Data, mask: Data, value: Data) -> Tensor:
    """`value` where the bool tensor `mask` holds, else the element itself."""
    array = _mask("masked_fill", mask)
    if isinstance(value, complex):
        raise TypeError(f"masked_fill: value must be a real number, got {value}")
    if hasattr(value, "shape") and len(value.shape):
        raise ShapeError(f"masked_fill: value must be a number, got shape {tuple(value.shape)}")
    if not hasattr(value, "dtype"):
        value = np.asarray(value)
    if not can_cast(value.dtype, input.dtype) and (
        array_of(value).item() % 1 or input.dtype == bool
    ):
        raise TypeError(f"masked_fill: {value} is no value of {input.dtype}; use x.float() first")
    return ops.where(array, ops.astype(value, input.dtype), input)


def masked_select(input: Data, mask: Data) -> Tensor:
    """The elements where the bool tensor `mask` holds, in a vector; the two broadcast."""
    array = _mask("masked_select", mask)
    shape = np.broadcast_shapes(tuple(input.shape), array.shape)
    return ops.getitem(ops.expand(input, shape), np.broadcast_to(array, shape))


def masked_scatter(input: Data, mask: Data, source: Data) -> Tensor:
    """A copy of x with the elements of `source`, in their order, where `mask` holds."""
    shape = np.broadcast_shapes(tuple(input.shape), array_of(mask).shape)
    array = np.broadcast_to(_mask("masked_scatter", mask), shape)
    count = np.count_nonzero(array)
    flat = ops.reshape(source, (-1,))
    fits = int(count) <= flat.shape[0]
    takes("masked_scatter", fits, f"a source of the {count} elements that the mask asks for", flat)
    return ops.setitem(ops.expand(input, shape), ops.getitem(flat, slice(count)), array)


def nonzero(input: Data, *, as_tuple: bool = False) -> Any:
    """The places of the elements that are not 0: a row each, or with as_tuple an index."""
    if as_tuple:
        return where(np.atleast_1d(array_of(input)))
    return wrap(np.argwhere(array_of(input)))


argwhere = named("argwhere", "Places of what is not 0, a row each.", lambda input: nonzero(input))


# ----- diagonals and triangles --------------------------------------------------------------------


def _triangle(name: str, x: Data, mask: Any, diagonal: int) -> Tensor:
    takes(name, len(x.shape) > 1, "matrices", x)
    return ops.where(mask(x.shape[-2], x.shape[-1], diagonal), x, np.zeros((), x.dtype))


def tril(input: Data, diagonal: int = 0) -> Tensor:
    """The lower triangle of matrices, up to a diagonal; 0 above it."""
    return _triangle("tril", input, lambda n, m, k: np.tri(n, m, k, bool), diagonal)


def triu(input: Data, diagonal: int = 0) -> Tensor:
    """The upper triangle of matrices, from a diagonal on; 0 below it."""
    return _triangle("triu", input, lambda n, m, k: ~np.tri(n, m, k - 1, bool), diagonal)


def diagonal(input: Data, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal of two axes, as the last axis; a view of two in C order."""
    one, two = one_dim("diagonal", input, dim1), one_dim("diagonal", input, dim2)
    fits = one != two and len(input.shape) > 1
    takes("diagonal", fits, f"two different axes, not {dim1} and {dim2}", input)
    rest = [d for d in range(len(input.shape)) if d not in (one, two)]
    n, m = input.shape[one], input.shape[two]
    row, column = max(-offset, 0), max(offset, 0)
    start, count = row * m + column, max(min(n - row, m - column), 0)
    x = ops.permute(input, (*rest, one, two))
    flat = ops.reshape(x, (*x.shape[:-2], n * m))
    along = slice(start, start + count * (m + 1), m + 1)
    return ops.getitem(flat, (..., along))


def diag_embed(input: Data, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices of zeros with the last axis of x on a diagonal."""
    check_tensors("diag_embed", input=input)
    fits = len(input.shape) > 0 and (dim1 - dim2) % (len(input.shape) + 1) != 0
    takes("diag_embed", fits, f"two different axes, not {dim1} and {dim2}", input)
    along = np.arange(input.shape[-1])
    size = len(along) + abs(offset)
    zeros = np.zeros((*input.shape[:-1], size, size), input.dtype)
    y = ops.setitem(zeros, input, (..., along + max(-offset, 0), along + max(offset, 0)))
    one, two = one_dim("diag_embed", y, dim1), one_dim("diag_embed", y, dim2)
    return movedim(y, (-2, -1), (one, two))


def diag(input: Data, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix, or the matrix with a vector on its diagonal."""
    if len(input.shape) == 1:
        return diag_embed(input, diagonal)
    takes("diag", len(input.shape) == 2, "a vector or a matrix", input)
    return _diagonal(input, diagonal)


_diagonal = diagonal


def trace(input: Data) -> Tensor:
    """The sum of a matrix's diagonal."""
    takes("trace", len(input.shape) == 2, "a matrix", input)
    return summed(diagonal(input))
