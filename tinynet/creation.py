"""Functions that make tensors: from data, filled with a number, or at random.

Floats are float32 unless a dtype or `tinynet.set_default_dtype` says otherwise. Sizes are given
one by one or as one tuple. Random ones take `generator`, a `tinynet.Generator` or NumPy's;
without it they use the thread's default generator, which `tinynet.manual_seed` seeds. `device` may
name the CPU, where everything is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tinynet.autograd import wrap
from tinynet.devices import check_device, get_default_dtype
from tinynet.errors import ShapeError, integer
from tinynet.functions.common import array_of, call_sizes
from tinynet.ops.shape import normalized_shape
from tinynet.random import default_rng
from tinynet.tensor import Tensor, as_array


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


def _made(array: np.ndarray, device: Any, requires_grad: bool) -> Tensor:
    """A tensor around an array that no one else has."""
    check_device(device)
    return wrap(array).requires_grad_(requires_grad)


def full(
    size: int | Sequence[int], fill_value: float, *, dtype: DTypeLike | None = None,
    device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """A tensor filled with one number; without `dtype` a float makes float32, an int int64.

    >>> full((2, 3), 7.0)
    tensor([[7., 7., 7.],
            [7., 7., 7.]])
    """
    value = as_array(fill_value, dtype)
    return _made(np.full(normalized_shape((size,)), value, value.dtype), device, requires_grad)


def zeros(
    *args: Any,
    size: Any = None,
    dtype: DTypeLike | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor filled with 0: `zeros(2, 3)` or `zeros((2, 3))`."""
    array = np.zeros(call_sizes(args, size), dtype or get_default_dtype())
    return _made(array, device, requires_grad)


