"""Functions that make tensors: from data, filled with a number, or at random.

Floats are float32 unless a dtype or `tinynet.set_default_dtype` says otherwise. Sizes are given
one by one or as one tuple. Random ones take `generator`, a `tinynet.Generator` or NumPy's;
without it they use the thread's default generator, which `tinynet.manual_seed` seeds. `device` may
name the CPU, where everything is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
from numpy.typing import DTypeLike

from tinynet.autograd import wrap
from tinynet.devices import check_device, get_default_dtype
from tinynet.errors import ShapeError, integer, unknown_name
from tinynet.functions.common import array_of, call_sizes, named
from tinynet.ops.shape import normalized_shape
from tinynet.random import default_rng
from tinynet.tensor import Tensor, as_array
from tinynet.unrecorded import arrays_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = [
    "arange", "as_tensor", "bernoulli", "empty", "empty_like", "eye", "from_dlpack", "from_numpy",
    "full", "full_like", "linspace", "logspace", "multinomial", "normal", "ones", "ones_like",
    "rand", "rand_like", "randint", "randint_like", "randn", "randn_like", "randperm",
    "scalar_tensor", "tensor", "zeros", "zeros_like",
]  # fmt: skip


class Settings(TypedDict, total=False):
    """What all take by name: the dtype of the elements, the CPU, whether a gradient is wanted."""

    dtype: DTypeLike | None
    device: Any
    requires_grad: bool
    memory_format: Any


class RandomSettings(Settings, total=False):
    """What random ones take by name. rng: NumPy's word for `generator`."""

    generator: Any
    rng: np.random.Generator | None


def _new_tensor(
    values: Any, usual: DTypeLike | None = None, **settings: Unpack[RandomSettings]
) -> Tensor:
    """A tensor around an array that no one else has, in a dtype that is usual unless one is given.

    `generator` and `rng` were used before; memory_format has no effect.
    """
    known = RandomSettings.__annotations__
    for name in settings.keys() - known.keys():
        raise TypeError(str(unknown_name("setting of a new tensor", name, known)))
    check_device(settings.get("device"))
    array = as_array(values, settings.get("dtype") or usual or get_default_dtype())
    return wrap(array).requires_grad_(settings.get("requires_grad", False))


def _generator(settings: RandomSettings) -> np.random.Generator:
    return default_rng(settings.get("generator") or settings.get("rng"))


