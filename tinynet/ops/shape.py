"""Operations that move elements about without computing anything.

Each is a linear map with a single 1 in every row, so its gradient is the transposed map: a
reshape is undone, a permutation inverted, a copy to many places becomes a sum over them.
Where NumPy gives a view, so does the operation.
"""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynet.autograd import Array, Op, differentiable
from tinynet.errors import ShapeError, no_such_axis
from tinynet.ops.kinks import choice

if TYPE_CHECKING:
    from tinynet.tensor import Tensor

__all__ = [
    "add_at", "astype", "cat", "clone", "expand", "flatten", "flip", "getitem", "pad", "permute",
    "reshape", "setitem", "split", "squeeze", "stack", "unsqueeze",
]  # fmt: skip


@differentiable(view=True, rule="y = x in another shape, dy/dx = 1")
def reshape(x: Array, shape: Sequence[int]) -> Op:
    """The same elements in another shape; one size may be -1 and is inferred.

    Gradient: dx is dy in the old shape. Keeps nothing. Raises ShapeError if the number of
    elements differs.
    """
    old = x.shape
    try:
        y = x.reshape(shape)
    except ValueError as error:
        raise _no_reshape(old, tuple(shape)) from error
    return y, lambda dy: dy.reshape(old)


def _no_reshape(old: tuple[int, ...], new: tuple[int, ...]) -> ShapeError:
    """The error for a number of elements that differs, with a shape that takes them."""
    size, known = math.prod(old), math.prod(n for n in new if n != -1)
    cure = f"It takes {known}."
    if new.count(-1) > 1:
        cure = "Only one size may be -1."
    elif -1 in new:
        cure = f"{size} is no multiple of {known}, so no size fits in place of -1."
    elif len(old) > 1 and new[:1] == old[:1]:
        cure += f" Use {(old[0], -1)} to flatten all axes but the first."
    elif new and size % (math.prod(new[:-1]) or 1) == 0 and 0 not in new:
        cure += f" Use {(*new[:-1], size // math.prod(new[:-1]))}, or -1 for one size."
    return ShapeError(
        f"reshape: {size} elements of shape {old} do not fit into shape {new}. {cure}"
    )


