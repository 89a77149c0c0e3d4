"""Functions that make tensors: from data, filled with a number, or at random.

Floats are float32 unless a dtype is given. `shape` is given as separate sizes or as one tuple.
Random ones take `rng`, a numpy Generator; without it they use the thread's default generator,
which `tinynet.manual_seed` seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tinynet.autograd import wrap
from tinynet.ops.shape import normalized_shape
from tinynet.random import default_rng
from tinynet.tensor import Tensor, as_array, float32


def tensor(data: Any, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor with a copy of `data`: nested lists, numbers, arrays or tensors.

    Python floats become float32, ints int64; arrays keep their dtype.
    Raises TypeError for what is no array of numbers, ShapeError for ragged lists.

    >>> tensor([[1, 2], [3, 4]]) @ tensor([1, 1])
    Tensor([3, 7])
    """
    return Tensor(data, requires_grad, dtype)


def from_numpy(array: np.ndarray) -> Tensor:
    """A tensor that shares memory with `array`. Raises TypeError for what is no array."""
    if not isinstance(array, np.ndarray):
        raise TypeError(
            f"from_numpy: takes an ndarray, got a {type(array).__name__}; "
            "tinynet.tensor(...) makes a tensor of lists and numbers"
        )
    return wrap(as_array(array))


def as_tensor(data: Any, dtype: DTypeLike | None = None) -> Tensor:
    """`data` itself if it is a tensor of that dtype, else a tensor, sharing memory if it can."""
    if isinstance(data, Tensor) and dtype in (None, data.dtype):
        return data
    return wrap(as_array(data, dtype))


def _fresh(array: np.ndarray, requires_grad: bool) -> Tensor:
    """A tensor around an array that no one else has."""
    return wrap(array).requires_grad_(requires_grad)


def empty(*shape: Any, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor of a shape whose elements are not set: whatever stood in that memory."""
    return _fresh(np.empty(normalized_shape(shape), dtype or float32), requires_grad)


def full(
    shape: int | Sequence[int],
    fill_value: float,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor filled with one number; without `dtype` a float makes float32, an int int64.

    >>> full((2, 3), 7.0)
    Tensor([[7., 7., 7.],
            [7., 7., 7.]])
    """
    value = as_array(fill_value, dtype)
    return _fresh(np.full(normalized_shape((shape,)), value, value.dtype), requires_grad)


def zeros(*shape: Any, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor filled with 0: `zeros(2, 3)` or `zeros((2, 3))`."""
    return _fresh(np.zeros(normalized_shape(shape), dtype or float32), requires_grad)


def ones(*shape: Any, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor filled with 1: `ones(2, 3)` or `ones((2, 3))`."""
    return _fresh(np.ones(normalized_shape(shape), dtype or float32), requires_grad)


def zeros_like(
    like: Tensor | np.ndarray, dtype: DTypeLike | None = None, requires_grad: bool = False
) -> Tensor:
    """Zeros of the shape, dtype (unless given) and memory order of another tensor."""
    return _fresh(np.zeros_like(as_array(like), dtype), requires_grad)


def ones_like(
    like: Tensor | np.ndarray, dtype: DTypeLike | None = None, requires_grad: bool = False
) -> Tensor:
    """Ones of the shape, dtype (unless given) and memory order of another tensor."""
    return _fresh(np.ones_like(as_array(like), dtype), requires_grad)


def full_like(
    like: Tensor | np.ndarray,
    fill_value: float,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """One number in the shape, dtype (unless given) and memory order of another tensor."""
    return _fresh(np.full_like(as_array(like), fill_value, dtype), requires_grad)


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers from `start` (0 if only one bound is given) up to, not including, `stop`.

    int64 if all are ints, else float32. Raises ValueError for a step of 0.

    >>> arange(2, 10, 3)
    Tensor([2, 5, 8])
    """
    start, stop = (0, start) if stop is None else (start, stop)
    if step == 0:
        raise ValueError("arange: the step must not be 0")
    if dtype is None and any(isinstance(x, float) for x in (start, stop, step)):
        dtype = float32
    return _fresh(np.arange(start, stop, step).astype(dtype or np.int64), requires_grad)


def linspace(
    start: float, stop: float, steps: int, dtype: DTypeLike = float32, requires_grad: bool = False
) -> Tensor:
    """`steps` evenly spaced numbers from `start` to `stop`, both included."""
    return _fresh(np.linspace(start, stop, steps, dtype=dtype), requires_grad)


def eye(
    n: int, m: int | None = None, dtype: DTypeLike = float32, requires_grad: bool = False
) -> Tensor:
    """The n x m matrix with ones on the diagonal (m = n if not given)."""
    return _fresh(np.eye(n, m, dtype=dtype), requires_grad)


def randn(
    *shape: Any,
    dtype: DTypeLike = float32,
    requires_grad: bool = False,
    rng: np.random.Generator | None = None,
) -> Tensor:
    """Normally distributed numbers, mean 0 and variance 1."""
    values = default_rng(rng).standard_normal(normalized_shape(shape))
    return _fresh(np.asarray(values, dtype), requires_grad)


def rand(
    *shape: Any,
    dtype: DTypeLike = float32,
    requires_grad: bool = False,
    rng: np.random.Generator | None = None,
) -> Tensor:
    """Uniformly distributed numbers from 0 up to, not including, 1."""
    drawn = np.float64 if np.dtype(dtype) == np.float64 else np.float32  # rounding would make 1
    values = default_rng(rng).random(normalized_shape(shape), dtype=drawn)
    return _fresh(np.asarray(values, dtype), requires_grad)


def randint(
    low: int,
    high: int,
    shape: int | Sequence[int],
    dtype: DTypeLike = np.int64,
    rng: np.random.Generator | None = None,
) -> Tensor:
    """Uniformly distributed ints from `low` up to, not including, `high`."""
    values = default_rng(rng).integers(low, high, normalized_shape((shape,)))
    return wrap(np.asarray(values, dtype))


def randperm(n: int, rng: np.random.Generator | None = None) -> Tensor:
    """The numbers 0 to n - 1 in random order."""
    return wrap(default_rng(rng).permutation(n))
