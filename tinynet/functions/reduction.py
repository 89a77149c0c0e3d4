"""Many elements to one, and everything that has to do with their order.

What has a winner (max along an axis, sort, topk, median, ...) finds places without recording
anything and then takes the elements at these places: one indexing, whose gradient goes back to
the elements taken.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike

from tinynet import ops
from tinynet.autograd import wrap
from tinynet.devices import get_default_dtype
from tinynet.errors import ShapeError
from tinynet.functions.common import (
    Dim,
    all_dims,
    array_of,
    check_tensors,
    given,
    named,
    one_dim,
    spelled,
    takes,
    whole_grid,
)
from tinynet.functions.pointwise import maximum, minimum, sub
from tinynet.ops.checks import check_float, within
from tinynet.ops.distance import vector_norm
from tinynet.return_types import PAIRS, Pair
from tinynet.return_types import aminmax as _aminmax

if TYPE_CHECKING:
    from tinynet.tensor import Tensor

__all__ = [
    "all", "amax", "amin", "aminmax", "any", "argmax", "argmin", "argsort", "count_nonzero",
    "cummax", "cummin", "cumprod", "cumsum", "diff", "dist", "kthvalue", "log_softmax",
    "logcumsumexp", "logsumexp", "max", "mean", "median", "min", "mode", "msort", "nanmean",
    "nansum", "norm", "prod", "renorm", "softmax", "softmin", "sort", "std", "std_mean", "sum",
    "topk", "var", "var_mean",
]  # fmt: skip

Data = Any


def _as(input: Data, dtype: DTypeLike | None) -> Data:
    """The input in `dtype` if one is given."""
    return input if dtype is None else ops.astype(input, np.dtype(dtype))


def _summed(input: Data, dtype: DTypeLike | None) -> Data:
    """The input in `dtype`; bytes and bools as int64, so that no sum wraps around."""
    return _as(input, np.int64 if dtype is None and array_of(input).dtype.kind in "bu" else dtype)


# ----- sums and means -----------------------------------------------------------------------------


@spelled
def sum(
    input: Data, dim: Dim = None, keepdim: bool = False, *, dtype: DTypeLike | None = None
) -> Tensor:
    """Sum over `dim` (all axes if None). dtype: the inputs are converted to it first."""
    return ops.sum(_summed(input, dtype), all_dims("sum", input, dim), keepdim)


def mean(
    input: Data, dim: Dim = None, keepdim: bool = False, *, axis: Dim = None,
    keepdims: bool = False, dtype: DTypeLike | None = None,
) -> Tensor:  # fmt: skip
    """Mean over `dim` (all axes if None), of bools the share that is true.

    TypeError for integers, as in PyTorch; NumPy's spelling, `axis=` or np.mean, takes them.
    """
    kind = np.dtype(dtype).kind if dtype is not None else array_of(input).dtype.kind
    if kind in "iu" and axis is None:
        found = dtype or array_of(input).dtype
        raise TypeError(f"mean: takes floats, got {found}; write x.float().mean()")
    if kind == "b":
        dtype = get_default_dtype()
    dim = all_dims("mean", input, given(dim, axis))
    return ops.mean(_as(input, dtype), dim, keepdim or keepdims)


@spelled
def prod(
    input: Data, dim: Dim = None, keepdim: bool = False, *, dtype: DTypeLike | None = None
) -> Tensor:
    """Product over `dim` (all axes if None)."""
    return ops.prod(_summed(input, dtype), all_dims("prod", input, dim), keepdim)


@spelled
def nansum(input: Data, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Sum over `dim` in which NaN counts as 0."""
    return sum(ops.where(np.isnan(array_of(input)), 0, input), dim, keepdim)


