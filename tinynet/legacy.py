"""Names of PyTorch's early days that scripts still use: `FloatTensor(2, 3)`, `LongTensor([1, 2])`.

Each makes tensors of one dtype, from sizes or from data, and stands for that dtype in
`x.type(LongTensor)` and `isinstance(x, LongTensor)`. `svd` and `cholesky` have moved to `linalg`.
"""

# ruff: noqa: A002 (the argument names are PyTorch's)

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinynet import linalg
from tinynet.creation import zeros_like
from tinynet.functions.pointwise import CLASSES
from tinynet.tensor import Tensor


class _OfDtype(type):
    """A class whose calls make Tensors of its dtype, and whose instances are those."""

    dtype: np.dtype[Any]

    def __call__(cls, *data: Any) -> Tensor:
        return Tensor(*data, dtype=cls.dtype)

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, Tensor) and value.dtype == cls.dtype


(
    FloatTensor, DoubleTensor, LongTensor, IntTensor, ByteTensor, BoolTensor, ShortTensor,
    CharTensor,
) = (
    _OfDtype(name, (), {"dtype": np.dtype(dtype), "__doc__": f"Tensors of {dtype}."})
    for dtype, name in CLASSES.items()
)  # fmt: skip


class Decomposition(NamedTuple):
    """What `svd` gives: input = U diag(S) V^T."""

    U: Tensor
    S: Tensor
    V: Tensor


def svd(input: Any, some: bool = True, compute_uv: bool = True) -> Decomposition:
    """`linalg.svd` with V itself; without compute_uv U and V are square and 0."""
    U, S, Vh = linalg.svd(input, not (some and compute_uv))
    return (
        Decomposition(U, S, Vh.mT)
        if compute_uv
        else Decomposition(zeros_like(U), S, zeros_like(Vh))
    )


def cholesky(input: Any, upper: bool = False) -> Tensor:
    """`linalg.cholesky`."""
    return linalg.cholesky(input, upper=upper)
