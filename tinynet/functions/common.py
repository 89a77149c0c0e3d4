"""What the functions share: the array of an argument, and the axes that `dim` names."""

import functools
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import numpy as np

from tinynet.autograd import Variable
from tinynet.errors import ShapeError, no_such_axis
from tinynet.ops.shape import normalized_shape

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
Dim: TypeAlias = "int | tuple[int, ...] | list[int] | None"


def array_of(x: Any) -> np.ndarray:
    """The ndarray of a tensor, array, number or list."""
    return x.array if isinstance(x, Variable) else np.asarray(x)


def takes(name: str, fits: bool, what: str, *inputs: Any) -> None:
    """ShapeError unless the inputs fit: what the function takes, and the shapes that it got."""
    if not fits:
        shapes = " and ".join(str(tuple(x.shape)) for x in inputs)
        noun = "shape" if len(inputs) == 1 else "shapes"
        raise ShapeError(f"{name}: takes {what}, got {noun} {shapes}")


def named(name: str, doc: str | None, function: Callable[..., T]) -> Callable[..., T]:
    """A function made by another one, under its own name and with what it does."""
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


def check_tensors(name: str, **values: Any) -> None:
    """TypeError for the first of the arguments that is neither a tensor nor an array."""
    for argument, value in values.items():
        if not hasattr(value, "shape"):
            raise TypeError(
                f"{name}: {argument} must be a tensor, got {value!r:.60}; wrap it: "
                f"tinynet.tensor({value!r:.20})"
            )


def takes_out(function: F) -> F:
    """The function with PyTorch's `out=`, a tensor that the result is copied into."""

    @functools.wraps(function)
    def written(*args: Any, out: Any = None, **settings: Any) -> Any:
        y = function(*args, **settings)
        return y if out is None else out.copy_(y)

    return written  # type: ignore[return-value]


def one_dim(name: str, x: Any, dim: int) -> int:
    """`dim` counted from the front; a tensor without axes takes 0 and -1. ShapeError otherwise."""
    check_tensors(name, input=x)
    ndim = len(x.shape)
    if isinstance(dim, bool) or not isinstance(dim, (int, np.integer)):
        raise TypeError(f"{name}: dim must be an integer, got {dim!r}")
    if not -max(ndim, 1) <= dim < max(ndim, 1):
        raise no_such_axis(name, dim, tuple(x.shape))
    return int(dim) % max(ndim, 1)


def all_dims(name: str, x: Any, dim: Dim) -> tuple[int, ...] | None:
    """The axes that `dim` names, None for all of them: None and (), as in PyTorch."""
    check_tensors(name, input=x)
    if dim is None or (isinstance(dim, (tuple, list)) and not dim):
        return None
    wanted = [one_dim(name, x, d) for d in (dim if isinstance(dim, (tuple, list)) else (dim,))]
    if len(set(wanted)) < len(wanted):
        raise ValueError(f"{name}: an axis appears twice in dim={dim}")
    return tuple(wanted) if len(x.shape) else ()


def spelled(function: Callable[..., T]) -> Callable[..., T]:
    """The function with NumPy's names too, `axis` for `dim` and `keepdims` for `keepdim`."""

    @functools.wraps(function)
    def called(*args: Any, **settings: Any) -> T:
        for numpys, ours in (("axis", "dim"), ("keepdims", "keepdim")):
            if numpys in settings:
                if ours in settings:
                    raise TypeError(f"give either {ours} or {numpys}, which mean the same")
                settings[ours] = settings.pop(numpys)
        return function(*args, **settings)

    return called


def given(dim: Any, axis: Any) -> Any:
    """The one of `dim` and `axis` that was given, in functions where the two differ."""
    if dim is not None and axis is not None:
        raise TypeError("give either dim or axis, which mean the same")
    return dim if axis is None else axis


def whole_grid(dim: int, index: np.ndarray) -> tuple[np.ndarray, ...]:
    """The index that takes, at each place of `index`, the element `index` says along `dim`."""
    grid = list(np.ogrid[tuple(slice(n) for n in index.shape)])
    grid[dim] = index
    return tuple(grid)


def call_sizes(positional: tuple[Any, ...], named: Any) -> tuple[int, ...]:
    """The numbers of a call that takes `2, 3`, `(2, 3)` or `name=(2, 3)`."""
    return normalized_shape(positional if named is None else (named,))