def flatten(x: Array, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Merge the axes from `start_dim` to `end_dim` into one: a reshape, and so is its gradient.

    Shapes: x (N, C, H, W), start_dim=1 -> (N, C*H*W). Raises ShapeError for a wrong axis.
    """
    shape = tuple(x.shape)
    ndim = len(shape)
    if ndim == 0:
        return reshape(x, (1,))
    start = start_dim + ndim if start_dim < 0 else start_dim
    end = end_dim + ndim if end_dim < 0 else end_dim
    if not 0 <= start <= end < ndim:
        raise ShapeError(
            f"flatten: start_dim={start_dim} and end_dim={end_dim} must name axes of shape {shape} "
            f"in this order; its axes are {-ndim} to {ndim - 1}. Use end_dim=-1 for the last."
        )
    return reshape(x, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


@differentiable(view=True, rule="y = x with its axes in another order, dy/dx = 1")
def permute(x: Array, dims: Sequence[int]) -> Op:
    """Axes in another order: axis i of y is axis dims[i] of x.

    Gradient: the inverse permutation of dy. Raises ShapeError if dims is no permutation.
    """
    ndim = x.ndim
    try:
        y = x.transpose(dims)
    except ValueError as error:
        raise ShapeError(
            f"permute: dims {tuple(dims)} must name each of the {ndim} axes of shape "
            f"{x.shape} once, such as {tuple(range(ndim))[::-1]}"
        ) from error
    return y, lambda dy: dy.transpose(np.argsort([d % ndim for d in dims]))


@differentiable(view=True, rule="y = x repeated, dy/dx = 1")
def expand(x: Array, shape: Sequence[int]) -> Op:
    """Repeat axes of size 1 up to `shape`; -1 keeps a size. No memory is copied.

    Gradient: the sum of dy over the repeated axes. Raises ShapeError if x cannot be stretched so.
    """
    lead = len(shape) - x.ndim
    target = [x.shape[i - lead] if n == -1 and i >= lead else n for i, n in enumerate(shape)]
    try:
        y = np.broadcast_to(x, target)
    except ValueError as error:
        raise ShapeError(
            f"expand: shape {x.shape} cannot be stretched to {tuple(shape)}; only a size 1 can. "
            f"Use {_stretched(x.shape, shape)}, or repeat the elements with cat."
        ) from error
    return y, lambda dy: dy  # summed back to the shape of x by @differentiable


def _stretched(old: tuple[int, ...], wanted: Sequence[int]) -> tuple[int, ...]:
    """The shape nearest to `wanted` that `old` can be stretched to."""
    new = list(wanted)
    new = [1] * (len(old) - len(new)) + new
    for i in range(1, len(old) + 1):
        new[-i] = new[-i] if old[-i] == 1 else old[-i]
    return tuple(new)


@differentiable(view=True, rule="y = x in another shape, dy/dx = 1")
def squeeze(x: Array, axis: int | tuple[int, ...] | None = None) -> Op:
    """Drop axes of size 1: all, or those in `axis`. Gradient: dy in the old shape.

    Raises ShapeError if an axis named is not of size 1.
    """
    old = x.shape
    try:
        y = x.squeeze(axis)
    except ValueError as error:
        ones = [i for i, size in enumerate(old) if size == 1]
        has = f"the axes of size 1 are {ones}" if ones else "no axis is"
        raise ShapeError(f"squeeze: axis {axis} of shape {old} is not of size 1; {has}") from error
    return y, lambda dy: dy.reshape(old)


@differentiable(view=True, rule="y = x in another shape, dy/dx = 1")
def unsqueeze(x: Array, dim: int) -> Op:
    """Insert an axis of size 1, which becomes axis `dim` of y. Gradient: dy in the old shape.

    Raises ShapeError if the result has no such axis.
    """
    old = x.shape
    if not -x.ndim - 1 <= dim <= x.ndim:
        raise ShapeError(
            f"unsqueeze: place {dim} does not exist for shape {old}; "
            f"choose from {-x.ndim - 1} to {x.ndim}"
        )
    return np.expand_dims(x, dim), lambda dy: dy.reshape(old)


@differentiable(rule="y = the inputs one after the other, dy/dx = 1")
def _cat(*xs: Array, dim: int = 0) -> Op:
    """See `cat`."""
    try:
        y = np.concatenate(xs, axis=dim)
    except ValueError as error:
        shapes = ", ".join(str(x.shape) for x in xs)
        raise ShapeError(
            f"cat along axis {dim}: the inputs must have this axis, and equal sizes on all other "
            f"axes; got shapes {shapes}. {_cat_cure([x.shape for x in xs])}"
        ) from error
    before = (slice(None),) * (dim % y.ndim)
    vjps = []
    start = 0
    for x in xs:
        part = (*before, slice(start, start + x.shape[dim]))
        vjps.append(lambda dy, part=part: dy[part])
        start += x.shape[dim]
    return (y, *vjps)


def _cat_cure(shapes: list[tuple[int, ...]]) -> str:
    """Along which axis inputs of these shapes can be joined, if there is one."""
    if any(len(shape) != len(shapes[0]) for shape in shapes):
        return "Give all of them equally many axes: .unsqueeze(axis) adds one of size 1."
    unlike = [i for i, sizes in enumerate(zip(*shapes)) if len(set(sizes)) > 1]
    if len(unlike) == 1:
        return f"They differ at axis {unlike[0]}: use dim={unlike[0]}."
    return f"They differ at the axes {unlike}." if unlike else f"Use dim=0 to {len(shapes[0]) - 1}."


def cat(tensors: Sequence[Array], dim: int = 0, *, axis: int | None = None) -> Tensor:
    """Join along an existing axis. Gradient: each input gets its slice of dy. Keeps nothing.

    Shapes: (N, C), (M, C), dim=0 -> (N+M, C). axis: NumPy's name for dim. Raises ShapeError if the
    shapes differ on another axis or there is nothing to join.
    """
    _check_some("cat", tensors)
    wrong = [x for x in tensors if not hasattr(x, "shape")]
    if wrong:
        raise TypeError(f"cat: takes tensors, but {wrong[0]!r:.60} is among them")
    if any(len(x.shape) != 1 for x in tensors):  # as in PyTorch, an empty vector fits everywhere
        tensors = [x for x in tensors if tuple(x.shape) != (0,)]
    floats = [x.dtype for x in tensors if x.dtype.kind == "f"]
    if 0 < len(floats) < len(tensors):  # integers beside floats become these, as in PyTorch
        target = np.result_type(*floats)
        tensors = [x if x.dtype.kind == "f" else astype(x, target) for x in tensors]
    return _cat(*tensors, dim=dim if axis is None else axis)


def _check_some(name: str, tensors: Sequence[Array]) -> None:
    if len(tensors) == 0:
        raise ShapeError(f"{name}: needs at least one tensor, got an empty list")


def stack(tensors: Sequence[Array], dim: int = 0, *, axis: int | None = None) -> Tensor:
    """Join along a new axis: `cat` of the inputs with an axis of size 1 inserted at `dim`.

    axis: NumPy's name for dim. Raises ShapeError if the shapes differ or there are none.
    """
    _check_some("stack", tensors)
    shapes = [tuple(x.shape) for x in tensors]
    if any(shape != shapes[0] for shape in shapes):
        raise ShapeError(
            f"stack: all shapes must be equal, got {', '.join(map(str, shapes))}. `cat` joins "
            "along an axis that is there already."
        )
    dim = dim if axis is None else axis
    return cat([unsqueeze(x, dim) for x in tensors], dim)


def split(x: Array, split_size: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Cut into pieces along an axis: pieces of `split_size` (the last may be smaller), or of
    the sizes in a list. Each piece is an indexing of x, and so is its gradient.

    Raises ShapeError if there is no such axis, or the listed sizes do not add up to its size.
    """
    ndim = len(x.shape)
    if not -ndim <= dim < ndim:
        raise no_such_axis("split", dim, x.shape)
    size = x.shape[dim]
    if isinstance(split_size, int):
        if split_size <= 0:
            raise ShapeError(f"split: split_size must be at least 1, got {split_size}")
        whole, rest = divmod(size, split_size)
        sizes = [split_size] * whole + [rest] * (rest > 0 or size == 0)
    else:
        sizes = list(split_size)
        if builtins.sum(sizes) != size or builtins.min(sizes, default=0) < 0:
            rest = size - builtins.sum(sizes)
            cure = f". Use {[*sizes, rest]}." if rest > 0 else "; none may be negative"
            raise ShapeError(
                f"split: sizes {sizes} add up to {builtins.sum(sizes)}, but axis {dim} of shape "
                f"{tuple(x.shape)} has {size}{cure}"
            )
    before = (slice(None),) * (dim % ndim)
    ends = [builtins.sum(sizes[: i + 1]) for i in range(len(sizes))]
    return tuple(getitem(x, (*before, slice(end - n, end))) for n, end in zip(sizes, ends))


@differentiable(rule="y = x with a margin, dy/dx = 1")
def pad(x: Array, widths: Sequence[tuple[int, int]], value: float = 0.0) -> Op:
    """Surround with a constant: `widths` gives (before, after) for each axis, as in np.pad.

    Gradient: the part of dy that lies over x; the border is constant. Raises ShapeError for a
    negative width or a wrong number of pairs.
    """
    if len(widths) != x.ndim or any(w < 0 for pair in widths for w in pair):
        raise ShapeError(
            f"pad: needs a pair of widths >= 0 for each of the {x.ndim} axes of shape {x.shape}, "
            f"got {widths}"
        )
    inner = tuple(slice(before, before + n) for (before, _), n in zip(widths, x.shape))
    return np.pad(x, widths, constant_values=value), lambda dy: dy[inner]


@differentiable(view=True, rule="y = x turned round, dy/dx = 1")
def flip(x: Array, dims: int | tuple[int, ...] | None = None) -> Op:
    """Reverse the order along the axes `dims` (None: all). Gradient: dy flipped back.

    Raises ShapeError if there is no such axis.
    """
    try:
        y = np.flip(x, dims)
    except ValueError as error:
        raise ShapeError(f"flip: no axis {dims} in shape {x.shape}") from error
    return y, lambda dy: np.flip(dy, dims)


def is_basic(index: Array) -> bool:
    """Whether an index is made of ints, slices, None and ... alone, so that no element repeats."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(
        part is None
        or part is Ellipsis
        or (isinstance(part, (slice, int, np.integer)) and not isinstance(part, bool))
        for part in parts
    )


@differentiable(
    view=True,
    kinks=choice(lambda x, index: _places(index), "takes what its index says"),
    rule="y = part of x, dy/dx = 1 for what was taken",
)
def getitem(x: Array, index: Array) -> Op:
    """y = x[index], by NumPy's rules: ints, slices, None, ..., boolean and integer arrays.

    Gradient: dy is added into zeros at `index`; an element that was taken twice gets the sum.
    Raises IndexError as NumPy does, with the shape.
    """
    shape = x.shape
    try:
        y = x[index]
        if isinstance(y, np.generic):  # a view, as of a part with axes
            y = x[(*index, ...) if isinstance(index, tuple) else (index, ...)]
    except IndexError as error:
        raise IndexError(f"{error}; the tensor has shape {shape}") from error

    def dx(dy: Array) -> Array:
        dx = np.zeros_like(dy, shape=shape)
        if is_basic(index):
            dx[index] = dy
        else:
            np.add.at(dx, index, dy)
        return dx

    return y, dx


def _places(index: Array) -> np.ndarray:
    """The arrays in an index, one after the other."""
    parts = index if isinstance(index, tuple) else (index,)
    arrays = [np.ravel(part) for part in parts if isinstance(part, np.ndarray)]
    return np.concatenate([np.zeros(0, int), *arrays])


@differentiable(
    kinks=choice(lambda x, value, index: _places(index), "puts where its index says"),
    rule="y = x with a part replaced, dy/dx = 1 for what stayed",
)
def setitem(x: Array, value: Array, index: Array) -> Op:
    """y = x with y[index] = value; the record behind `tensor[index] = value`.

    Gradients: dx = dy with 0 at `index`, since those elements were overwritten; dvalue =
    dy[index]. Where an index repeats, the last value written wins, and the others get 0.
    """
    y = x.copy()
    y[index] = value

    def dx(dy: Array) -> Array:
        dx = dy.copy()
        dx[index] = 0
        return dx

    def dvalue(dy: Array) -> Array:
        taken = dy[index]
        if is_basic(index):
            return taken
        number = np.arange(taken.size).reshape(taken.shape)
        writer = np.empty(dy.shape, int)
        writer[index] = number
        return taken * (writer[index] == number)

    return y, dx, dvalue


@differentiable(rule="y = x + value at the index, dy/dx = 1, dy/dvalue = 1")
def add_at(x: Array, value: Array, index: Array) -> Op:
    """y = x with `value` added at `index`; where the index repeats, all of them are added.

    Gradients: dx = dy, dvalue = dy[index]. Keeps nothing.
    """
    y = x.copy()
    np.add.at(y, index, value)
    return y, lambda dy: dy, lambda dy: dy[index]


@differentiable(rule="y = x in another dtype, dy/dx = 1")
def astype(x: Array, dtype: np.dtype[np.generic]) -> Op:
    """The same values in another dtype. Gradient: dy in the dtype of x."""
    old = x.dtype
    return x.astype(dtype), lambda dy: dy.astype(old)  # a copy, as in NumPy


@differentiable(rule="y = x, dy/dx = 1")
def clone(x: Array, memory_format: Array = None) -> Op:
    """A copy with memory of its own, in the same order. Gradient: dx = dy.

    memory_format is PyTorch's and has no effect.
    """
    return x.copy(order="K"), lambda dy: dy


def normalized_shape(shape: tuple[Any, ...]) -> tuple[int, ...]:
    """The sizes of a call that takes `(2, 3)` or `2, 3`; TypeError names what is no int."""
    sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    try:
        return tuple(map(operator.index, sizes))
    except TypeError:
        raise TypeError(f"a shape is made of ints, got {tuple(sizes)}") from None
