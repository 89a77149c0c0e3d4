"""Moving elements about: reshaping, repeating, reordering and cutting up."""

from __future__ import annotations

import builtins
import itertools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynet import ops
from tinynet.autograd import Variable, wrap
from tinynet.errors import no_such_axis
from tinynet.functions.common import (
    Dim,
    all_dims,
    array_of,
    call_sizes,
    named,
    one_dim,
    spelled,
    takes,
)
from tinynet.ops.checks import integer, one_of

if TYPE_CHECKING:
    from tinynet.tensor import Tensor

__all__ = [
    "as_strided", "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "broadcast_tensors",
    "broadcast_to", "cartesian_prod", "chunk", "column_stack", "combinations", "dstack", "expand",
    "expand_as", "flip", "fliplr", "flipud", "hstack", "is_tensor", "meshgrid", "movedim", "numel",
    "permute", "ravel", "repeat", "repeat_interleave", "reshape", "reshape_as", "roll", "rot90",
    "split", "squeeze", "swapaxes", "t", "tensor_split", "tile", "transpose", "tril_indices",
    "triu_indices", "unbind", "unflatten", "vstack",
]  # fmt: skip

Data = Any


def reshape(input: Data, *args: Any, shape: Any = None, size: Any = None) -> Tensor:
    """The same elements in another shape: `reshape(2, -1)` or `reshape((2, -1))`."""
    return ops.reshape(input, call_sizes(args, size if shape is None else shape))


reshape_as = named(
    "reshape_as", "The same elements in the shape of another tensor.",
    lambda input, other: ops.reshape(input, tuple(other.shape)),
)  # fmt: skip
expand_as = named(
    "expand_as", "`expand` to the shape of another tensor.",
    lambda input, other: ops.expand(input, tuple(other.shape)),
)  # fmt: skip
ravel = named("ravel", "All elements along one axis.", lambda input: ops.reshape(input, (-1,)))


def unflatten(input: Data, dim: int, sizes: Sequence[int]) -> Tensor:
    """One axis cut into several of the sizes given; one may be -1."""
    dim = one_dim("unflatten", input, dim)
    shape = tuple(input.shape)
    return ops.reshape(input, (*shape[:dim], *sizes, *shape[dim + 1 :]))


@spelled
def squeeze(input: Data, dim: Dim = None) -> Tensor:
    """Drop axes of size 1: all, or of those named the ones that have it.

    As in PyTorch, an axis that is named and has another size stays.
    """
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


def transpose(input: Data, *axes: Any, dim0: int | None = None, dim1: int | None = None) -> Tensor:
    """Swap or permute axes.

    `transpose(0, 2)` swaps two, as in PyTorch; without axes all are reversed, and a tuple or more
    than two axes give the order of all of them, as in NumPy.
    """
    axes = (*axes, *(d for d in (dim0, dim1) if d is not None))
    if not axes or axes == (None,):
        return ops.permute(input, range(len(input.shape) - 1, -1, -1))
    return swapaxes(input, *axes) if len(axes) == 2 else permute(input, *axes)


def t(input: Data) -> Tensor:
    """A matrix with rows and columns swapped; a vector as it is."""
    takes("t", len(input.shape) <= 2, "a matrix or a vector (.mT swaps the last two axes)", input)
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
    numbered = np.empty(range(len(input.shape)))  # the size of each axis is its number
    return ops.permute(input, np.moveaxis(numbered, sources, targets).shape if input.shape else ())


def expand(input: Data, *args: Any, size: Any = None) -> Tensor:
    """Repeat axes of size 1 up to `shape` without copying; -1 keeps a size."""
    return ops.expand(input, call_sizes(args, size))


broadcast_to = expand


def as_strided(
    input: Data, size: Sequence[int], stride: Sequence[int], storage_offset: int = 0
) -> Tensor:
    """Element (i, j, ...) is number offset + i stride_0 + j stride_1 + ... of the input in C order.

    A view of what is in C order, unless it is recorded.
    """
    places: Any = storage_offset
    for place, step in zip(np.ogrid[tuple(map(slice, size))], stride):
        places = places + place * step
    flat, places = ops.reshape(input, (-1,)), np.broadcast_to(places, tuple(size))
    fits = not places.size or (places.min() >= 0 and places.max() < flat.shape[0])
    takes("as_strided", fits, f"places within the input, not up to {places.max(initial=0)}", input)
    if not flat.requires_grad:
        steps = [flat.array.itemsize * n for n in stride]
        return wrap(np.lib.stride_tricks.as_strided(flat.array[storage_offset:], size, steps))
    return ops.getitem(flat, places)


