"""Moving elements about: reshaping, repeating, reordering and cutting up."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynet import ops
from tinynet.autograd import wrap
from tinynet.errors import ShapeError, no_such_axis
from tinynet.functions.common import Dim, all_dims, array_of, call_sizes, given, one_dim

if TYPE_CHECKING:
    from tinynet.tensor import Tensor

__all__ = [
    "broadcast_tensors", "broadcast_to", "cartesian_prod", "chunk", "column_stack", "dstack",
    "expand", "expand_as", "flip", "fliplr", "flipud", "hstack", "is_tensor", "meshgrid", "movedim",
    "numel", "permute", "ravel", "repeat", "repeat_interleave", "reshape", "reshape_as", "roll",
    "rot90", "split", "squeeze", "swapaxes", "t", "tensor_split", "tile", "transpose",
    "tril_indices", "triu_indices", "unbind", "unflatten", "vstack",
]  # fmt: skip

Data = Any


def reshape(input: Data, *args: Any, shape: Any = None) -> Tensor:
    """The same elements in another shape: `reshape(2, -1)` or `reshape((2, -1))`."""
    return ops.reshape(input, call_sizes(args, shape))


def reshape_as(input: Data, other: Data) -> Tensor:
    """The same elements in the shape of another tensor."""
    return ops.reshape(input, tuple(other.shape))


def ravel(input: Data) -> Tensor:
    """All elements along one axis."""
    return ops.reshape(input, (-1,))


def unflatten(input: Data, dim: int, sizes: Sequence[int]) -> Tensor:
    """One axis cut into several of the sizes given; one may be -1."""
    dim = one_dim("unflatten", input, dim)
    shape = tuple(input.shape)
    return ops.reshape(input, (*shape[:dim], *sizes, *shape[dim + 1 :]))


def squeeze(input: Data, dim: Dim = None, *, axis: Dim = None) -> Tensor:
    """Drop axes of size 1: all, or of those named the ones that have it.

    As in PyTorch, an axis that is named and has another size stays.
    """
    dim = given(dim, axis)
    if dim is None:
        return ops.squeeze(input)
    named = all_dims("squeeze", input, dim) or ()
    return ops.squeeze(input, tuple(d for d in named if input.shape[d] == 1))


def permute(input: Data, *args: Any, dims: Any = None) -> Tensor:
    """Axes in another order: `permute(0, 2, 1)`."""
    return ops.permute(input, call_sizes(args, dims))


def swapaxes(input: Data, axis0: int, axis1: int) -> Tensor:
    """Swap two axes."""
    one, two = one_dim("transpose", input, axis0), one_dim("transpose", input, axis1)
    order = list(range(len(input.shape)))
    if order:
        order[one], order[two] = order[two], order[one]
    return ops.permute(input, order)


def transpose(input: Data, *axes: Any) -> Tensor:
    """Swap or permute axes.

    `transpose(0, 2)` swaps two, as in PyTorch; without axes all are reversed, and a tuple or more
    than two axes give the order of all of them, as in NumPy.
    """
    if not axes or axes == (None,):
        return ops.permute(input, range(len(input.shape) - 1, -1, -1))
    return swapaxes(input, *axes) if len(axes) == 2 else permute(input, *axes)


def t(input: Data) -> Tensor:
    """A matrix with rows and columns swapped; a vector as it is."""
    if len(input.shape) > 2:
        raise ShapeError(
            f"t: takes a matrix or a vector, got shape {tuple(input.shape)}; use .mT to swap the "
            "last two axes"
        )
    return transpose(input)


def movedim(input: Data, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Axes moved to other places; the rest keep their order."""
    sources, targets = (
        [one_dim("movedim", input, d) for d in ((x,) if isinstance(x, int) else x)]
        for x in (source, destination)
    )
    if len({len(sources), len(targets), len(set(sources)), len(set(targets))}) > 1:
        raise ValueError(
            f"movedim: source {source} and destination {destination} must name equally many "
            "different axes"
        )
    order = [d for d in range(len(input.shape)) if d not in sources]
    for target, axis in sorted(zip(targets, sources)) if input.shape else ():
        order.insert(target, axis)
    return ops.permute(input, order)


def expand(input: Data, *args: Any, size: Any = None) -> Tensor:
    """Repeat axes of size 1 up to `shape` without copying; -1 keeps a size."""
    return ops.expand(input, call_sizes(args, size))


broadcast_to = expand


def expand_as(input: Data, other: Data) -> Tensor:
    """`expand` to the shape of another tensor."""
    return ops.expand(input, tuple(other.shape))