def ones(
    *args: Any,
    size: Any = None,
    dtype: DTypeLike | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor filled with 1: `ones(2, 3)` or `ones((2, 3))`."""
    array = np.ones(call_sizes(args, size), dtype or get_default_dtype())
    return _made(array, device, requires_grad)


def empty(
    *args: Any,
    size: Any = None,
    dtype: DTypeLike | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of a shape whose elements are not set: whatever stood in that memory."""
    array = np.empty(call_sizes(args, size), dtype or get_default_dtype())
    return _made(array, device, requires_grad)


def zeros_like(
    input: Tensor | np.ndarray, *, dtype: DTypeLike | None = None, device: Any = None,
    requires_grad: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """Zeros of the shape, dtype (unless given) and memory order of another tensor."""
    return _made(np.zeros_like(as_array(input), dtype), device, requires_grad)


def ones_like(
    input: Tensor | np.ndarray, *, dtype: DTypeLike | None = None, device: Any = None,
    requires_grad: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """Ones of the shape, dtype (unless given) and memory order of another tensor."""
    return _made(np.ones_like(as_array(input), dtype), device, requires_grad)


def empty_like(
    input: Tensor | np.ndarray, *, dtype: DTypeLike | None = None, device: Any = None,
    requires_grad: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """A tensor like another whose elements are not set."""
    return _made(np.empty_like(as_array(input), dtype), device, requires_grad)


def full_like(
    input: Tensor | np.ndarray, fill_value: float, *, dtype: DTypeLike | None = None,
    device: Any = None, requires_grad: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """One number in the shape, dtype (unless given) and memory order of another tensor."""
    return _made(np.full_like(as_array(input), fill_value, dtype), device, requires_grad)


def arange(
    start: float = 0, end: float | None = None, step: float = 1, *,
    dtype: DTypeLike | None = None, device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
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
    if dtype is None:
        is_float = any(isinstance(x, float) for x in (start, end, step))
        dtype = get_default_dtype() if is_float else np.int64
    return _made(np.arange(start, end, step).astype(dtype), device, requires_grad)


def linspace(
    start: float, end: float, steps: int, *, dtype: DTypeLike | None = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """`steps` evenly spaced numbers from `start` to `end`, both included."""
    for name, bound in (("start", start), ("end", end)):
        if np.ndim(bound):
            raise ShapeError(f"linspace: {name} must be a number, got shape {np.shape(bound)}")
    array = np.linspace(array_of(start), array_of(end), integer("linspace", "steps", steps))
    return _made(array.astype(dtype or get_default_dtype()), device, requires_grad)


def eye(
    n: int, m: int | None = None, *, dtype: DTypeLike | None = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """The n x m matrix with ones on the diagonal (m = n if not given)."""
    n, m = integer("eye", "n", n), None if m is None else integer("eye", "m", m)
    return _made(np.eye(n, m, dtype=dtype or get_default_dtype()), device, requires_grad)


def randn(
    *args: Any, size: Any = None, dtype: DTypeLike | None = None, device: Any = None,
    requires_grad: bool = False, generator: Any = None, rng: np.random.Generator | None = None,
) -> Tensor:  # fmt: skip
    """Normally distributed numbers, mean 0 and variance 1. rng: NumPy's word for `generator`."""
    values = default_rng(generator or rng).standard_normal(call_sizes(args, size))
    return _made(np.asarray(values, dtype or get_default_dtype()), device, requires_grad)


def rand(
    *args: Any, size: Any = None, dtype: DTypeLike | None = None, device: Any = None,
    requires_grad: bool = False, generator: Any = None, rng: np.random.Generator | None = None,
) -> Tensor:  # fmt: skip
    """Uniformly distributed numbers from 0 up to, not including, 1."""
    dtype = np.dtype(dtype or get_default_dtype())
    drawn = np.float64 if dtype == np.float64 else np.float32  # rounding would make 1
    values = default_rng(generator or rng).random(call_sizes(args, size), dtype=drawn)
    return _made(np.asarray(values, dtype), device, requires_grad)


def randn_like(input: Tensor, **settings: Any) -> Tensor:
    """`randn` in the shape and dtype of another tensor."""
    return randn(input.shape, **{"dtype": input.dtype, **settings})


def rand_like(input: Tensor, **settings: Any) -> Tensor:
    """`rand` in the shape and dtype of another tensor."""
    return rand(input.shape, **{"dtype": input.dtype, **settings})


def randint(
    low: int, high: Any = None, size: Any = None, *, dtype: DTypeLike = np.int64,
    device: Any = None, requires_grad: bool = False, generator: Any = None,
    rng: np.random.Generator | None = None,
) -> Tensor:  # fmt: skip
    """Uniformly distributed ints from `low` (0 if only one bound is given) up to `high` - 1."""
    if size is None:  # randint(high, size)
        low, high, size = 0, low, high
    if size is None:
        raise TypeError("randint: which shape? Write randint(low, high, size), size a tuple")
    values = default_rng(generator or rng).integers(low, high, normalized_shape((size,)))
    return _made(np.asarray(values, dtype), device, requires_grad)


def randperm(n: int, *, generator: Any = None, rng: np.random.Generator | None = None) -> Tensor:
    """The numbers 0 to n - 1 in random order."""
    return wrap(default_rng(generator or rng).permutation(n))


def normal(
    mean: Any = 0.0, std: Any = 1.0, size: Any = None, *, generator: Any = None,
    dtype: DTypeLike | None = None, device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Normally distributed numbers of given mean and deviation: numbers and a size, or tensors."""
    given = [x.dtype for x in (mean, std) if hasattr(x, "dtype") and x.dtype.kind == "f"]
    mean, std = array_of(mean), array_of(std)
    shape = (
        np.broadcast_shapes(mean.shape, std.shape) if size is None else call_sizes((size,), None)
    )
    values = default_rng(generator).normal(mean, std, shape)
    dtype = dtype or (np.result_type(*given) if given else get_default_dtype())
    return _made(np.asarray(values, dtype), device, requires_grad)


def logspace(
    start: float, end: float, steps: int, base: float = 10.0, *, dtype: DTypeLike | None = None,
    device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """`steps` numbers from base^start to base^end, each the same multiple of the one before."""
    array = np.logspace(
        array_of(start), array_of(end), integer("logspace", "steps", steps), base=base
    )
    return _made(array.astype(dtype or get_default_dtype()), device, requires_grad)


def bernoulli(input: Tensor, *, generator: Any = None) -> Tensor:
    """1 with the probability that each element gives, else 0."""
    p = as_array(input)
    return wrap((default_rng(generator).random(p.shape) < p).astype(p.dtype))


def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Any = None
) -> Tensor:
    """`num_samples` places for each row of weights; the chance of each is in proportion to them."""
    weights = as_array(input).astype(np.float64)
    rng = default_rng(generator)
    rows = [
        rng.choice(len(row), num_samples, replacement, row / row.sum())
        for row in weights.reshape(-1, weights.shape[-1])
    ]
    return wrap(np.array(rows).reshape(*weights.shape[:-1], num_samples))