def broadcast_tensors(*tensors: Data) -> tuple[Tensor, ...]:
    """The tensors expanded to the shape to which they broadcast."""
    shape = np.broadcast_shapes(*(tuple(x.shape) for x in tensors))
    return tuple(ops.expand(x, shape) for x in tensors)


def flip(input: Data, *args: Any, dims: Any = None) -> Tensor:
    """Reverse the order along the axes given."""
    named = call_sizes(args, dims)
    return ops.flip(input, tuple(one_dim("flip", input, d) for d in named) if input.shape else ())


fliplr = named("fliplr", "The second axis reversed.", lambda input: flip(input, (1,)))


def flipud(input: Data) -> Tensor:
    """The first axis reversed."""
    takes("flipud", len(input.shape) > 0, "a tensor with axes", input)
    return flip(input, 0)


def rot90(input: Data, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turned by k * 90 degrees in the plane of two axes, from the first towards the second."""
    count = len(input.shape)
    fits = len(dims) == 2 and count > 1 and (dims[0] - dims[1]) % count != 0
    takes("rot90", fits, f"two different axes, not {tuple(dims)}", input)
    one, two = dims
    turned = swapaxes(input, one, two) if k % 2 else input
    return flip(turned, ((), (one,), (one, two), (two,))[k % 4])


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
    if not input.shape:
        raise no_such_axis("roll", axes[0], ())
    y = ops.clone(input)
    for move, axis in zip(moves, axes):
        axis = one_dim("roll", input, axis)
        places = np.roll(np.arange(input.shape[axis]), move)
        y = ops.getitem(y, (slice(None),) * axis + (places,))
    return y


def repeat(input: Data, *args: Any, repeats: Any = None) -> Tensor:
    """Copies side by side: `repeat(2, 3)` stacks 2 down and 3 across; a new axis may come first."""
    times = call_sizes(args, repeats)
    fits = len(times) >= len(input.shape)
    takes("repeat", fits, f"a number for each axis, not {times}", input)
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
    chunks = integer("chunk", "chunks", chunks)
    dim = one_dim("chunk", input, dim)
    return ops.split(input, builtins.max(1, -(-input.shape[dim] // chunks)), dim)


def tensor_split(input: Data, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Cut along an axis into n pieces of nearly equal size, or before each index of a list."""
    dim = one_dim("tensor_split", input, dim)
    if array_of(indices_or_sections).ndim == 0 and indices_or_sections < 1:
        raise ValueError(f"tensor_split: needs at least 1 piece, got {indices_or_sections}")
    places = np.arange(input.shape[dim] if input.shape else 0)
    pieces = np.array_split(places, array_of(indices_or_sections))
    spans = [slice(piece[0], piece[-1] + 1) if len(piece) else slice(0) for piece in pieces]
    return tuple(ops.getitem(input, (slice(None),) * dim + (span,)) for span in spans)


def unbind(input: Data, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along an axis, without that axis."""
    if not input.shape:
        raise no_such_axis("unbind", dim, ())
    dim = one_dim("unbind", input, dim)
    pieces = ops.split(input, 1, dim) if input.shape[dim] else ()
    return tuple(ops.squeeze(piece, dim) for piece in pieces)


def _at_least(least: Any) -> Callable[..., Any]:
    """Axes of size 1 added as NumPy does it: to a tensor, or to several, which give a tuple."""

    def widened(*tensors: Any) -> Any:
        listed = len(tensors) == 1 and isinstance(tensors[0], (list, tuple))
        each = tensors[0] if listed else tensors
        y = tuple(ops.reshape(x, least(array_of(x)).shape) for x in each)
        return y if listed or len(y) != 1 else y[0]

    return named(least.__name__, _at_least.__doc__, widened)


atleast_1d, atleast_2d, atleast_3d = map(_at_least, (np.atleast_1d, np.atleast_2d, np.atleast_3d))
vstack = named("vstack", "Joined as rows.", lambda tensors: ops.cat(atleast_2d([*tensors]), 0))
dstack = named("dstack", "Joined at axis 2.", lambda tensors: ops.cat(atleast_3d([*tensors]), 2))


def hstack(tensors: Sequence[Data]) -> Tensor:
    """Joined along the second axis, vectors along their only one."""
    return ops.cat(y := atleast_1d([*tensors]), int(any(x.ndim > 1 for x in y)))


def column_stack(tensors: Sequence[Data]) -> Tensor:
    """Joined along the second axis, vectors as columns."""
    return ops.cat([ops.reshape(x, (-1, 1)) if len(x.shape) < 2 else x for x in tensors], 1)


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Grids of coordinates from vectors: y_k[i, j, ...] is element i, j, ... of vector k.

    indexing: "ij" as in matrices; "xy" swaps the first two axes, as in pictures.
    """
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    one_of("meshgrid", "indexing", indexing, ("ij", "xy"))
    shape = tuple(map(numel, tensors))
    grids = [
        ops.expand(ops.reshape(x, [-1 if d == k else 1 for d in range(len(shape))]), shape)
        for k, x in enumerate(tensors)
    ]
    if indexing == "xy" and len(shape) > 1:
        grids = [swapaxes(grid, 0, 1) for grid in grids]
    return tuple(grids)


def unfold(input: Data, dimension: int, size: int, step: int) -> Tensor:
    """Windows of `size` every `step` along an axis; the windows' elements are the last axis.

    A view, unless it is recorded.
    """
    axis = one_dim("unfold", input, dimension)
    if not input.shape:
        return ops.reshape(input, (1,))
    length = input.shape[axis]
    fits = size <= length and step >= 1
    takes("unfold", fits, f"windows along axis {axis}, not of {size} every {step}", input)
    everyone = (slice(None),) * axis
    if not getattr(input, "requires_grad", False):
        windows = np.lib.stride_tricks.sliding_window_view(
            array_of(input), size, axis, writeable=True
        )
        return wrap(windows[(*everyone, slice(None, None, step))])
    starts = np.arange(0, length - size + 1, step)
    places = starts[:, None] + np.arange(size)  # (windows, size)
    return movedim(ops.getitem(input, (*everyone, places)), axis + 1, -1)


def cartesian_prod(*tensors: Data) -> Tensor:
    """All combinations of one element of each vector, a row each."""
    grids = meshgrid(*tensors)
    return grids[0] if len(grids) == 1 else ops.stack([ravel(grid) for grid in grids], 1)


def combinations(input: Data, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All choices of r elements of a vector in their order, a row each; each may come again."""
    takes("combinations", len(input.shape) == 1, "a vector", input)
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    r = integer("combinations", "r", r, 0)
    places = np.array(list(choose(range(input.shape[0]), r)), int)
    return ops.getitem(input, places.reshape(-1, r) if r else slice(0))


def block_diag(*tensors: Data) -> Tensor:
    """A matrix with these along its diagonal, and 0 elsewhere; vectors are rows."""
    blocks = [ops.reshape(x, (1,) * (2 - len(x.shape)) + tuple(x.shape)) for x in tensors]
    for block in blocks:
        takes("block_diag", len(block.shape) == 2, "matrices, vectors and numbers", block)
    width, start, rows = builtins.sum(block.shape[1] for block in blocks), 0, []
    for block in blocks:
        end = start + block.shape[1]
        rows.append(ops.pad(block, [(0, 0), (start, width - end)]))
        start = end
    return ops.cat(rows, 0)


numel = named("numel", "The number of elements.", lambda input: math.prod(input.shape))
is_tensor = named("is_tensor", "Whether it is a Tensor.", lambda obj: isinstance(obj, Variable))
tril_indices = named(
    "tril_indices", "Rows and columns of the places of a lower triangle, as a (2, n) tensor.",
    lambda row, col, offset=0: wrap(np.stack(np.tril_indices(row, offset, col))),
)  # fmt: skip
triu_indices = named(
    "triu_indices", "Rows and columns of the places of an upper triangle, as a (2, n) tensor.",
    lambda row, col, offset=0: wrap(np.stack(np.triu_indices(row, offset, col))),
)  # fmt: skip