def tensor(
    data: Any, *, dtype: DTypeLike | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A tensor with a copy of `data`: nested lists, numbers, arrays or tensors.

    Python floats become float32, ints int64; arrays keep their dtype.
    Raises TypeError for what is no array of numbers, ShapeError for ragged lists.

    >>> tensor([[1, 2], [3, 4]]) @ tensor([1, 1])
    tensor([3, 7])
    """
    check_device(device)
    return wrap(np.array(as_array(data, dtype))).requires_grad_(requires_grad)


def from_numpy(array: np.ndarray) -> Tensor:
    """A tensor that shares memory with `array`. Raises TypeError for what is no array."""
    if not isinstance(array, np.ndarray):
        raise TypeError(
            f"from_numpy: takes an ndarray, got a {type(array).__name__}; "
            "tinynet.tensor(...) makes a tensor of lists and numbers"
        )
    return wrap(as_array(array))


def as_tensor(data: Any, dtype: DTypeLike | None = None, device: Any = None) -> Tensor:
    """`data` itself if it is a tensor of that dtype, else a tensor, sharing memory if it can."""
    check_device(device)
    if isinstance(data, Tensor) and dtype in (None, data.dtype):
        return data
    return wrap(as_array(data, dtype))


def from_dlpack(ext_tensor: Any) -> Tensor:
    """A tensor that shares memory with an array of any library that speaks DLPack."""
    return wrap(as_array(np.from_dlpack(ext_tensor)))


def full(size: int | Sequence[int], fill_value: float, **settings: Unpack[Settings]) -> Tensor:
    """A tensor filled with one number; without `dtype` a float makes float32, an int int64.

    >>> full((2, 3), 7.0)
    tensor([[7., 7., 7.],
            [7., 7., 7.]])
    """
    fill_value = fill_value.item() if isinstance(fill_value, np.generic) else fill_value
    value = as_array(fill_value, settings.get("dtype"))
    return _new_tensor(np.full(normalized_shape((size,)), value), value.dtype, **settings)


def zeros(*args: Any, size: Any = None, **settings: Unpack[Settings]) -> Tensor:
    """A tensor filled with 0: `zeros(2, 3)` or `zeros((2, 3))`."""
    return _new_tensor(np.zeros(call_sizes(args, size), _dtype(settings)), **settings)


def ones(*args: Any, size: Any = None, **settings: Unpack[Settings]) -> Tensor:
    """A tensor filled with 1: `ones(2, 3)` or `ones((2, 3))`."""
    return _new_tensor(np.ones(call_sizes(args, size), _dtype(settings)), **settings)


def empty(*args: Any, size: Any = None, **settings: Unpack[Settings]) -> Tensor:
    """A tensor of a shape whose elements are not set: whatever stood in that memory."""
    return _new_tensor(np.empty(call_sizes(args, size), _dtype(settings)), **settings)


def _dtype(settings: Settings) -> DTypeLike:
    return settings.get("dtype") or get_default_dtype()


def _check_floats(name: str, settings: Settings) -> None:
    """TypeError for a dtype that cannot hold what is drawn."""
    dtype = np.dtype(_dtype(settings))
    if dtype.kind in "biu":
        raise TypeError(f"{name}: draws floats, which {dtype} cannot hold; pass dtype=float32")


def _alike(make: Callable[..., Any], what: str) -> Callable[..., Tensor]:
    def alike(input: Tensor | np.ndarray, **settings: Unpack[Settings]) -> Tensor:
        array = make(as_array(arrays_of(input)), settings.get("dtype"))
        return _new_tensor(array, array.dtype, **settings)

    doc = f"{what} the shape, dtype (unless given) and memory order of another tensor."
    return named(make.__name__, doc, alike)


scalar_tensor = named("scalar_tensor", "One number.", lambda s, **more: _new_tensor(s, **more))
zeros_like = _alike(np.zeros_like, "Zeros of")
ones_like = _alike(np.ones_like, "Ones of")
empty_like = _alike(np.empty_like, "A tensor whose elements are not set, of")


def full_like(
    input: Tensor | np.ndarray, fill_value: float, **settings: Unpack[Settings]
) -> Tensor:
    """One number in the shape, dtype (unless given) and memory order of another tensor."""
    array = np.full_like(as_array(arrays_of(input)), as_array(fill_value), settings.get("dtype"))
    return _new_tensor(array, array.dtype, **settings)


def arange(
    start: float = 0, end: float | None = None, step: float = 1, **settings: Unpack[Settings]
) -> Tensor:
    """Numbers from `start` (0 if only one bound is given) up to, not including, `end`.

    int64 if all are ints, else float32. Raises ValueError for a step of 0.

    >>> arange(2, 10, 3)
    tensor([2, 5, 8])
    """
    start, end = (0, start) if end is None else (start, end)
    if step == 0:
        raise ValueError("arange: the step must not be 0")
    if (end - start) * step < 0:
        raise ValueError(f"arange: steps of {step} lead away from {start} to {end}")
    is_float = any(isinstance(x, float) for x in (start, end, step))
    return _new_tensor(np.arange(start, end, step), None if is_float else np.int64, **settings)


def linspace(start: float, end: float, steps: int, **settings: Unpack[Settings]) -> Tensor:
    """`steps` evenly spaced numbers from `start` to `end`, both included."""
    for name, bound in (("start", start), ("end", end)):
        if np.ndim(bound):
            raise ShapeError(f"linspace: {name} must be a number, got shape {np.shape(bound)}")
    count = integer("linspace", "steps", steps)
    return _new_tensor(np.linspace(array_of(start), array_of(end), count), **settings)


def logspace(
    start: float, end: float, steps: int, base: float = 10.0, **settings: Unpack[Settings]
) -> Tensor:
    """`steps` numbers from base^start to base^end, each the same multiple of the one before."""
    count = integer("logspace", "steps", steps)
    return _new_tensor(np.logspace(array_of(start), array_of(end), count, base=base), **settings)


def eye(n: int, m: int | None = None, **settings: Unpack[Settings]) -> Tensor:
    """The n x m matrix with ones on the diagonal (m = n if not given)."""
    n, m = integer("eye", "n", n), None if m is None else integer("eye", "m", m)
    return _new_tensor(np.eye(n, m), **settings)


def randn(*args: Any, size: Any = None, **settings: Unpack[RandomSettings]) -> Tensor:
    """Normally distributed numbers, mean 0 and variance 1."""
    _check_floats("randn", settings)
    return _new_tensor(_generator(settings).standard_normal(call_sizes(args, size)), **settings)


def rand(*args: Any, size: Any = None, **settings: Unpack[RandomSettings]) -> Tensor:
    """Uniformly distributed numbers from 0 up to, not including, 1."""
    _check_floats("rand", settings)
    is_double = np.dtype(_dtype(settings)) == np.float64
    drawn = np.float64 if is_double else np.float32  # rounding would make 1
    values = _generator(settings).random(call_sizes(args, size), dtype=drawn)
    return _new_tensor(values, **settings)


def _like(draw: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A random maker that takes shape and dtype from another tensor."""

    def like(input: Tensor, *bounds: int, **settings: Any) -> Tensor:
        return draw(*bounds, **{"size": input.shape, "dtype": input.dtype, **settings})

    name = draw.__name__
    return named(f"{name}_like", f"`{name}` in the shape and dtype of another tensor.", like)


def randint(
    low: int, high: Any = None, size: Any = None, **settings: Unpack[RandomSettings]
) -> Tensor:
    """Uniformly distributed ints from `low` (0 if only one bound is given) up to `high` - 1."""
    if size is None:  # randint(high, size)
        size, high = high, None
    if high is None:
        low, high = 0, low
    if size is None:
        raise TypeError("randint: which shape? Write randint(low, high, size), size a tuple")
    values = _generator(settings).integers(low, high, normalized_shape((size,)))
    return _new_tensor(values, np.int64, **settings)


randn_like, rand_like, randint_like = _like(randn), _like(rand), _like(randint)


def randperm(n: int, **settings: Unpack[RandomSettings]) -> Tensor:
    """The numbers 0 to n - 1 in random order."""
    return _new_tensor(_generator(settings).permutation(n), np.int64, **settings)


def normal(
    mean: Any = 0.0, std: Any = 1.0, size: Any = None, **settings: Unpack[RandomSettings]
) -> Tensor:
    """Normally distributed numbers of given mean and deviation: numbers and a size, or tensors."""
    given = [x.dtype for x in (mean, std) if hasattr(x, "dtype") and x.dtype.kind == "f"]
    mean, std = array_of(mean), array_of(std)
    shape = (
        np.broadcast_shapes(mean.shape, std.shape) if size is None else normalized_shape((size,))
    )
    values = _generator(settings).normal(mean, std, shape)
    return _new_tensor(values, np.result_type(*given) if given else None, **settings)


def bernoulli(input: Tensor, *, generator: Any = None) -> Tensor:
    """1 with the probability that each element gives, else 0."""
    p = as_array(arrays_of(input))
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("bernoulli: takes probabilities from 0 to 1")
    return wrap((default_rng(generator).random(p.shape) < p).astype(p.dtype))


def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Any = None
) -> Tensor:
    """`num_samples` places for each row of weights; the chance of each is in proportion to them."""
    weights = array_of(input).astype(np.float64)
    rng = default_rng(generator)
    rows = [
        rng.choice(len(row), num_samples, replacement, row / row.sum())
        for row in weights.reshape(-1, weights.shape[-1])
    ]
    return wrap(np.array(rows).reshape(*weights.shape[:-1], num_samples))