def broadcast_tensors(*tensors: Data) -> tuple[Tensor, ...]:
    """The tensors expanded to the shape to which they broadcast."""
    shape = np.broadcast_shapes(*(tuple(x.shape) for x in tensors))
    return tuple(ops.expand(x, shape) for x in tensors)


def flip(input: Data, *args: Any, dims: Any = None) -> Tensor:
    """Reverse the order along the axes given."""
    named = call_sizes(args, dims)
    return ops.flip(input, tuple(one_dim("flip", input, d) for d in named) if input.shape else ())


def fliplr(input: Data) -> Tensor:
    """The second axis reversed."""
    return flip(input, 1)


def flipud(input: Data) -> Tensor:
    """The first axis reversed."""
    if not input.shape:
        raise ShapeError("flipud: a tensor without axes cannot be flipped")
    return flip(input, 0)


def rot90(input: Data, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turned by k * 90 degrees in the plane of two axes, from the first towards the second."""
    if len(dims) != 2 or len(input.shape) < 2 or (dims[0] - dims[1]) % len(input.shape) == 0:
        raise ShapeError(
            f"rot90: needs two different axes of shape {tuple(input.shape)}, got {tuple(dims)}"
        )
    one, two = dims
    if k % 4 == 0:
        return ops.clone(input)
    if k % 4 == 2:
        return flip(input, one, two)
    swapped = swapaxes(input, one, two)
    return flip(swapped, one) if k % 4 == 1 else flip(swapped, two)


def roll(input: Data, shifts: Any, dims: Any = None) -> Tensor:
    """Elements moved on by `shifts` along `dims`, the last ones coming in at the front."""
    if dims is None or dims == ():
        if isinstance(shifts, (tuple, list)) and len(shifts) != 1:
            raise ValueError(f"roll: shifts {shifts} need as many dims")
        flat = roll(ops.reshape(input, (-1,)), shifts, 0)
        return ops.reshape(flat, tuple(input.shape))
    moves, axes = ((x,) if isinstance(x, int) else tuple(x) for x in (shifts, dims))
    if len(moves) != len(axes):
        raise ValueError(f"roll: shifts {shifts} and dims {dims} must be equally many")
    y = input
    for move, axis in zip(moves, axes):
        if not input.shape:
            raise no_such_axis("roll", axis, ())
        axis = one_dim("roll", input, axis)
        size = input.shape[axis]
        if size:
            y = ops.getitem(y, (slice(None),) * axis + ((np.arange(size) - move) % size,))
    return y if y is not input else ops.clone(input)


def repeat(input: Data, *args: Any, repeats: Any = None) -> Tensor:
    """Copies side by side: `repeat(2, 3)` stacks 2 down and 3 across; a new axis may come first."""
    times = call_sizes(args, repeats)
    if len(times) < len(input.shape):
        raise ShapeError(
            f"repeat: needs a number for each axis of shape {tuple(input.shape)}, got {times}"
        )
    sizes = (1,) * (len(times) - len(input.shape)) + tuple(input.shape)
    split = [n for size in sizes for n in (1, size)]
    wide = [n for time, size in zip(times, sizes) for n in (time, size)]
    y = ops.expand(ops.reshape(input, split), wide)
    return ops.reshape(y, [time * size for time, size in zip(times, sizes)])


def tile(input: Data, *args: Any, dims: Any = None) -> Tensor:
    """`repeat` in which missing numbers in front are 1."""
    times = call_sizes(args, dims)
    return repeat(input, (1,) * (len(input.shape) - len(times)) + times)


def repeat_interleave(
    input: Data, repeats: Any, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each slice along `dim` repeated in place, by one number or one number each."""
    if dim is None:
        input, dim = ops.reshape(input, (-1,)), 0
    dim = one_dim("repeat_interleave", input, dim)
    if not input.shape:
        input = ops.reshape(input, (1,))
    places = np.repeat(np.arange(input.shape[dim]), array_of(repeats))
    return ops.getitem(input, (slice(None),) * dim + (places,))


def split(tensor: Data, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Cut along an axis: into pieces of one size, the last smaller, or of the sizes in a list."""
    return ops.split(tensor, split_size_or_sections, dim)


def chunk(input: Data, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """Cut into at most `chunks` pieces of equal size along an axis; the last may be smaller."""
    if chunks < 1:
        raise ShapeError(f"chunk: chunks must be at least 1, got {chunks}")
    dim = one_dim("chunk", input, dim)
    return ops.split(input, builtins.max(1, -(-input.shape[dim] // chunks)), dim)


def tensor_split(input: Data, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Cut along an axis into n pieces of nearly equal size, or before each index of a list."""
    dim = one_dim("tensor_split", input, dim)
    size = input.shape[dim] if input.shape else 0
    cuts: Any = array_of(indices_or_sections)
    if cuts.ndim == 0:
        sections = int(cuts)
        if sections < 1:
            raise ValueError(f"tensor_split: needs at least 1 piece, got {sections}")
        cuts = [
            i * (size // sections) + builtins.min(i, size % sections) for i in range(1, sections)
        ]
    ends = [*(int(c) for c in cuts), size]
    pieces, start = [], 0
    for end in ends:
        pieces.append(ops.getitem(input, (slice(None),) * dim + (slice(start, end),)))
        start = end
    return tuple(pieces)


def unbind(input: Data, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along an axis, without that axis."""
    if not input.shape:
        raise no_such_axis("unbind", dim, ())
    dim = one_dim("unbind", input, dim)
    pieces = ops.split(input, 1, dim) if input.shape[dim] else ()
    return tuple(ops.squeeze(piece, dim) for piece in pieces)


def _at_least(count: int, x: Data) -> Data:
    """x with axes of size 1 up to `count`, where NumPy's atleast_1d, _2d and _3d put them."""
    missing = count - len(x.shape)
    if missing <= 0:
        return x
    shape = tuple(x.shape)
    if count == 3 and len(shape) in (1, 2):
        return ops.reshape(x, (1, *shape, 1) if len(shape) == 1 else (*shape, 1))
    return ops.reshape(x, (1,) * missing + shape)


def hstack(tensors: Sequence[Data]) -> Tensor:
    """Joined along the second axis, vectors along their only one."""
    parts = [_at_least(1, x) for x in tensors]
    return ops.cat(parts, 0 if len(parts) and len(parts[0].shape) == 1 else 1)


def vstack(tensors: Sequence[Data]) -> Tensor:
    """Joined along the first axis, vectors as rows."""
    return ops.cat([_at_least(2, x) for x in tensors], 0)


def dstack(tensors: Sequence[Data]) -> Tensor:
    """Joined along the third axis."""
    return ops.cat([_at_least(3, x) for x in tensors], 2)


def column_stack(tensors: Sequence[Data]) -> Tensor:
    """Joined along the second axis, vectors as columns."""
    return ops.cat([ops.reshape(x, (-1, 1)) if len(x.shape) < 2 else x for x in tensors], 1)


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Grids of coordinates from vectors: y_k[i, j, ...] is element i, j, ... of vector k.

    indexing: "ij" as in matrices; "xy" swaps the first two axes, as in pictures.
    """
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    if indexing not in ("ij", "xy"):
        raise ValueError(f"meshgrid: indexing must be 'ij' or 'xy', got {indexing!r}")
    vectors = [ops.reshape(x, (-1,)) for x in tensors]
    shape = tuple(x.shape[0] for x in vectors)
    grids = [
        ops.expand(ops.reshape(x, [n if d == k else 1 for d in range(len(shape))]), shape)
        for k, (x, n) in enumerate(zip(vectors, shape))
    ]
    if indexing == "xy" and len(shape) > 1:
        grids = [swapaxes(grid, 0, 1) for grid in grids]
    return tuple(grids)


def unfold(input: Data, dimension: int, size: int, step: int) -> Tensor:
    """Windows of `size` every `step` along an axis; the windows' elements are the last axis."""
    axis = one_dim("unfold", input, dimension)
    if not input.shape:
        return ops.reshape(input, (1,))
    length = input.shape[axis]
    if size > length or step < 1:
        raise ShapeError(
            f"unfold: windows of {size} every {step} do not fit axis {axis} of size {length}"
        )
    starts = np.arange(0, length - size + 1, step)
    windows = starts[:, None] + np.arange(size)  # (windows, size)
    taken = ops.getitem(input, (slice(None),) * axis + (windows,))
    return movedim(taken, axis + 1, -1)


def cartesian_prod(*tensors: Data) -> Tensor:
    """All combinations of one element of each vector, a row each."""
    grids = meshgrid(*tensors)
    if len(grids) == 1:
        return grids[0]
    return ops.stack([ops.reshape(grid, (-1,)) for grid in grids], 1)


def numel(input: Data) -> int:
    """The number of elements."""
    return math.prod(input.shape)


def is_tensor(obj: Any) -> bool:
    """Whether it is a Tensor."""
    return hasattr(obj, "requires_grad") and hasattr(obj, "array")


def tril_indices(row: int, col: int, offset: int = 0) -> Tensor:
    """Rows and columns of the places of a lower triangle, as a (2, n) tensor."""
    return wrap(np.stack(np.tril_indices(row, offset, col)))


def triu_indices(row: int, col: int, offset: int = 0) -> Tensor:
    """Rows and columns of the places of an upper triangle, as a (2, n) tensor."""
    return wrap(np.stack(np.triu_indices(row, offset, col)))