@spelled
def nanmean(input: Data, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Mean over `dim` of the elements that are not NaN."""
    total = nansum(input, dim, keepdim)
    known = sum(wrap(~np.isnan(array_of(input))), dim, keepdim)
    return ops.div(total, known.array.astype(total.dtype))


def _reducing(name: str, op: Callable[..., Any], doc: str) -> Callable[..., Tensor]:
    """A function of the elements over `dim`, all if it is None."""

    def reduced(input: Data, dim: Dim = None, keepdim: bool = False) -> Tensor:
        return op(input, all_dims(name, input, dim), keepdim)  # type: ignore[no-any-return]

    return spelled(named(name, doc, reduced))


logsumexp = _reducing(
    "logsumexp", lambda x, *over: ops.logsumexp(_floats(x), *over),
    "log(sum(e^x)) over `dim`, without overflow.",
)  # fmt: skip
amax = _reducing(
    "amax", ops.max, "The largest element over `dim`; its gradient is shared out evenly at a tie."
)
amin = _reducing(
    "amin", ops.min, "The smallest element over `dim`; its gradient is shared out evenly at a tie."
)
any = _reducing(
    "any", lambda x, dims, keep: wrap(array_of(x).any(dims, keepdims=keep)),
    "Whether some element is not 0; a bool tensor.",
)  # fmt: skip
all = _reducing(
    "all", lambda x, dims, keep: wrap(array_of(x).all(dims, keepdims=keep)),
    "Whether no element is 0; a bool tensor.",
)  # fmt: skip


def _floats(input: Data) -> Data:
    """The input, integers as floats of the default dtype."""
    return _as(input, None if array_of(input).dtype.kind == "f" else get_default_dtype())


def _spread(op: Any, doc: str) -> Callable[..., Tensor]:
    """var or std, called in PyTorch's way or in NumPy's."""

    def spread(
        input: Data, dim: Dim | bool = None, unbiased: bool | None = None, keepdim: bool = False, *,
        correction: float | None = None, axis: Dim = None, keepdims: bool = False, ddof: int = 0,
    ) -> Tensor:  # fmt: skip
        if isinstance(dim, bool):  # var(unbiased)
            dim, unbiased = None, dim
        if correction is None:
            correction = 1 if axis is None and not ddof else ddof
            correction = correction if unbiased is None else int(unbiased)
        dims = all_dims(op.__name__, input, given(dim, axis))
        if axis is None and not ddof and correction != 0:
            check_float(op.__name__, input)
        y: Tensor = op(input, dims, correction, keepdim or keepdims)
        return y

    return named(op.__name__, doc, spread)


def _with_mean(spread: Callable[..., Tensor]) -> Callable[..., tuple[Tensor, Tensor]]:
    def both(
        input: Data, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *,
        correction: float | None = None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        over = None if isinstance(dim, bool) else dim
        y = spread(input, dim, unbiased, keepdim, correction=correction)
        return y, mean(input, over, keepdim)

    name = spread.__name__
    return named(f"{name}_mean", f"`{name}` and `mean` with the same arguments.", both)


var = _spread(
    ops.var,
    """Variance over `dim`: the sum of squares divided by n - correction.

    correction: 1 if it is not given, as in PyTorch (unbiased=False makes it 0). Called in NumPy's
    way, with `axis=` or as np.var, it is NumPy's `ddof`, 0.
    """,
)
std = _spread(ops.std, "The square root of `var` with the same arguments: standard deviation.")
var_mean, std_mean = map(_with_mean, (var, std))


def norm(
    input: Data, p: float | str | None = "fro", dim: Dim = None, keepdim: bool = False,
    *, dtype: DTypeLike | None = None,
) -> Tensor:  # fmt: skip
    """The p-norm (sum |x|^p)^(1/p) over `dim` (all axes if None); "fro" is p = 2."""
    if isinstance(p, str) and p != "fro":
        raise ValueError(f"norm: p must be a number or 'fro', got {p!r}")
    p = 2.0 if p is None or p == "fro" else float(p)
    return vector_norm(_as(input, dtype), p, all_dims("norm", input, dim), keepdim)


def renorm(input: Data, p: float, dim: int, maxnorm: float) -> Tensor:
    """The parts along `dim` whose p-norm is above `maxnorm` scaled down to it, the others as they
    are: x * maxnorm / (norm + 1e-7).
    """
    dim = one_dim("renorm", input, dim)
    takes("renorm", len(input.shape) > 1, "at least two axes", input)
    within("renorm", "maxnorm", maxnorm, 0, np.inf)
    size = norm(input, p, tuple(d for d in range(len(input.shape)) if d != dim), True)
    return ops.mul(input, ops.where(size.array > maxnorm, ops.div(maxnorm, ops.add(size, 1e-7)), 1))


def dist(input: Data, other: Data, p: float = 2) -> Tensor:
    """The p-norm of input - other."""
    return norm(sub(input, other), p)


def diff(
    input: Data, n: int = 1, dim: int = -1, prepend: Data = None, append: Data = None
) -> Tensor:
    """Each element along `dim` less the one before, n times over; with more at the two ends."""
    place = one_dim("diff", input, dim)
    parts = [x for x in (prepend, input, append) if x is not None] if n else [input]
    axis, y = (slice(None),) * place, ops.cat(parts, place)
    for _ in range(n):
        y = ops.sub(ops.getitem(y, (*axis, slice(1, None))), ops.getitem(y, (*axis, slice(-1))))
    return y


def count_nonzero(input: Data, dim: Dim = None) -> Tensor:
    """How many elements over `dim` are not 0."""
    return wrap(np.count_nonzero(array_of(input), all_dims("count_nonzero", input, dim)))


# ----- winners ------------------------------------------------------------------------------------


def _extreme(name: str, op: Any, of_two: Any, argument: Any, doc: str) -> Callable[..., Any]:
    """max or min in its three forms."""

    def extreme(
        input: Data, dim: Any = None, keepdim: bool = False, *, axis: Dim = None,
        keepdims: bool = False, other: Data = None,
    ) -> Any:  # fmt: skip
        check_tensors(name, input=input)
        other = dim if other is None and hasattr(dim, "shape") else other
        if other is not None:
            return of_two(input, other)
        if axis is not None or dim is None:
            return op(input, all_dims(name, input, given(dim, axis)), keepdim or keepdims)
        if isinstance(dim, (tuple, list)):
            raise TypeError(
                f"{name}: dim must be one axis, got {dim}; a{name}(x, {dim}) takes several and "
                "gives values alone"
            )
        return _taken(name, input, dim, keepdim, lambda x, d: argument(x, d, keepdims=True))

    return named(name, doc, extreme)


max = _extreme(
    "max", ops.max, maximum, np.argmax,
    """The largest element, in three forms, as in PyTorch.

    `max(x)`: of all. `max(x, dim)`: along an axis, the named pair (values, indices), the first
    index at a tie. `max(x, y)`: `maximum(x, y)`. NumPy's `max(x, axis=1)` gives values alone.
    """,
)  # fmt: skip
min = _extreme(
    "min", ops.min, minimum, np.argmin, "The smallest element, in the three forms of `max`."
)


def _taken(name: str, input: Data, dim: int, keepdim: bool, places: Any) -> Pair:
    """The pair for `places(array, axis)`, which gives the place of one winner along the axis."""
    dim = one_dim(name, input, dim)
    _check_elements(name, input, dim)
    if not input.shape:
        return PAIRS[name](ops.clone(input), wrap(np.zeros((), np.int64)))
    index = places(array_of(input), dim)
    values = ops.getitem(input, whole_grid(dim, index))
    if keepdim:
        return PAIRS[name](values, wrap(index))
    return PAIRS[name](ops.squeeze(values, dim), wrap(index.squeeze(dim)))


def _check_elements(name: str, input: Data, dim: int | None) -> None:
    shape = tuple(input.shape)
    if 0 in shape and (dim is None or shape[dim] == 0):
        along = "" if dim is None else f" along axis {dim}"
        raise ShapeError(f"{name}: a tensor of shape {shape} has no element{along}")


def _placing(argument: Any, which: str) -> Callable[..., Tensor]:
    """argmax or argmin."""
    name = argument.__name__
    doc = f"Place of the {which} element along `dim`, the first at a tie; of all in C order."

    def place(input: Data, dim: int | None = None, keepdim: bool = False) -> Tensor:
        dim = None if dim is None else one_dim(name, input, dim)
        _check_elements(name, input, dim)
        return wrap(argument(array_of(input), dim if input.shape else None, keepdims=keepdim))

    return spelled(named(name, doc, place))


argmax, argmin = _placing(np.argmax, "largest"), _placing(np.argmin, "smallest")


def aminmax(input: Data, *, dim: int | None = None, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """(`amin`, `amax`) along `dim`."""
    return _aminmax(amin(input, dim, keepdim), amax(input, dim, keepdim))  # type: ignore[no-any-return]


def kthvalue(input: Data, k: int, dim: int = -1, keepdim: bool = False) -> Pair:
    """The k-th smallest element along `dim`, counted from 1, and its place."""
    size = input.shape[one_dim("kthvalue", input, dim)] if input.shape else 1
    if not 1 <= k <= size:
        raise ShapeError(f"kthvalue: k must be from 1 to {size}, the size of axis {dim}, got {k}")
    return _taken("kthvalue", input, dim, keepdim, lambda x, d: _sorted_place(x, d, k - 1))


def _sorted_place(x: np.ndarray, dim: int, k: int) -> np.ndarray:
    return np.argsort(x, dim, kind="stable").take([k], dim)


def median(
    input: Data, dim: int | None = None, keepdim: bool = False, *, axis: Dim = None,
    keepdims: bool = False,
) -> Any:  # fmt: skip
    """The median of all, or along `dim` the pair (values, indices).

    Of an even number of elements it is the lower of the two in the middle, as in PyTorch (NumPy
    takes their mean). NaN if an element is. `median(x, axis=1)` gives values alone.
    """
    if axis is not None:
        return median(input, axis, keepdims).values  # type: ignore[arg-type]
    if dim is None:
        flat = ops.reshape(input, (-1,))
        first = median(flat, 0).values
        same = flat.array == first.array
        return amax(flat[same]) if same.any() else first  # equal ones share its gradient

    def middle(x: np.ndarray, d: int) -> np.ndarray:
        lower = _sorted_place(x, d, (x.shape[d] - 1) // 2)
        isnan = np.isnan(x) if x.dtype.kind == "f" else np.zeros(x.shape, bool)
        return np.where(isnan.any(d, keepdims=True), isnan.argmax(d, keepdims=True), lower)

    return _taken("median", input, dim, keepdim, middle)


def mode(input: Data, dim: int = -1, keepdim: bool = False) -> Pair:
    """The most frequent element along `dim`, the smallest at a tie, and the last place of it."""

    def most_frequent(x: np.ndarray, d: int) -> np.ndarray:
        last = np.moveaxis(x, d, -1)
        count = (last[..., :, None] == last[..., None, :]).sum(-1)
        candidates = np.where(count == count.max(-1, keepdims=True), last, np.inf)
        winner = last == candidates.min(-1, keepdims=True)
        place = winner.shape[-1] - 1 - winner[..., ::-1].argmax(-1)
        return np.expand_dims(place, d)

    return _taken("mode", input, dim, keepdim, most_frequent)


# ----- orders -------------------------------------------------------------------------------------


@spelled
def argsort(input: Data, dim: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The order that sorts the elements along `dim`; equal ones stay in their order."""
    dim = one_dim("argsort", input, dim)
    x = array_of(input)
    if x.ndim == 0:
        return wrap(np.zeros((), np.int64))
    if not descending:
        return wrap(np.argsort(x, dim, kind="stable"))
    backwards = np.argsort(np.flip(x, dim), dim, kind="stable")
    return wrap(x.shape[dim] - 1 - np.flip(backwards, dim))


@spelled
def sort(input: Data, dim: int = -1, descending: bool = False, stable: bool = True) -> Pair:
    """The elements sorted along `dim`, and the places where they stood; NaN is the largest."""
    dim = one_dim("sort", input, dim)
    order = argsort(input, dim, descending)
    if not input.shape:
        return PAIRS["sort"](ops.clone(input), order)
    return PAIRS["sort"](ops.getitem(input, whole_grid(dim, order.array)), order)


def msort(input: Data) -> Tensor:
    """The elements sorted along the first axis."""
    return sort(input, 0).values


def topk(input: Data, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Pair:
    """The k largest (or smallest) elements along `dim`, in order, and their places."""
    dim = one_dim("topk", input, dim)
    size = input.shape[dim] if input.shape else 1
    if not 0 <= k <= size:
        raise ShapeError(f"topk: k must be from 0 to {size}, the size of axis {dim}, got {k}")
    values, indices = sort(input, dim, descending=largest)
    if not input.shape:
        return PAIRS["topk"](values, indices)
    part = (slice(None),) * dim + (slice(k),)
    return PAIRS["topk"](ops.getitem(values, part), wrap(indices.array[part]))


def _running(op: Any, doc: str) -> Callable[..., Tensor]:
    """cumsum or cumprod."""
    name = op.__name__

    def running(input: Data, dim: int | None = None, *, dtype: DTypeLike | None = None) -> Tensor:
        if dim is None:
            raise TypeError(f"{name}: along which axis? Pass dim, such as {name}(x, dim=0)")
        x, dim = _summed(input, dtype), one_dim(name, input, dim)
        return op(x, dim) if input.shape else ops.clone(x)  # type: ignore[no-any-return]

    return spelled(named(name, doc, running))


cumsum = _running(ops.cumsum, "Running sum along `dim`.")
cumprod = _running(ops.cumprod, "Running product along `dim`.")


def _extreme_so_far(name: str, ufunc: np.ufunc, doc: str) -> Callable[[Data, int], Pair]:
    """cummax or cummin."""

    def so_far(input: Data, dim: int) -> Pair:
        dim = one_dim(name, input, dim)
        if not input.shape:
            return PAIRS[name](ops.clone(input), wrap(np.zeros((), np.int64)))
        x = array_of(input)
        is_best = (x == ufunc.accumulate(x, dim)) | (x != x)
        places = np.arange(x.shape[dim]).reshape([-1 if d == dim else 1 for d in range(x.ndim)])
        index = np.maximum.accumulate(np.where(is_best, places, 0), dim)
        return PAIRS[name](ops.getitem(input, whole_grid(dim, index)), wrap(index))

    return named(name, doc, so_far)


cummax = _extreme_so_far(
    "cummax", np.maximum, "The largest element so far along `dim`, and the last place of it."
)
cummin = _extreme_so_far(
    "cummin", np.minimum, "The smallest element so far along `dim`, and the last place of it."
)


def logcumsumexp(input: Data, dim: int) -> Tensor:
    """log of the running sum of e^x along `dim`, without overflow where one x is much larger."""
    dim = one_dim("logcumsumexp", input, dim)
    if not input.shape:
        return ops.clone(input)
    top = np.maximum.accumulate(array_of(input), dim)
    rows = [
        ops.logsumexp(ops.getitem(input, (slice(None),) * dim + (slice(i + 1),)), dim, True)
        for i in range(top.shape[dim])
    ]
    return ops.cat(rows, dim) if rows else ops.clone(input)


def _sharing(name: str, op: Callable[[Data, int], Tensor], doc: str) -> Callable[..., Tensor]:
    """A softmax: without `dim` along the axis that PyTorch takes, with a warning."""

    def shared(input: Data, dim: int | None = None, *, dtype: DTypeLike | None = None) -> Tensor:
        check_tensors(name, input=input)
        shape = tuple(input.shape)
        if dim is None:
            dim = 0 if len(shape) in (0, 1, 3) else 1
            if len(shape) > 2:  # else there is no other
                warnings.warn(
                    f"{name} without dim takes axis {dim} of shape {shape}, as PyTorch does; "
                    f"pass dim={dim} or dim=-1",
                    stacklevel=3,
                )
        return op(_floats(_as(input, dtype)), one_dim(name, input, dim))

    return spelled(named(name, doc, shared))


softmax = _sharing(
    "softmax", ops.softmax,
    """Probabilities e^x / sum(e^x) along `dim`, of the input in `dtype` if one is given.

    >>> softmax(np.array([[0.0, 0.0]]), dim=1)
    tensor([[0.5000, 0.5000]], dtype=tinynet.float64)
    """,
)  # fmt: skip
log_softmax = _sharing(
    "log_softmax", ops.log_softmax, "log(softmax(x)) along `dim`, without its underflow."
)
softmin = _sharing("softmin", lambda x, dim: ops.softmax(ops.neg(x), dim), "softmax(-x).")
